"""What docs/frameworks.md has a row for: whole programs, and what arrives of each."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from otlp_receiver import OTLPReceiver, Received
from postgresql_server import running_postgresql
from programs import environment
from redis_server import running_redis

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
# Nothing is awaited for longer; a machine may be slow.
PATIENCE = 120.0
# Metrics that every process has.
_COMMON = re.compile(r"(process|system|cpython|otelbridge|otel)\.")


@dataclass(frozen=True)
class Row:
    """A row of the page's table, its cells without the backquotes around the whole of one."""

    what: str
    line: str
    logs: str
    spans: str
    metrics: str
    errors: str
    name: str


def rows() -> dict[str, Row]:
    """Read the page's table, by the names of its rows."""
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("|") and len(cells) == 7 and cells[-1].startswith("`"):
            row = Row(*cells[:-1], cells[-1].strip("`"))
            found[row.name] = row
    return found


@dataclass(frozen=True)
class Combination:
    """A program with a framework, a logger or a library in it.

    Attributes:
        files: its texts, by their files' names.
        command: how it is run; a server finds a port for itself, and prints its address.
        asks: the paths that it is asked for, if it is a server.
        then: a second command, run while the first one works.
        until: the message of the log record that is awaited after that.
        service: a server that it needs; variables tell it where that is.
        environ: more variables.
        library: whose instrumentation makes its spans, all but one.
    """

    files: dict[str, str]
    command: str = "python shop.py"
    asks: tuple[str, ...] = ()
    then: str = ""
    until: str = ""
    service: Callable[[], object] | None = None
    environ: dict[str, str] = field(default_factory=dict)
    library: str = ""

    @property
    def starts_servers(self) -> bool:
        """Whether more than a Python program is started."""
        return bool(self.asks or self.service)

    def shows(self, line: str) -> bool:
        """Tell whether a line is what somebody wrote into this program, or ran it by."""
        return any(line in text for text in (self.command, *self.files.values()))

    def check(self, receiver: OTLPReceiver) -> None:
        """Fail unless what has arrived is from where it should be."""
        assert any(metric.item.name.startswith("process.") for metric in receiver.metrics)
        for log in receiver.logs:
            if "exception.type" in log.attributes:
                assert {"exception.stacktrace", "otelbridge.fingerprint"} <= log.attributes.keys()
        if self.library:
            assert {span.scope for span in receiver.traces} == {
                "shop",
                f"opentelemetry.instrumentation.{self.library}",
            }
        sent = [item.attributes for item in (*receiver.logs, *receiver.traces)]
        assert "s3cret" not in repr([sent, [log.item.body for log in receiver.logs]])

    def run(self, folder: Path, receiver: OTLPReceiver) -> None:
        """Run it to its end; everything has arrived then."""
        for name, text in self.files.items():
            (folder / name).write_text(text, "utf-8")
        with ExitStack() as stack:
            given = stack.enter_context(self.service()) if self.service else {}
            environ = environment(
                {
                    "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http,
                    "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",
                    "NO_PROXY": "127.0.0.1",
                    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                    **self.environ,
                    **given,
                }
            )
            with (folder / "printed").open("w") as output:
                process = subprocess.Popen(
                    self.command.split(),
                    cwd=folder,
                    env=environ,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            stack.callback(_end, process)
            if self.asks:
                port = _port(process, folder / "printed")
                for path in self.asks:
                    _ask(port, path)
            if self.then:
                subprocess.run(
                    self.then.split(), cwd=folder, env=environ, check=True, timeout=PATIENCE
                )
                receiver.log(self.until, PATIENCE)
            if self.asks or self.then:
                process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            if not (self.asks or self.then):
                assert process.returncode == 0, (folder / "printed").read_text()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _port(process: subprocess.Popen[bytes], printed: Path) -> int:
    """Wait for a server to print where it listens."""
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(r"http://127\.0\.0\.1:(\d+)\D", printed.read_text("utf-8"))):
        assert process.poll() is None, printed.read_text("utf-8")
        assert time.monotonic() < deadline, printed.read_text("utf-8")
        time.sleep(0.05)
    return int(found[1])


def _ask(port: int, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    finally:
        connection.close()


def told(receiver: OTLPReceiver, line: str, row: Row) -> Row:
    """Write the row that tells what has arrived."""
    spans = receiver.traces
    # What servers say of their own start and end is of no request, and not always as much.
    logs = [
        log
        for log in receiver.logs
        if not spans or log.item.trace_id or log.scope.endswith(".access")
    ]
    outside = {log.scope for log in receiver.logs} - {log.scope for log in logs}
    metrics = {metric.item.name for metric in receiver.metrics}
    return Row(
        row.what,
        line,
        ", ".join(
            [_listed(log.scope for log in logs), *(f"also `{each}`" for each in sorted(outside))]
        ),
        _listed(_paths(spans)),
        _listed(name for name in metrics if not _COMMON.match(name)),
        _listed(
            log.attributes["exception.type"]
            for log in receiver.logs
            if "exception.type" in log.attributes
        ),
        row.name,
    )


def _listed(names: Iterable[str]) -> str:
    counted = sorted(Counter(names).items())
    return ", ".join(f"`{name}`" if n == 1 else f"{n} `{name}`" for name, n in counted) or "–"


def _paths(spans: list[Received]) -> Iterator[str]:
    by_id = {span.item.span_id: span.item for span in spans}
    parents = {span.parent_span_id for span in by_id.values()}
    for span in by_id.values():
        if span.span_id in parents:
            continue
        path = [span.name]
        while span.parent_span_id:
            # A parent of another trace, or one that did not arrive, is a fault.
            parent = by_id[span.parent_span_id]
            assert parent.trace_id == span.trace_id
            span = parent
            path.append(span.name)
        yield " > ".join(reversed(path))


@contextmanager
def _redis() -> Iterator[dict[str, str]]:
    with running_redis() as path:
        yield {"REDIS": f"unix://{path}", "BROKER": f"redis+socket://{path}"}


@contextmanager
def _postgresql() -> Iterator[dict[str, str]]:
    with running_postgresql() as address:
        yield {"POSTGRESQL": address}


_ASKS = ("/order", "/broken")

_FLASK = """
import logging
from flask import Flask

app = Flask("shop")

@app.get("/order")
def order():
    logging.getLogger("orders").warning("sold")
    return "sold"

@app.get("/broken")
def broken():
    return 1 / 0
"""
_FLASK_RUN = "flask --app shop run --port 0"

_DJANGO = """
import logging
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
import otelbridge

otelbridge.instrument()
settings.configure(SECRET_KEY="a long one", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)

def order(request):
    logging.getLogger("orders").warning("sold")
    return HttpResponse("sold")

def broken(request):
    return HttpResponse(1 / 0)

urlpatterns = [path("order", order), path("broken", broken)]
application = get_wsgi_application()
"""
_BIND = "--no-control-socket --bind 127.0.0.1:0"

_ASGI = """
import logging

def order(*request):
    logging.getLogger("orders").warning("sold")
    return PlainTextResponse("sold")

def broken(*request):
    return 1 / 0
"""
_FASTAPI = """
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
import otelbridge

app = FastAPI(title="shop")
otelbridge.instrument(app)
"""
_STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
import otelbridge
"""
_STARLETTE_APP = """
app = Starlette(routes=[Route("/order", order), Route("/broken", broken)])
otelbridge.instrument(app)
"""
_ASGI_RUN = "uvicorn shop:app --no-access-log --port 0"

_TASKS = """
import logging, os
from celery import Celery
import otelbridge

otelbridge.instrument()
app = Celery("shop", broker=os.environ["BROKER"])

@app.task
def bill(price):
    logging.getLogger("orders").warning("billed")
    if price > 100:
        raise ValueError("over the limit")
    logging.getLogger("orders").warning("paid")
"""
_CHECKOUT = """
from shop import bill
import otelbridge

with otelbridge.span("checkout"):
    bill.delay(400)
    bill.delay(4)
"""


def _celery(pool: str) -> Combination:
    return Combination(
        {"shop.py": _TASKS, "checkout.py": _CHECKOUT},
        f"celery -A shop worker --pool={pool} --concurrency=1",
        then="python checkout.py",
        until="paid",
        service=_redis,
        environ={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis"},
    )


_SPEAK = """
log.info("sold")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("broken")
"""
_LOGGING = (
    "import io, logging, logging.config, logging.handlers, queue, warnings\nimport otelbridge\n\n"
    "otelbridge.instrument()\n"
)
_LOGGER = '\nlog = logging.getLogger("orders")\n' + _SPEAK


def _logging(setup: str) -> Combination:
    return Combination({"shop.py": _LOGGING + setup + _LOGGER})


def _library(
    name: str, program: str, service: Callable[[], object] | None = None, leave: str = ""
) -> Combination:
    """Call a library in a span of the program's own, which knows OpenTelemetry only."""
    head = "import logging, os\nfrom opentelemetry import trace\n"
    work = 'with trace.get_tracer("shop").start_as_current_span("work"):\n'
    said = '    logging.getLogger("orders").warning("done")\n'
    imports, _, calls = program.strip().partition("\n\n")
    body = "".join(f"    {line}\n" for line in calls.splitlines())
    return Combination(
        {"shop.py": head + imports + "\n" + work + body + said},
        "otelbridge run python shop.py",
        service=service,
        environ={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": leave},
        library=name,
    )


# A server of the standard library's, which nobody instruments.
_WEB = """import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_message(self, *arguments):
        pass
server = HTTPServer(("127.0.0.1", 0), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}/?token=s3cret"
"""

COMBINATIONS = {
    "flask-instrument": Combination(
        {"shop.py": _FLASK + "\nimport otelbridge\notelbridge.instrument(app)\n"},
        _FLASK_RUN,
        _ASKS,
    ),
    "flask-init-app": Combination(
        {
            "shop.py": "import otelbridge\ntelemetry = otelbridge.instrument()\n"
            + _FLASK
            + "\ntelemetry.init_app(app)\n"
        },
        _FLASK_RUN,
        _ASKS,
    ),
    "flask-zero-code": Combination({"shop.py": _FLASK}, f"otelbridge run {_FLASK_RUN}", _ASKS),
    "django": Combination({"shop.py": _DJANGO}, f"gunicorn shop:application {_BIND}", _ASKS),
    "fastapi": Combination(
        {
            "shop.py": _FASTAPI
            + _ASGI
            + '\napp.get("/order")(lambda: order())\napp.get("/broken")(lambda: broken())\n'
        },
        _ASGI_RUN,
        _ASKS,
    ),
    "starlette": Combination({"shop.py": _STARLETTE + _ASGI + _STARLETTE_APP}, _ASGI_RUN, _ASKS),
    "celery-prefork": _celery("prefork"),
    "celery-threads": _celery("threads"),
    "script-decorator": Combination(
        {
            "shop.py": """
import logging
import otelbridge

otelbridge.instrument()

@otelbridge.span("nightly")
def main():
    logging.getLogger("orders").warning("sold")
    try:
        1 / 0
    except ZeroDivisionError:
        logging.getLogger("orders").exception("broken")

main()
"""
        }
    ),
    "script-with": Combination(
        {
            "shop.py": """
import logging
import otelbridge

otelbridge.instrument()
log = logging.getLogger("orders")

with otelbridge.span("nightly"):
    log.warning("sold")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("broken")
"""
        }
    ),
    "logging-basicConfig": _logging("logging.basicConfig(level='INFO')"),
    "logging-dictConfig": _logging(
        "logging.config.dictConfig({'version': 1, 'root': {'level': 'INFO', 'handlers': ['out']},\n"
        "    'handlers': {'out': {'class': 'logging.StreamHandler'}}})"
    ),
    "logging-fileConfig": _logging(
        'logging.config.fileConfig(io.StringIO("""\n'
        "[loggers]\nkeys=root\n[handlers]\nkeys=out\n[formatters]\nkeys=\n"
        "[logger_root]\nlevel=INFO\nhandlers=out\n"
        '[handler_out]\nclass=StreamHandler\nargs=()\n"""))'
    ),
    "logging-QueueHandler": _logging(
        "waiting = queue.Queue()\n"
        "logging.basicConfig(level='INFO', handlers=[logging.handlers.QueueHandler(waiting)])\n"
        "listener = logging.handlers.QueueListener(waiting, logging.StreamHandler())\n"
        "listener.start()"
    ),
    "structlog": Combination(
        {
            "shop.py": """
import structlog
import otelbridge

otelbridge.instrument()
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        otelbridge.structlog_processor,
        structlog.processors.JSONRenderer(),
    ]
)
log = structlog.get_logger().bind(logger="orders")
"""
            + _SPEAK
        }
    ),
    "loguru": Combination(
        {
            "shop.py": """
from loguru import logger as log
import otelbridge

otelbridge.instrument()
log.add(otelbridge.loguru_sink)
"""
            + _SPEAK
        }
    ),
    "warnings": Combination(
        {
            "shop.py": """
import logging
import warnings
import otelbridge

otelbridge.instrument()
logging.captureWarnings(True)
warnings.warn("old", DeprecationWarning)
"""
        },
        environ={"PYTHONWARNINGS": "default"},
    ),
    "gunicorn-logs": Combination(
        {"shop.py": _FLASK},
        f"otelbridge run gunicorn shop:app --access-logfile - {_BIND}",
        _ASKS,
    ),
    "uvicorn-logs": Combination(
        {
            "shop.py": _STARLETTE.replace("import otelbridge\n", "")
            + _ASGI
            + _STARLETTE_APP.replace("otelbridge.instrument(app)\n", "")
        },
        "otelbridge run uvicorn shop:app --port 0",
        _ASKS,
    ),
    "requests": _library("requests", f"{_WEB}import requests\n\nrequests.get(address)"),
    "httpx": _library("httpx", f"{_WEB}import httpx\n\nhttpx.get(address)"),
    "urllib3": _library("urllib3", f"{_WEB}import urllib3\n\nurllib3.request('GET', address)"),
    "sqlalchemy": _library(
        "sqlalchemy",
        "from sqlalchemy import create_engine, text\n\n"
        "with create_engine('sqlite://').connect() as connection:\n"
        "    connection.execute(text('select 1'))",
        leave="sqlite3",
    ),
    "psycopg": _library(
        "psycopg",
        "import psycopg\n\n"
        "with psycopg.connect(os.environ['POSTGRESQL']) as connection:\n"
        "    connection.execute('select 1')",
        _postgresql,
    ),
    "sqlite3": _library(
        "sqlite3", "import sqlite3\n\nsqlite3.connect(':memory:').cursor().execute('select 1')"
    ),
    "redis": _library(
        "redis", "import redis\n\nredis.from_url(os.environ['REDIS']).ping()", _redis
    ),
    "jinja2": _library("jinja2", "import jinja2\n\njinja2.Template('hello').render()"),
}
