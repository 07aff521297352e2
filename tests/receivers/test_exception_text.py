"""Reading from a traceback's text what was raised."""

from __future__ import annotations

import time
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.receivers.announced.exception_text import Raised, raised_by


def text_of(program: str) -> str:
    try:
        exec(compile(program, "program.py", "exec"), {})
    except BaseException:
        return traceback.format_exc()
    raise AssertionError("it raised nothing")


@pytest.mark.parametrize(
    ("program", "raised"),
    [
        ("raise ValueError('no such order')", Raised("ValueError", "no such order")),
        ("raise ValueError", Raised("ValueError", "")),
        ("raise ValueError('a: b: c')", Raised("ValueError", "a: b: c")),
        ("raise ValueError('first\\n\\n  third')", Raised("ValueError", "first\n\n  third")),
        ("import json; json.loads('{')", Raised("json.decoder.JSONDecodeError", None)),
        ("raise KeyboardInterrupt", Raised("KeyboardInterrupt", "")),
        ("raise SystemExit(3)", Raised("SystemExit", "3")),
        ("def f(): return f()\nf()", Raised("RecursionError", None)),
        ("eval('a b')", Raised("SyntaxError", None)),
        (
            "try: {}['k']\nexcept KeyError as e: raise ValueError('final failure') from e",
            Raised("ValueError", "final failure"),
        ),
        (
            "try: {}['k']\nexcept KeyError: raise ValueError('meanwhile')",
            Raised("ValueError", "meanwhile"),
        ),
    ],
)
def test_it_is_what_was_raised_last(program, raised):
    found = raised_by(text_of(program))

    assert found.type == raised.type
    assert raised.message is None or found.message == raised.message


def test_the_last_line_break_may_be_missing():
    assert raised_by(text_of("raise ValueError('x')")[:-1]) == Raised("ValueError", "x")


GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "program.py", line 1, in <module>
  |     raise ExceptionGroup('many', [ValueError('x'), KeyError('y')])
  | ExceptionGroup: many (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "program.py", line 3, in one
    | ValueError: x
    +---------------- 2 ----------------
    | KeyError: 'y'
    +------------------------------------
"""


def test_of_a_group_it_is_the_group():
    assert raised_by(GROUP) == Raised("ExceptionGroup", "many (2 sub-exceptions)")


@pytest.mark.parametrize("text", ["", "hello", "Traceback (most recent call last):", "\n\n"])
def test_what_is_no_traceback_names_nothing(text):
    assert raised_by(text) == Raised("", "")


def test_a_long_word_costs_little():
    text = text_of(f"raise ValueError('token\\n' + 'x' * {10**5})")
    began = time.thread_time()

    assert raised_by(text).message.startswith("token\nxxx")
    assert time.thread_time() - began < 0.5


@given(st.text())
def test_no_text_is_too_odd(text):
    raised_by(text)
    raised_by("Traceback (most recent call last):\n" + text)
