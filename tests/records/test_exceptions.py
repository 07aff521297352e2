"""An exception as text."""

from __future__ import annotations

import builtins
import json
import logging
import pickle
import sys
import time

import pytest

from otelbridge.records.exceptions import cut_middle, exception_fields, record_exception


class Declined(Exception):
    pass


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class HostileAttributes(Exception):
    def __getattribute__(self, name: str):
        if name.startswith("__") and name not in {"__class__", "__traceback__"}:
            raise RuntimeError(name)
        return super().__getattribute__(name)


def raised(exception: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise exception from cause
    except BaseException as caught:
        return caught


def make_record(exc_info: object, message: str = "failed") -> logging.LogRecord:
    return logging.LogRecord("shop", logging.ERROR, "shop.py", 1, message, (), exc_info)


def exc_info(exception: BaseException) -> tuple:
    return type(exception), exception, exception.__traceback__


def test_type_message_and_stack():
    fields = exception_fields(exc_info(raised(ValueError("bad input"))))

    assert fields.type == "ValueError"
    assert fields.message == "bad input"
    assert fields.stack_trace.startswith("Traceback (most recent call last):\n  File ")
    assert "raise exception from cause" in fields.stack_trace
    assert fields.stack_trace.endswith("\nValueError: bad input")


def test_a_type_that_is_not_built_in_is_named_with_its_module():
    assert exception_fields(raised(Declined("no"))).type == f"{__name__}.Declined"


def test_causes_and_contexts_are_in_the_stack_trace_and_type_is_the_outermosts():
    try:
        try:
            raise KeyError("k")
        except KeyError:
            raise OSError("disk")  # noqa: B904
    except OSError as error:
        fields = exception_fields(raised(Declined("final"), cause=error))

    assert (fields.type, fields.message) == (f"{__name__}.Declined", "final")
    assert "KeyError: 'k'\n\nDuring handling of the above" in fields.stack_trace
    assert "OSError: disk\n\nThe above exception was the direct cause" in fields.stack_trace
    assert fields.stack_trace.endswith("Declined: final")


def test_groups_and_notes_are_in_the_stack_trace():
    # From 3.11 on; the name does not exist before.
    group_type = getattr(builtins, "ExceptionGroup", None)
    if group_type is None:
        assert sys.version_info < (3, 11)
        return
    inner = raised(ValueError("inner"))
    inner.add_note("seen at the till")
    fields = exception_fields(raised(group_type("several", [inner, TypeError("other")])))

    assert fields.type == "ExceptionGroup"
    assert "ValueError: inner" in fields.stack_trace
    assert "seen at the till" in fields.stack_trace
    assert "TypeError: other" in fields.stack_trace


def test_an_exception_whose_text_cannot_be_had_is_still_described():
    fields = exception_fields(raised(Unprintable()))

    assert fields.type == f"{__name__}.Unprintable"
    assert fields.message == "Unprintable()"
    assert "raise exception from cause" in fields.stack_trace


def test_an_exception_whose_attributes_raise_is_still_described():
    exception = HostileAttributes("x")
    try:
        raise exception
    except HostileAttributes:
        fields = exception_fields(sys.exc_info())

    assert fields.type == f"{__name__}.HostileAttributes"
    assert "raise exception" in fields.stack_trace


@pytest.mark.parametrize("value", [None, (None, None, None), True, 7, "text", ()])
def test_what_holds_no_exception_gives_none(value):
    assert exception_fields(value) is None


def test_an_exception_that_was_never_raised_has_its_last_line_only():
    assert exception_fields(ValueError("x")).stack_trace == "ValueError: x"


def test_a_stack_trace_is_cut_in_the_middle_so_that_both_ends_are_seen():
    fields = exception_fields(raised(ValueError("x" * 2**20 + "the end")), max_chars=1000)

    assert fields.stack_trace.startswith("Traceback (most recent call last):")
    assert fields.stack_trace.endswith("x" * 100 + "the end")
    assert "\n…[cut: 10" in fields.stack_trace
    assert len(fields.stack_trace) < 1100
    assert fields.message.endswith(f"…[cut: {2**20 + 7} characters]")


def test_cutting_keeps_halves():
    assert cut_middle("a" * 10 + "b" * 10, 10) == "aaaaa\n…[cut: 20 characters]…\nbbbbb"
    assert cut_middle("abc", 3) == "abc"
    assert cut_middle("\udc80", 3) == "\\udc80"


def test_a_long_message_takes_time_in_line_with_its_length():
    started = time.thread_time()
    exception_fields(raised(ValueError("token " + "a" * 2**20 + "\n" + "b" * 2**20)))

    assert time.thread_time() - started < 5


def test_endless_recursion_is_described():
    def endless() -> None:
        endless()

    try:
        endless()
    except RecursionError as error:
        fields = exception_fields(error)

    assert fields.type == "RecursionError"
    assert "Previous line repeated" in fields.stack_trace


def test_a_long_chain_is_described():
    chain: BaseException = ValueError("first")
    for number in range(2000):
        chain = raised(Declined(str(number)), cause=chain)

    fields = exception_fields(chain)

    assert fields.message == "1999"
    assert fields.stack_trace.endswith("Declined: 1999")


def test_a_record_is_described_once_for_all_sinks_of_one_limit(monkeypatch):
    record = make_record(exc_info(raised(ValueError("x" * 100))))

    first = record_exception(record)
    record.exc_info = None

    assert record_exception(record) == first
    assert pickle.loads(pickle.dumps(record)).__dict__ == record.__dict__


def test_each_sink_has_its_own_limit():
    record = make_record(exc_info(raised(ValueError("x" * 100))))

    assert record_exception(record, 10).message == "x" * 10 + "…[cut: 100 characters]"
    assert record_exception(record, 1000).message == "x" * 100


def test_a_record_that_brings_only_a_text_keeps_it():
    record = make_record(None)
    record.exc_text = "Traceback (most recent call last):\nValueError: x"

    assert record_exception(record)[:3] == ("", "", record.exc_text)


def test_a_record_without_exception_has_none():
    assert record_exception(make_record(None)) is None
    assert record_exception(make_record((None, None, None))) is None


def test_stand_ins_for_the_frames_of_another_process_are_told_as_the_frames() -> None:
    from billiard.einfo import ExceptionInfo

    try:
        json.loads("{")
    except ValueError as error:
        carried = ExceptionInfo()
        as_raised = exception_fields(error)
        packed = exception_fields((type(error), error, carried.tb))
    assert as_raised is not None
    assert packed is not None
    assert packed.fingerprint == as_raised.fingerprint
    assert (packed.type, packed.message) == (as_raised.type, as_raised.message)
    assert packed.minimal == as_raised.minimal
    assert "in test_stand_ins" in packed.stack_trace
    assert "decoder.py" not in packed.clean
    assert packed.clean.splitlines()[-1] == as_raised.clean.splitlines()[-1]
