"""Which attributes of a record are the caller's."""

from __future__ import annotations

import logging
import sys

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
