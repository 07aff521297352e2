"""Log records are taken without the program noticing: it prints what it would print anyway."""

from __future__ import annotations

import json
import re

import pytest
from otlp_receiver import OTLPReceiver
from programs import finish

START = """
import logging, sys
import otelbridge
from flask import Flask
app = Flask("shop")
otelbridge.instrument(app, request_log=False)
"""

SPEAK = """
app.logger.debug("app debug"); app.logger.info("app info"); app.logger.warning("app warning")
other = logging.getLogger("other")
other.debug("other debug"); other.info("other info"); other.error("other error", exc_info=True)
logging.getLogger("silent").info("silent info")
"""

PROGRAMS = {
    "no configuration: Flask's handler and the handler of last resort": SPEAK,
    "basicConfig afterwards": "logging.basicConfig()" + SPEAK,
    "basicConfig afterwards, with a level": "logging.basicConfig(level='INFO')" + SPEAK,
    "basicConfig afterwards, with WARNING": "logging.basicConfig(level='WARNING')" + SPEAK,
    "basicConfig twice": "logging.basicConfig(level=10); logging.basicConfig(level=50)" + SPEAK,
    "a handler on the app's logger": """
app.logger.setLevel("INFO")
app.logger.addHandler(logging.StreamHandler(sys.stdout))
"""
    + SPEAK,
    "a logger's own level": "app.logger.setLevel('ERROR'); " + SPEAK,
    "the root logger's own level": "logging.root.setLevel('DEBUG'); " + SPEAK,
    "logging disabled": "logging.disable('WARNING'); " + SPEAK,
    "a debug app": "app.debug = True; " + SPEAK,
    "an exception in a view": """
@app.get("/boom")
def boom():
    raise ValueError("oh")
app.test_client().get("/boom")
""",
    "handlers that are looked at": """
print(logging.root.handlers, app.logger.handlers, app.logger.hasHandlers(),
      logging.getLogger("other").hasHandlers())
""",
    "Werkzeug's own lines": """
from werkzeug._internal import _log
_log("info", " * Running on %s", "http://127.0.0.1:5000")
_log("warning", "careful")
""",
}


def scrubbed(text: str) -> str:
    """Leave out what differs from run to run."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "TIME", text)
    return re.sub(r"0x[0-9a-f]+", "ADDRESS", text)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_the_program_prints_what_it_prints_without_us(
    program: str, otlp_receiver: OTLPReceiver
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http,
        "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",  # on a busy machine, too, all is sent
    }
    without = finish(START + program, OTEL_SDK_DISABLED="true", **environ)
    with_us = finish(START + program, **environ)
    assert scrubbed(with_us.out) == scrubbed(without.out)
    assert scrubbed(with_us.err) == scrubbed(without.err)


@pytest.mark.parametrize(
    ("program", "bodies"),
    [
        (SPEAK, ["app info", "app warning", "other info", "other error", "silent info"]),
        ("logging.basicConfig(level='ERROR')" + SPEAK, ["other error"]),
        ("logging.getLogger('other').propagate = False" + SPEAK, None),
        (
            "logging.getLogger('other').disabled = True" + SPEAK,
            ["app info", "app warning", "silent info"],
        ),
    ],
)
def test_what_the_levels_let_through_is_sent_once(
    program: str, bodies: list[str] | None, otlp_receiver: OTLPReceiver
) -> None:
    finish(START + program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    sent = [log.item.body.string_value for log in otlp_receiver.logs]
    expected = ["app info", "app warning", "other info", "other error", "silent info"]
    assert sent == (expected if bodies is None else bodies)


def test_the_log_level_setting_lowers_the_untouched_root_level(
    otlp_receiver: OTLPReceiver,
) -> None:
    ended = finish(
        START + SPEAK,
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTELBRIDGE_LOG_LEVEL="debug",
    )
    sent = {log.item.body.string_value for log in otlp_receiver.logs}
    assert {"app debug", "other debug"} <= sent
    assert "debug" not in ended.err


def test_the_console_sink_takes_the_place_of_what_would_be_printed_by_default(
    otlp_receiver: OTLPReceiver,
) -> None:
    ended = finish(
        START + "app.logger.warning('once'); logging.getLogger('other').error('and once')",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTELBRIDGE_SINKS="otlp,console",
    )
    lines = [json.loads(line) for line in (ended.out + ended.err).splitlines()]
    assert [line["message"] for line in lines] == ["once", "and once"]


def test_nothing_about_sending_is_sent(otlp_receiver: OTLPReceiver) -> None:
    program = START + (
        "logging.getLogger('opentelemetry.sdk').error('inner');"
        "logging.getLogger('otelbridge.sinks').error('ours');"
        "logging.getLogger('urllib3').setLevel('DEBUG');"
        "logging.getLogger('opentelemetryish').error('theirs');"
        "otelbridge.instrument().flush()"
    )
    ended = finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    assert [log.item.body.string_value for log in otlp_receiver.logs] == ["theirs"]
    assert ended.err == "inner\nours\ntheirs\n"
