"""Errors that are not sent because somebody said so."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import Any

import pytest
from otlp_receiver import OTLPReceiver
from programs import finish, run_program

from otelbridge.errors.exclusions import Exclusions

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


class Declined(ValueError):
    pass


def record(
    error: BaseException | None = None, message: str = "failed", logger: str = "shop"
) -> Any:
    carried = None if error is None else (type(error), error, None)
    return logging.LogRecord(logger, logging.ERROR, "", 0, message, (), carried)


def excluding(*what: Any, **options: str) -> Exclusions:
    made = Exclusions()
    made.exclude(*what, **options)
    return made


@pytest.mark.parametrize(
    ("what", "excluded", "sent"),
    [
        (ValueError, ValueError("x"), KeyError("x")),
        (ValueError, Declined("x"), KeyError("x")),
        ("ValueError", ValueError("x"), KeyError("x")),
        ("ValueError", Declined("x"), TypeError("x")),
        (f"{Declined.__module__}.Declined", Declined("x"), ValueError("x")),
        ("502 Bad Gateway", RuntimeError("upstream: 502 Bad Gateway"), RuntimeError("502 Bad")),
        # Whole words: a text is not searched for inside others.
        ("foo", RuntimeError("no foo here"), RuntimeError("food.py is missing")),
        ("Error", RuntimeError("Error: x"), RuntimeError("x")),
        (re.compile("timed? ?out"), TimeoutError("it timed out"), TimeoutError("too late")),
        (re.compile("^TimeoutError: it"), TimeoutError("it timed out"), OSError("it timed out")),
    ],
)
def test_what_is_excluded(what: Any, excluded: Exception, sent: Exception) -> None:
    rules = excluding(what)
    assert rules.excludes(record(excluded))
    assert not rules.excludes(record(sent))


def test_the_message_of_the_record_counts_too() -> None:
    rules = excluding("connection lost")
    assert rules.excludes(record(message="connection lost, trying again"))
    assert not rules.excludes(record(message="connections lost"))


def test_by_logger() -> None:
    rules = excluding(logger="noisy.library")
    assert rules.excludes(record(ValueError("x"), logger="noisy.library"))
    assert rules.excludes(record(ValueError("x"), logger="noisy.library.pool"))
    assert not rules.excludes(record(ValueError("x"), logger="noisy.librarian"))


def test_by_logger_and_class() -> None:
    rules = excluding(ValueError, logger="noisy")
    assert rules.excludes(record(ValueError("x"), logger="noisy"))
    assert not rules.excludes(record(KeyError("x"), logger="noisy"))
    assert not rules.excludes(record(ValueError("x"), logger="shop"))


def test_a_group_is_excluded_if_all_of_it_is() -> None:
    rules = excluding(ValueError)
    assert rules.excludes(record(ExceptionGroup("g", [ValueError(1), Declined(2)])))
    assert not rules.excludes(record(ExceptionGroup("g", [ValueError(1), KeyError(2)])))


def test_they_are_counted() -> None:
    rules = excluding(ValueError, "502")
    for error in (ValueError(1), ValueError(2), RuntimeError("502"), KeyError(3)):
        rules.excludes(record(error))
    assert rules.counted == {"ValueError": 2, "502": 1}


def test_each_object_has_its_own() -> None:
    excluding(ValueError)
    assert not Exclusions().excludes(record(ValueError("x")))


def test_the_setting() -> None:
    rules = Exclusions()
    rules.read("ValueError; 502 Bad Gateway\n/a{2,3}, b/ ;logger: noisy;;")
    assert rules.excludes(record(ValueError("x")))
    assert rules.excludes(record(RuntimeError("502 Bad Gateway")))
    assert rules.excludes(record(RuntimeError("aa, b")))
    assert rules.excludes(record(KeyError("x"), logger="noisy"))
    assert not rules.excludes(record(KeyError("x")))
    with pytest.raises(ValueError, match=r"/\(/ is no regular expression"):
        rules.read("/(/")


@pytest.mark.parametrize("what", [17, "", "  ", int, None])
def test_what_cannot_be_excluded(what: Any) -> None:
    with pytest.raises(TypeError, match="takes classes of exceptions, texts"):
        Exclusions().exclude(what)


def test_a_message_of_ten_megabytes_costs_little() -> None:
    rules = excluding("aaaa", re.compile("b+c"))
    begun = time.process_time()
    rules.excludes(record(ValueError("ab" * 5_000_000)))
    assert time.process_time() - begun < 0.2


# --- in programs --------------------------------------------------------------------------------


def test_in_code_before_and_after_instrument(otlp_receiver: OTLPReceiver) -> None:
    program = """
    import logging, otelbridge
    otelbridge.exclude(KeyError)
    otelbridge.instrument()
    otelbridge.exclude("502 Bad Gateway")
    for error in (KeyError("k"), ValueError("v"), RuntimeError("502 Bad Gateway")):
        logging.error("caught", exc_info=error)
    logging.warning("502 Bad Gateway")
    """
    ended = finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    types = [log.attributes.get("exception.type") for log in otlp_receiver.logs]
    # What is no error is not excluded, and the program's own output stays whole.
    assert types == ["ValueError", None]
    assert ended.err.count("caught") == 3


def test_by_variable_uncaught_and_counted(otlp_receiver: OTLPReceiver) -> None:
    program = "import otelbridge; otelbridge.instrument()\nraise ValueError('x')"
    ended = run_program(
        program,
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTELBRIDGE_EXCLUDE="ValueError",
        OTELBRIDGE_HEARTBEAT="30s",
    )
    assert ended.code == 1
    assert ended.err.endswith("ValueError: x\n")
    assert {log.scope for log in otlp_receiver.logs} == {"otelbridge.lifecycle"}
    end = max(otlp_receiver.logs, key=lambda log: log.item.time_unix_nano).attributes
    assert end["otelbridge.process.errors"] == 0
    assert end["otelbridge.process.errors.excluded"] == 1


def test_a_wrong_variable_is_one_line_and_the_program_runs(otlp_receiver: OTLPReceiver) -> None:
    program = "import otelbridge; otelbridge.instrument(); print('runs')"
    ended = finish(
        program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http, OTELBRIDGE_EXCLUDE="/(/"
    )
    assert ended.out == "runs\n"
    assert ended.err.startswith("otelbridge: OTELBRIDGE_EXCLUDE: /(/ is no regular expression")
    assert ended.err.count("\n") == 1
