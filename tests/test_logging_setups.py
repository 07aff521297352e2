"""Whatever sets logging up, before us or after: each record arrives once, nothing else is printed.

Each program is run three times: without telemetry, and with it switched on before and after its
set-up of logging.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from forked_programs import Forge
from otlp_receiver import OTLPReceiver

HEAD = """
import io, logging, logging.config, logging.handlers, queue, sys, threading, warnings
import otelbridge
"""
INSTRUMENT = "otelbridge.instrument(service_name='shop')\n"
SPEAK = """
logging.info("root info"); logging.warning("root warning")
shop = logging.getLogger("shop")
shop.debug("shop debug"); shop.info("shop %s", "info"); shop.error("shop error", extra={"order": 7})
"""
ALL = ["root info", "root warning", "shop info", "shop error"]


@dataclass
class Setup:
    """One way to set logging up.

    Attributes:
        program: the set-up.
        arrives: the messages that arrive, each as often as it stands here.
        speak: what logs after it.
        early: what is logged or made before all else.
    """

    program: str
    arrives: list[str]
    speak: str = SPEAK
    early: str = ""


DICT = """
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": %s,
    "formatters": {"short": {"format": "%%(levelname)s %%(name)s %%(message)s"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout",
                         "formatter": "short"}},
    "root": {"level": "INFO", "handlers": ["out"]},
    "loggers": {"shop": {"level": "DEBUG", "propagate": False, "handlers": ["out"]}},
})
"""
FILE = """
logging.config.fileConfig(io.StringIO('''
[loggers]
keys=root
[handlers]
keys=out
[formatters]
keys=
[logger_root]
level=INFO
handlers=out
[handler_out]
class=StreamHandler
args=(sys.stdout,)
''')%s)
"""
QUEUE = """
waiting = queue.Queue()
logging.basicConfig(level="INFO", handlers=[logging.handlers.QueueHandler(waiting)])
%s
listener.start()
"""
QUEUE_DICT = """
logging.config.dictConfig({
    "version": 1,
    "handlers": {
        "out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"},
        "queue": {"class": "logging.handlers.QueueHandler", "handlers": ["out"]},
    },
    "root": {"level": "INFO", "handlers": ["queue"]},
})
listener = logging.getHandlerByName("queue").listener
listener.start()
"""
NOT_FORMATTED = (
    "not %d …[not formatted: TypeError: %d format: a real number is required, not str; "
    "arguments: ('a number',)]"
)
SETUPS = {
    "basicConfig": Setup("logging.basicConfig(level='INFO', stream=sys.stdout)", ALL),
    "basicConfig with force": Setup(
        "logging.basicConfig(level='INFO', stream=sys.stdout, force=True)",
        ALL,
        early="logging.basicConfig(level=1, format='old %(message)s')",
    ),
    "dictConfig": Setup(DICT % False, [*ALL[:2], "shop debug", *ALL[2:]]),
    "dictConfig that disables existing loggers": Setup(
        DICT % True + "shop = logging.getLogger('shop')",
        [*ALL[:2], "shop debug", *ALL[2:]],
        SPEAK + "existing.error('is disabled'); print(existing.disabled)",
        early="existing = logging.getLogger('existing')",
    ),
    "fileConfig": Setup(
        FILE % "",
        ALL,
        SPEAK + "existing.error('is disabled'); print(existing.disabled)",
        early="existing = logging.getLogger('existing')",
    ),
    "fileConfig that leaves existing loggers": Setup(
        FILE % ", disable_existing_loggers=False",
        [*ALL, "is enabled"],
        SPEAK + "existing.error('is enabled')",
        early="existing = logging.getLogger('existing')",
    ),
    "loggers that do not propagate": Setup(
        "logging.getLogger('shop').propagate = False\n"
        "logging.getLogger('shop').addHandler(logging.StreamHandler(sys.stdout))\n"
        "logging.getLogger('mute').propagate = False",
        [*ALL, "mute"],
        SPEAK + "logging.getLogger('mute').error('mute')",
    ),
    "Flask's logger": Setup(
        "from flask import Flask\napp = Flask('shop')\nlogging.basicConfig(level='INFO')",
        [*ALL, "in Flask", "in a view"],
        SPEAK
        + """
app.logger.warning("in Flask")
app.add_url_rule("/", "index", lambda: app.logger.info("in a view") or "ok")
app.test_client().get("/")
""",
    ),
    "gunicorn's loggers": Setup(
        "from gunicorn.config import Config\nfrom gunicorn.glogging import Logger\n"
        "config = Config(); config.set('accesslog', '-'); gunicorn = Logger(config)",
        ["root warning", "shop error", "booting 7", "GET / 200", "root info", "shop info"],
        SPEAK + "gunicorn.info('booting %s', 7); gunicorn.access_log.info('GET / 200')",
    ),
    "uvicorn's loggers": Setup(
        "import uvicorn\nuvicorn.Config(None, use_colors=False)",
        [*ALL, "started 7", '1.1.1.1:1 - "GET / HTTP/1.1" 200', "wrong"],
        SPEAK
        + """
logging.getLogger("uvicorn.error").info("started %s", 7)
logging.getLogger("uvicorn.error").error("wrong")
logging.getLogger("uvicorn.access").info(
    '%s - "%s %s HTTP/%s" %d', "1.1.1.1:1", "GET", "/", "1.1", 200)
""",
    ),
    "warnings that are captured": Setup(
        "logging.captureWarnings(True); warnings.simplefilter('always')",
        [*ALL, "<string>:0: UserWarning: careful\n"],
        SPEAK + "warnings.warn_explicit('careful', UserWarning, '<string>', 0)",
    ),
    "a queue and its listener": Setup(
        QUEUE
        % "listener = logging.handlers.QueueListener(waiting, logging.StreamHandler(sys.stdout))",
        ALL,
        SPEAK + "listener.stop()",
    ),
    "a queue whose records go to their loggers again": Setup(
        """
waiting = queue.Queue()
class Hand(logging.Handler):
    def handle(self, record):
        logging.getLogger("far." + record.name).handle(record)
far = logging.getLogger("far"); far.propagate = False
far.addHandler(logging.StreamHandler(sys.stdout))
logging.basicConfig(level="INFO", handlers=[logging.handlers.QueueHandler(waiting)])
listener = logging.handlers.QueueListener(waiting, Hand())
listener.start()
""",
        ALL,
        SPEAK + "listener.stop()",
    ),
    "logging that is shut down": Setup(
        "logging.basicConfig(level='INFO', stream=sys.stdout)", ALL, "logging.shutdown()\n" + SPEAK
    ),
    "logging that is disabled in part": Setup(
        "logging.basicConfig(level='INFO', stream=sys.stdout)",
        ["shop error", "again"],
        "logging.disable('WARNING')\n" + SPEAK + "logging.disable(0); logging.info('again')",
    ),
    "a factory of records": Setup(
        """
class Record(logging.LogRecord):
    def getMessage(self):
        return str(self.msg).format(*self.args) if "{" in str(self.msg) else super().getMessage()
logging.setLogRecordFactory(Record)
logging.basicConfig(level="INFO", stream=sys.stdout)
""",
        [*ALL, "braces 7"],
        SPEAK + "shop.info('braces {}', 7)",
    ),
    "a class of loggers": Setup(
        """
class Loud(logging.Logger):
    def makeRecord(self, *args, **kwargs):
        record = super().makeRecord(*args, **kwargs)
        record.loud = True
        return record
    def callHandlers(self, record):
        print("calling")
        super().callHandlers(record)
    def notice(self, message, *args, **kwargs):
        self.log(25, message, *args, **kwargs)
logging.addLevelName(25, "NOTICE")
logging.setLoggerClass(Loud)
logging.basicConfig(level="INFO", stream=sys.stdout)
""",
        [*ALL, "noticed"],
        SPEAK + "logging.getLogger('loud').notice('noticed')",
    ),
    "adapters": Setup(
        "logging.basicConfig(level='INFO', stream=sys.stdout,"
        " format='%(message)s %(filename)s:%(lineno)d')",
        ["adapted", "merged", "put before: adapted"],
        """
shop = logging.getLogger("shop")
logging.LoggerAdapter(shop, {"order": 7}).info("adapted", extra={"user": "alice"})
merging = {"merge_extra": True} if sys.version_info >= (3, 13) else {}
logging.LoggerAdapter(shop, {"order": 7}, **merging).info("merged", extra={"user": "alice"})
class Before(logging.LoggerAdapter):
    def process(self, message, kwargs):
        return f"put before: {message}", kwargs
Before(shop, None).warning("adapted")
""",
    ),
    "filters": Setup(
        """
class Drop(logging.Filter):
    def filter(self, record):
        record.seen = True
        return "secret" not in record.getMessage()
logging.basicConfig(level="INFO", stream=sys.stdout)
logging.getLogger("shop").addFilter(Drop())
""",
        ALL,
        SPEAK + "shop.error('a secret')",
    ),
    "handlers that fail": Setup(
        """
class Broken(logging.Handler):
    def emit(self, record):
        raise ValueError(f"cannot write {record.getMessage()}")
class Walking(logging.StreamHandler):
    def emit(self, record):
        frame = sys._getframe(1)
        while frame.f_code.co_filename == logging.__file__:
            frame = frame.f_back
        print("called by", frame.f_code.co_name)
logging.basicConfig(level="INFO", handlers=[logging.StreamHandler(), Walking()])
""",
        [*ALL, NOT_FORMATTED, "tried"],
        SPEAK
        + """
def talk():
    shop.info("not %d", "a number")
    broken = logging.getLogger("broken")
    broken.propagate = False
    broken.addHandler(Broken())
    try:
        broken.error("tried")
    except ValueError:
        import traceback
        traceback.print_exc()
talk()
""",
    ),
    "a formatter that writes the whole record": Setup(
        """
class Whole(logging.Formatter):
    def format(self, record):
        moving = ("created", "msecs", "relativeCreated", "process", "thread", "taskName")
        return str({name: value for name, value in record.__dict__.items() if name not in moving})
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(Whole())
logging.basicConfig(level="INFO", handlers=[handler])
""",
        [*ALL, "failed"],
        SPEAK + "logging.info('failed', exc_info=ValueError('oh'))",
    ),
}  # fmt: skip
if sys.version_info >= (3, 12):
    SETUPS["a queue and its listener by dictConfig"] = Setup(
        QUEUE_DICT, ALL, SPEAK + "listener.stop()"
    )
    SETUPS["a filter that puts another record in the place of one"] = Setup(
        """
def other(record):
    record = logging.makeLogRecord(record.__dict__)
    record.msg = f"other {record.msg}"
    return record
logging.basicConfig(level="INFO", stream=sys.stdout)
logging.getLogger("shop").addFilter(other)
""",
        [*ALL[:2], "other shop info", "other shop error"],
    )


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with Forge(tmp_path_factory.mktemp("printed")) as started:
        yield started


def scrubbed(text: str) -> str:
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"0x[0-9a-f]+", "ADDRESS", text)
    text = re.sub(r"\[\d+\] \[", "[PID] [", text)
    # Lines' numbers within the program, in which the order differs; and from Python 3.13 on the
    # lines of that number, which are those of the process that was forked.
    text = re.sub(r'(<string>(?:", line |:))\d+', r"\1N", text)
    return re.sub(r'(File "<string>", line N, in \S+\n)(?: {4}.*\n)+', r"\1", text)


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS.keys())
def test_every_record_arrives_once_and_the_program_prints_what_it_prints(
    setup: Setup, forge: Forge, otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http,
        "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",
        "OTELBRIDGE_REQUEST_LOG": "false",
        "OTELBRIDGE_SPOOL_DIR": str(tmp_path),
    }
    early, program, speak = setup.early + "\n", setup.program + "\n", setup.speak
    after = HEAD + early + program + INSTRUMENT + speak
    before = HEAD + early + INSTRUMENT + program + speak
    without = forge.finish(before, {**environ, "OTEL_SDK_DISABLED": "true"})

    for order in (before, after):
        otlp_receiver.logs.clear()
        with_us = forge.finish(order, environ)

        assert [scrubbed(text) for text in with_us] == [scrubbed(text) for text in without]
        arrived = [log.item.body.string_value for log in otlp_receiver.logs]
        assert sorted(arrived) == sorted(setup.arrives)
