"""The console handler: text for people on a terminal, JSON for programs in a pipe."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
import re
import subprocess
import sys
import textwrap

import pytest

import otelbridge


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _no_colour_variables(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def make_logger(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("shop", logging.DEBUG)
    logger.addHandler(handler)
    return logger


def written(stream: io.StringIO, message: object, *args, level="info", **options) -> str:
    format = options.pop("format", "auto")
    logger = make_logger(otelbridge.ConsoleHandler(stream, format=format))
    getattr(logger, level)(message, *args, **options)
    return stream.getvalue()


def test_a_terminal_is_written_coloured_text():
    text = written(Terminal(), "order %s placed", "A1", extra={"user": "alice"})

    assert "\x1b[32mINFO" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO     shop order A1 placed user=alice\n", plain
    )


def test_a_pipe_is_written_json_lines():
    line = json.loads(written(io.StringIO(), "hello", extra={"user": "alice"}))

    assert (line["message"], line["user"]) == ("hello", "alice")


def test_either_can_be_asked_for():
    assert json.loads(written(Terminal(), "hello", format="json"))["message"] == "hello"
    assert written(io.StringIO(), "hello", format="text").endswith(" INFO     shop hello\n")


@pytest.mark.parametrize(
    ("stream", "variables", "coloured"),
    [
        (Terminal, {}, True),
        (io.StringIO, {}, False),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"NO_COLOR": ""}, True),
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {"FORCE_COLOR": "1"}, True),
        (io.StringIO, {"FORCE_COLOR": ""}, False),
        (Terminal, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours_follow_the_terminal_and_the_usual_variables(
    monkeypatch, stream, variables, coloured
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert ("\x1b[" in written(stream(), "x", format="text")) is coloured


def test_forcing_colours_does_not_turn_a_pipes_json_into_text(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert json.loads(written(io.StringIO(), "x"))["message"] == "x"


def test_writes_to_standard_error_unless_told_otherwise(capsys):
    make_logger(otelbridge.ConsoleHandler()).info("hello")

    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["message"] == "hello"


def test_a_stream_that_cannot_encode_a_character_is_given_an_escape():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    make_logger(otelbridge.ConsoleHandler(stream, format="text")).info("цена 5€")

    assert raw.getvalue().endswith(b"\\u0446\\u0435\\u043d\\u0430 5\\u20ac\n")


class Bad:
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize("call", [("user %s", Bad()), ("%d", "seven"), (Bad(),)])
def test_a_call_that_cannot_be_formatted_is_written_with_a_mark(capsys, format, call):
    assert "…[" in written(io.StringIO(), *call, format=format, extra={"bad": Bad()})
    assert capsys.readouterr().err == ""


def test_a_formatter_of_the_users_own_is_repaired_too(capsys):
    stream = io.StringIO()
    handler = otelbridge.ConsoleHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    make_logger(handler).error("user %s", Bad())

    assert stream.getvalue() == f"ERROR user …[unprintable {__name__}.Bad: ValueError]\n"
    assert capsys.readouterr().err == ""


def test_a_stream_that_is_no_more_than_write_will_do():
    class Minimal:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

    stream = Minimal()
    make_logger(otelbridge.ConsoleHandler(stream)).info("hello")

    assert json.loads(stream.text)["message"] == "hello"


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="format is 'xml'; allowed: auto, text, json"):
        otelbridge.ConsoleHandler(format="xml")


def test_works_from_dict_config(capsys):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"console": {"class": "otelbridge.ConsoleHandler", "format": "text"}},
            "loggers": {"test.console": {"handlers": ["console"], "propagate": False}},
        }
    )
    logging.getLogger("test.console").warning("low stock")

    assert capsys.readouterr().err.endswith(" WARNING  test.console low stock\n")


def test_a_real_terminal_and_a_real_pipe():
    program = textwrap.dedent("""
        import logging, otelbridge
        logging.getLogger().addHandler(otelbridge.ConsoleHandler())
        logging.warning("hello")
    """)
    ours, terminal = os.openpty()
    subprocess.run([sys.executable, "-c", program], stderr=terminal, check=True)
    on_terminal = os.read(ours, 65_536).decode()
    os.close(ours)
    os.close(terminal)
    in_pipe = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert "\x1b[33mWARNING \x1b[0m" in on_terminal
    assert json.loads(in_pipe.stderr)["message"] == "hello"
