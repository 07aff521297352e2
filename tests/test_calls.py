"""Calls of functions, journalled: who, which, with what, and what came of it."""

from __future__ import annotations

import asyncio
import inspect
import logging

import pytest

import otelbridge

logger = logging.getLogger("journal")


@pytest.fixture(autouse=True)
def debug(caplog):
    caplog.set_level(logging.DEBUG, "journal")
    caplog.set_level(logging.DEBUG, __name__)


def fields(record: logging.LogRecord) -> dict:
    return {
        name: value
        for name, value in record.__dict__.items()
        if name.startswith(("call.", "event.", "error."))
    }


@otelbridge.log_calls
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@otelbridge.log_calls(logger="journal", level=logging.INFO)
def sign_in(user, password, **options):
    if password != "right":
        raise PermissionError(f"no: password={password}")
    return {"token": "t0ps3cret", "user": user}


class Till:
    @otelbridge.log_calls(logger=logger)
    def charge(self, amount):
        return amount

    @classmethod
    @otelbridge.log_calls(logger=logger)
    def named(cls):
        return cls.__name__


@otelbridge.log_calls(logger=logger)
async def fetch(key):
    await asyncio.sleep(0)
    return key * 2


@otelbridge.log_calls(logger=logger)
def count(n):
    for number in range(n):
        got = yield number
        if got:
            return got
    return "end"


@otelbridge.log_calls(logger=logger)
async def acount(n):
    for number in range(n):
        try:
            got = yield number
        except KeyError:
            yield "caught"
        else:
            if got:
                yield got


def test_beginning_and_end_are_told_with_caller_arguments_and_result(caplog):
    assert add(1) == 3

    begun, ended = caplog.records
    place = "test_beginning_and_end_are_told_with_caller_arguments_and_result"
    assert begun.getMessage().startswith(f"{__name__}.add(a=1) called by {place}:")
    assert begun.funcName == place
    assert begun.name == __name__
    told = fields(begun)
    assert told["call.function"] == f"{__name__}.add"
    assert told["call.arguments"] == {"a": "1"}
    told = fields(ended)
    assert told["event.outcome"] == "success"
    assert told["event.duration"] > 0
    assert told["call.result"] == "3"
    assert ended.funcName == place


def test_secrets_are_told_neither_in_arguments_nor_results_nor_errors(caplog):
    sign_in("alice", "right", token="abc123", tries=2)
    with pytest.raises(PermissionError):
        sign_in("alice", password="hunter2")

    told = [(record.getMessage(), fields(record)) for record in caplog.records]
    for secret in ("right", "abc123", "t0ps3cret", "hunter2"):
        assert secret not in repr(told)
    assert told[0][1]["call.arguments"]["user"] == "'alice'"
    assert "tries=2" in told[0][0]
    assert told[3][1]["event.outcome"] == "failure"
    assert told[3][1]["error.type"] == "PermissionError"
    assert "raised PermissionError" in told[3][0]


def test_methods_are_told_without_running_code_of_the_object(caplog):
    class Proud(Till):
        def __repr__(self) -> str:
            raise AssertionError("asked")

    assert Proud().charge(5) == 5
    assert Proud.named() == "Proud"

    assert "amount=5" in caplog.records[0].getMessage()
    assert f"{__name__}.Till.charge" in caplog.records[0].getMessage()


def test_coroutines_are_told_when_they_run_and_stay_coroutine_functions(caplog):
    assert inspect.iscoroutinefunction(fetch)
    pending = fetch("a")
    assert caplog.records == []

    async def main():
        return await pending

    assert asyncio.run(main()) == "aa"
    assert [fields(record).get("event.outcome") for record in caplog.records] == [None, "success"]
    assert fields(caplog.records[0])["call.caller"].startswith("main:")


def test_generators_pass_on_what_is_sent_returned_and_closed(caplog):
    assert inspect.isgeneratorfunction(count)
    assert list(count(3)) == [0, 1, 2]
    sent = count(3)
    next(sent)
    with pytest.raises(StopIteration) as stop:
        sent.send("stop")
    assert stop.value.value == "stop"
    closed = count(3)
    next(closed)
    closed.close()

    outcomes = [fields(record).get("event.outcome") for record in caplog.records]
    assert outcomes == [None, "success", None, "success", None, "unknown"]
    assert [fields(caplog.records[place])["call.result"] for place in (1, 3)] == ["'end'", "'stop'"]


def test_async_generators_pass_on_what_is_sent_thrown_and_closed(caplog):
    assert inspect.isasyncgenfunction(acount)

    async def main():
        assert [item async for item in acount(3)] == [0, 1, 2]
        sent = acount(3)
        await sent.__anext__()
        assert await sent.asend("x") == "x"
        await sent.aclose()
        thrown = acount(3)
        await thrown.__anext__()
        assert await thrown.athrow(KeyError("k")) == "caught"
        with pytest.raises(ValueError, match="v"):
            await thrown.athrow(ValueError("v"))

    asyncio.run(main())
    outcomes = [fields(record).get("event.outcome") for record in caplog.records]
    assert outcomes == [None, "success", None, "unknown", None, "failure"]


def test_a_call_that_does_not_fit_raises_as_ever(caplog):
    with pytest.raises(TypeError, match="add"):
        add()

    assert fields(caplog.records[1])["error.type"] == "TypeError"


def test_nothing_is_told_below_the_loggers_level(caplog):
    caplog.set_level(logging.WARNING, "journal")

    assert Till().charge(1) == 1
    assert list(count(1)) == [0]
    assert asyncio.run(fetch("a")) == "aa"
    assert caplog.records == []


def test_name_signature_and_documentation_stay():
    assert add.__name__ == "add"
    assert add.__doc__ == "Add two numbers."
    assert list(inspect.signature(add).parameters) == ["a", "b"]
