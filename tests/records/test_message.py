"""A record's message, whatever was passed to the call."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.records.message import message_text


class Bad:
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class BadFormat(str):
    __slots__ = ()

    def __mod__(self, arguments: object) -> int:
        return 7

    def __str__(self) -> str:
        return self


def make_record(message: object, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("shop", logging.INFO, "shop.py", 1, message, arguments, None)


BAD = f"…[unprintable {__name__}.Bad: ValueError]"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (("order %s of %d", "A1", 2), "order A1 of 2"),
        (("%(user)s", {"user": "alice"}), "alice"),
        (("100%",), "100%"),
        ((ValueError("as the message"),), "as the message"),
        (("\udc80",), "\\udc80"),
        (("user %s of %s", Bad(), "shop"), f"user {BAD} of shop"),
        (("user %r", Bad()), f"user {BAD}"),
        (("%(user)s", {"user": Bad()}), BAD),
        ((Bad(),), BAD),
    ],
)
def test_message(call, text):
    assert message_text(make_record(*call)) == text


@pytest.mark.parametrize(
    ("call", "begin", "end"),
    [
        (("no place", 1), "no place …[not formatted: TypeError: ", "; arguments: (1,)]"),
        (("%s %s", 1), "%s %s …[not formatted: TypeError: ", "; arguments: (1,)]"),
        (("%d", "seven"), "%d …[not formatted: TypeError: ", "; arguments: ('seven',)]"),
        (("5% x %", 1), "5% x % …[not formatted: ValueError: ", "; arguments: (1,)]"),
        (("%d", Bad()), "%d …[not formatted: TypeError: ", f"; arguments: ({BAD},)]"),
        ((Bad(), 1), f"{BAD} …[not formatted: TypeError: ", "; arguments: (1,)]"),
        (("%(a)s", {"b": 1}), "%(a)s …[not formatted: KeyError: ", "; arguments: {'b': 1}]"),
    ],
)
def test_message_and_arguments_that_do_not_fit_are_both_written(call, begin, end):
    message = message_text(make_record(*call))

    assert message.startswith(begin)
    assert message.endswith(end)


def test_a_long_message_is_cut_with_a_mark():
    assert message_text(make_record("%s", "x" * 100), 10) == "xxxxxxxxxx…[cut: 100 characters]"


def test_a_message_that_formats_to_something_else_than_text_is_repaired():
    assert message_text(make_record(BadFormat("n %s"), 1)) == "n 1"


arguments = st.one_of(st.text(), st.integers(), st.none(), st.builds(Bad), st.binary())


@given(
    st.one_of(st.text("%sdrx()f.0 ", max_size=12), st.builds(Bad), st.integers()),
    st.lists(arguments, max_size=3),
)
def test_no_call_raises_and_a_call_without_arguments_is_taken_at_its_word(message, args):
    text = message_text(make_record(message, *args))

    text.encode()
    if not args and not isinstance(message, Bad):
        assert text == str(message)
