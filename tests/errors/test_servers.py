"""What a server logs of an error that was reported already is known."""

from __future__ import annotations

import logging

import pytest

from otelbridge.errors.servers import Repetitions


def record(logger: str, message: str, error: BaseException | None = None) -> logging.LogRecord:
    carried = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord(logger, logging.ERROR, "server.py", 1, message, (), carried)


REPORTED = ValueError("oh no")


@pytest.fixture
def repetitions() -> Repetitions:
    return Repetitions(lambda exception: exception is REPORTED)


@pytest.mark.parametrize(
    "server", ["uvicorn.error", "gunicorn.error", "hypercorn.error", "waitress"]
)
def test_a_server_s_record_of_a_reported_error_says_it_again(
    server: str, repetitions: Repetitions
) -> None:
    assert repetitions.holds(record(server, "Exception in ASGI application", REPORTED))
    assert not repetitions.holds(record(server, "Exception in a hook", KeyError("another")))
    assert not repetitions.holds(record(server, "Connection lost"))


def test_the_program_s_own_record_of_a_reported_error_is_its_own(repetitions: Repetitions) -> None:
    assert not repetitions.holds(record("shop", "failed", REPORTED))


def test_a_server_that_is_told_a_traceback_says_it_again(repetitions: Repetitions) -> None:
    repetitions.expect("")
    assert not repetitions.holds(record("uvicorn.error", "Application startup failed. Exiting."))
    repetitions.expect("Traceback: no database")
    assert repetitions.holds(record("uvicorn.error", "Traceback: no database"))
    told = RuntimeError("Lifespan startup failed: Traceback: no database")
    assert repetitions.holds(record("gunicorn.error", "Exception in worker process", told))
    assert not repetitions.holds(record("uvicorn.error", "Application startup failed. Exiting."))
