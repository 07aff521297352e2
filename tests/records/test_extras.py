"""Which attributes of a record are the caller's."""

from __future__ import annotations

import logging
import sys

from hypothesis import given
from hypothesis import strategies as st

from otelbridge.records.exceptions import record_exception
from otelbridge.records.extras import extra_fields
from otelbridge.records.uid import record_uid


def make_record(message: object = "hello", **options) -> logging.LogRecord:
    return logging.Logger("shop").makeRecord(
        "shop", logging.INFO, "shop.py", 1, message, (), options.pop("exc_info", None), **options
    )


def test_a_record_without_extra_has_none():
    assert extra_fields(make_record()) == {}


def test_every_key_of_extra_is_given_as_it_is():
    extra = {"user": "alice", "code": 42, "_hidden": 1, "log.level": "x", "dict": {1: 2}, 7: "n"}

    assert extra_fields(make_record(extra=extra)) == extra


def test_what_was_noted_on_the_record_is_not_the_callers():
    try:
        raise ValueError
    except ValueError:
        record = make_record(exc_info=sys.exc_info(), extra={"user": "alice"})
    record_uid(record)
    record_exception(record)
    logging.Formatter("%(asctime)s %(message)s").format(record)
    record.otelTraceID = "0"

    assert extra_fields(record) == {"user": "alice"}


def test_the_keys_of_a_logged_dict_count_among_them():
    record = make_record({"event": "paid", "user": "alice"}, extra={"user": "bob", "code": 1})

    assert extra_fields(record) == {"event": "paid", "user": "alice", "user#2": "bob", "code": 1}
    assert record.msg == {"event": "paid", "user": "alice"}


def test_names_that_are_equal_but_not_the_same_are_kept_apart():
    for name in (1, True, 1.0, "1"):
        [(found, value)] = extra_fields(make_record(extra={name: "x"})).items()

        assert type(found) is type(name)
        assert (found, value) == (name, "x")


@given(
    st.lists(
        st.sampled_from(["user", "code", "_hidden", "otelSpanID", "message", "x" * 200, 7, None])
    ),
    st.sampled_from(["args", "process", "exc_text"]),
)
def test_whatever_the_order_of_attributes_only_the_callers_are_given(names, moved):
    record = make_record()
    set_aside = record.__dict__.pop(moved)
    for number, name in enumerate(names):
        record.__dict__[name] = number
    record.__dict__[moved] = set_aside
    callers = [name for name in record.__dict__ if name in {"user", "code", "_hidden", 7, None}]

    assert extra_fields(record) == {
        name: value
        for name, value in record.__dict__.items()
        if name in callers or name == "x" * 200
    }
