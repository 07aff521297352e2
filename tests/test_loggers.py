"""The logger that keeps account: what it prints where, and that it can be asked for again."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

import otelbridge

LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (?P<name>\S+) - (?P<level>[A-Z]+) - "
    r"(?P<function>\S+):(?P<line>\d+) - (?P<message>.*)"
)


@pytest.fixture
def name():
    name = f"accounts.{uuid4().hex}"
    yield name
    for handler in list(logging.getLogger(name).handlers):
        logging.getLogger(name).removeHandler(handler)
        handler.close()


def log_each_level(logger: logging.Logger) -> None:
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(logger, level)("this is at the %s level", level)


def test_console_takes_info_and_up_and_file_takes_warning_and_up(tmp_path, name):
    console = io.StringIO()
    logger = otelbridge.get_logger(name, log_dir=tmp_path / "logs", stream=console)

    log_each_level(logger)

    shown = [LINE.fullmatch(line) for line in console.getvalue().splitlines()]
    kept = (tmp_path / "logs" / "api.log").read_text("utf-8").splitlines()
    assert [match and match["level"] for match in shown] == ["INFO", "WARNING", "ERROR", "CRITICAL"]
    assert {match and match["function"] for match in shown} == {"log_each_level"}
    assert {match and match["name"] for match in shown} == {name}
    assert kept == console.getvalue().splitlines()[1:]


def test_asking_again_adds_no_handler(tmp_path, name):
    first = otelbridge.get_logger(name, log_dir=tmp_path)

    again = otelbridge.get_logger(logger_name=name, log_dir=tmp_path)

    assert again is first
    assert len(again.handlers) == 2
    assert again.propagate is False


def test_the_file_is_put_aside_at_midnight_utc(tmp_path, name):
    logger = otelbridge.get_logger(name, log_dir=tmp_path, stream=io.StringIO())
    logger.warning("yesterday")
    yesterday = 1_795_219_199  # 2026-11-20 23:59:59 UTC
    os.utime(tmp_path / "api.log", (yesterday, yesterday))

    logger.warning("today")

    assert (tmp_path / "api.log").read_text("utf-8").endswith("today\n")
    assert (tmp_path / "api.log.2026-11-20").read_text("utf-8").endswith("yesterday\n")


def test_where_no_file_can_be_had_the_console_says_so_and_goes_on(tmp_path, name):
    (tmp_path / "logs").write_text("a file in the folder's place")
    console = io.StringIO()

    logger = otelbridge.get_logger(name, log_dir=tmp_path / "logs", stream=console)
    logger.error("still heard")

    told, heard = console.getvalue().splitlines()
    assert "cannot be written, there is only this console" in told
    assert heard.endswith("still heard")


def test_in_a_program_the_console_is_standard_output(tmp_path):
    program = (
        "import otelbridge\n"
        "logger = otelbridge.get_logger(logger_name=__name__)\n"
        "logger.info('привет')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUTF8": "1"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    line = LINE.fullmatch(done.stdout.decode().rstrip())
    assert line is not None
    assert (line["name"], line["function"], line["message"]) == ("__main__", "<module>", "привет")
    assert done.stderr == b""
    assert (tmp_path / "logs" / "api.log").read_bytes() == b""
