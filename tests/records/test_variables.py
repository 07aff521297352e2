"""The local variables of an error's frames."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

import pytest

from otelbridge.records.exceptions import exception_fields, tell_variables
from otelbridge.records.variables import written


class Order:
    """A class of the program's, whose code must not be run."""

    asked = 0

    def __repr__(self) -> str:
        Order.asked += 1
        return "Order(...)"

    __str__ = __repr__


@pytest.fixture
def wanted() -> Any:
    tell_variables(True)
    yield
    tell_variables(False)


def pay(order: Any, password: str, card_number: str, text: str) -> None:
    address = "postgresql://shop:hunter2@db/shop"
    payload = {"user": "alice", "api_key": "hunter2", "nested": {"session_token": "hunter2"}}
    json.loads(text)
    print(address, payload)


def described() -> Any:
    try:
        pay(Order(), "hunter2", "4111 1111 1111 1111", "{")
    except ValueError as error:
        return exception_fields(error)


def test_they_are_not_told_unless_wanted() -> None:
    assert described().variables == ()
    assert "otelbridge.variables" not in described().attributes()


@pytest.mark.usefixtures("wanted")
def test_own_frames_with_secrets_masked() -> None:
    found = described().attributes()["otelbridge.variables"]
    [outer, inner] = found
    assert outer["frame"].endswith(" in described")
    assert inner["frame"].endswith(" in pay")
    variables = inner["variables"]
    assert variables["password"] == "***"
    assert variables["text"] == "'{'"
    assert "alice" in variables["payload"]
    assert "hunter2" not in json.dumps(found)
    assert "4111" not in json.dumps(found)


@pytest.mark.usefixtures("wanted")
def test_no_code_of_the_program_is_run() -> None:
    Order.asked = 0
    variables = described().variables[-1]["variables"]
    assert variables["order"].endswith(".Order>")
    assert Order.asked == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (None, "None"),
        (1.5, "1.5"),
        ("it's", '"it\'s"'),
        ([1, "a", (2,)], "[1, 'a', (2)]"),
        ({"a": {"b": {"c": {"d": 1}}}}, "{'a': {'b': {'c': <dict of 1>}}}"),
        (datetime.date(2026, 1, 2), "datetime.date(2026, 1, 2)"),
        (uuid.UUID(int=1), "UUID('00000000-0000-0000-0000-000000000001')"),
        (2**4000, "<int of 4001 bits>"),
        ({"password": 1, "x": 2}, "{'password': ***, 'x': 2}"),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert written(value) == text


def test_values_are_cut() -> None:
    assert len(written("x" * 10_000_000)) < 400
    assert len(written(list(range(1_000_000)))) < 400
    assert "[1000000]" in written(["a"] * 1_000_000)


def test_a_value_that_contains_itself() -> None:
    inside: list[Any] = []
    inside.append(inside)
    assert written(inside) == "[[[<list of 1>]]]"
