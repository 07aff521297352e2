"""A record as text for people."""

from __future__ import annotations

import logging
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

from otelbridge.records.text import TextFormatter


def make_record(message: object = "hello", *args, extra=None, exc_info=None, sinfo=None):
    return logging.Logger("shop").makeRecord(
        "shop", logging.ERROR, "shop.py", 1, message, args, exc_info, "f", extra, sinfo
    )


def text_of(record: logging.LogRecord, **options) -> str:
    """Return what stands after time and level."""
    head, _, rest = TextFormatter(**options).format(record).partition(" ERROR    ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", head)
    return rest


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("alice", "user=alice"),
        ("alice smith", 'user="alice smith"'),
        ("", 'user=""'),
        ("a=b", 'user="a=b"'),
        ('say "hi"\n', 'user="say \\"hi\\"\\n"'),
        (7, "user=7"),
        (None, "user=null"),
        ({"id": [1]}, 'user={"id":[1]}'),
        ({"a"}, 'user=["a"]'),
        ("пользователь", "user=пользователь"),
    ],
)
def test_extras_follow_the_message_and_can_be_told_apart(value, text):
    assert text_of(make_record(extra={"user": value})) == f"shop hello {text}"


def test_the_trace_is_told_by_its_first_characters():
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        text = text_of(make_record())

    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert text == f"shop hello trace={trace_id[:8]}"


def test_the_traceback_stands_below():
    try:
        raise ValueError("bad input")
    except ValueError:
        text = text_of(make_record(exc_info=sys.exc_info()))

    lines = text.splitlines()
    assert lines[:2] == ["shop hello", "Traceback (most recent call last):"]
    assert lines[-1] == "ValueError: bad input"


def test_a_stack_stands_below():
    assert text_of(make_record(sinfo="Stack:\n  a")) == "shop hello\nStack:\n  a"


def test_line_breaks_are_kept_and_other_control_characters_shown():
    record = make_record("a\nb\tc \x1b[31mred\x07\x9b1m", extra={"k\x1b": "\x1b]0;title\x07"})

    text = text_of(record)

    assert text.startswith("shop a\nb\tc \\x1b[31mred\\x07\\x9b1m k\\x1b=")
    assert "\x1b" not in text


def test_long_texts_are_cut_with_a_mark():
    text = text_of(make_record("m" * 50, extra={"v": "v" * 50}), max_chars=10)

    assert text == 'shop mmmmmmmmmm…[cut: 50 characters] v="vvvvvvvvvv…[cut: 50 characters]"'


def test_a_logged_dict_is_not_written_twice():
    assert text_of(make_record({"a": 1}, extra={"b": 2})) == "shop {'a': 1} b=2"


def test_levels_have_different_colours():
    formatter = TextFormatter(colour=True)
    colours = set()
    for level in (10, 20, 30, 40, 50):
        record = make_record()
        record.levelno, record.levelname = level, logging.getLevelName(level)
        colours.add(re.search(r"(\x1b\[[0-9;]*m)[A-Z]", formatter.format(record))[1])

    assert len(colours) == 5


@pytest.mark.parametrize("created", [float("nan"), 1e30, "noon", None])
def test_a_time_that_is_none_is_written_as_it_is(created):
    record = make_record()
    record.created = created

    assert TextFormatter().format(record).endswith("ERROR    shop hello")


anything = st.recursive(
    st.one_of(st.none(), st.text(st.characters()), st.floats(), st.binary(), st.builds(object)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)


@given(
    st.text(st.characters()),
    st.dictionaries(st.text(st.characters()).map("x".__add__), anything),
)
def test_whatever_is_logged_nothing_reaches_the_terminal_that_could_move_its_cursor(text, extra):
    line = TextFormatter().format(make_record(text, extra=extra))

    line.encode()
    assert not set(line) & {*map(chr, range(32)), *map(chr, range(127, 160))} - {"\n", "\t"}
