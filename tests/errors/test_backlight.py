"""Tracebacks in the terminal with the program's own lines told from the others."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import textwrap

import pytest
from programs import environment, run_program

PROGRAM = """
import otelbridge
otelbridge.instrument(sinks="none", backlight={backlight!r})
import json
def load(text):
    return json.loads(text)
print("out: {{indented}}   ")
print('Traceback (most recent call last): mine')
load("{{")
"""
PLAIN = PROGRAM.replace('otelbridge.instrument(sinks="none", backlight={backlight!r})', "\n")


def in_a_terminal(program: str, **environ: str) -> tuple[str, str]:
    """Run a program whose standard error is a terminal; return its output and what that shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**environment({"TERM": "xterm", "PYTHON_COLORS": "0"}), **environ},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        pass  # what a terminal says when nobody writes to it any more
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    return out, shown.decode().replace("\r\n", "\n")


def without_colour(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_in_a_pipe_myline_is_what_python_prints() -> None:
    plain = run_program(PLAIN.format())
    ended = run_program(PROGRAM.format(backlight="myline"))
    assert (ended.code, ended.out) == (plain.code, plain.out)
    assert strip_lines(ended.err) == strip_lines(plain.err)
    assert "\x1b" not in ended.err


def strip_lines(text: str) -> str:
    return re.sub(r"line \d+", "line n", text)


def test_in_a_pipe_clean_is_the_own_frames() -> None:
    ended = run_program(PROGRAM.format(backlight="clean"))
    assert "in load" in ended.err
    assert "decoder.py" not in ended.err
    assert "json.decoder.JSONDecodeError: Expecting property name" in ended.err
    assert "\x1b" not in ended.err


def test_on_a_terminal_own_lines_have_the_colour() -> None:
    out, shown = in_a_terminal(PROGRAM.format(backlight="myline"))
    assert out == "out: {indented}   \nTraceback (most recent call last): mine\n"
    plain = run_program(PLAIN.format()).err
    assert strip_lines(without_colour(shown)) == strip_lines(plain)
    own = re.findall(r"\x1b\[1;31m(.*?)\x1b\[0m", shown, re.DOTALL)
    assert [re.findall(r"in (\S+)", text)[0] for text in own] == ["<module>", "load"]
    assert re.search(r'\x1b\[2m  File "[^"]*decoder.py"', shown)


def test_the_colour_is_the_users_choice() -> None:
    _, shown = in_a_terminal(PROGRAM.format(backlight="clean"), OTELBRIDGE_BACKLIGHT_COLOR="cyan")
    assert "\x1b[1;36m" in shown
    assert "decoder.py" not in shown


def test_no_color_means_no_colour() -> None:
    _, shown = in_a_terminal(PROGRAM.format(backlight="myline"), NO_COLOR="1")
    assert "in load" in shown
    assert "\x1b" not in shown


def test_off_by_default() -> None:
    program = PROGRAM.replace(", backlight={backlight!r}", "").format()
    _, shown = in_a_terminal(program)
    assert "decoder.py" in shown
    assert "\x1b" not in shown


def test_threads_too() -> None:
    program = """
    import json, threading, otelbridge
    otelbridge.instrument(sinks="none", backlight="clean")
    worker = threading.Thread(target=lambda: json.loads("{"), name="w")
    worker.start()
    worker.join()
    """
    ended = run_program(program)
    assert ended.code == 0
    assert ended.err.startswith("Exception in thread w:\nTraceback (most recent call last):\n")
    assert "decoder.py" not in ended.err


def test_a_hook_of_the_programs_own_is_not_replaced() -> None:
    program = """
    import sys, otelbridge
    sys.excepthook = lambda kind, error, frames: print("mine")
    otelbridge.instrument(sinks="none", backlight="clean")
    raise ValueError("x")
    """
    ended = run_program(program)
    assert (ended.out, ended.err) == ("mine\n", "")


def test_what_could_move_the_cursor_is_written_out() -> None:
    program = """
    import otelbridge
    otelbridge.instrument(sinks="none", backlight="myline")
    raise ValueError("\\x1b[2Jgone\\x07")
    """
    _, shown = in_a_terminal(program)
    assert "\\x1b[2Jgone\\x07" in shown
    assert "\x1b[2J" not in shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_stream_that_lacks_the_characters(encoding: str) -> None:
    program = """
    import otelbridge
    otelbridge.instrument(sinks="none", backlight="clean")
    raise ValueError("заказ")
    """
    ended = run_program(program, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert ended.code == 1
    assert "ValueError: \\u0437\\u0430\\u043a" in ended.err
