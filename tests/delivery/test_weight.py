"""What a record weighs: about what it takes, whatever it holds."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan

from otelbridge.delivery.weight import weigh


def log(body: Any = "x", attributes: Any = None) -> ReadableLogRecord:
    return ReadableLogRecord(LogRecord(body=body, attributes=attributes), Resource.get_empty())


LARGE = "x" * 100_000
CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    "record",
    [
        log(LARGE),
        log({"deep": [LARGE]}),
        log(attributes={"page": LARGE}),
        log(attributes=BoundedAttributes(attributes={"page": LARGE})),
        log(attributes=BoundedAttributes(attributes={"in": {"list": [LARGE]}})),
        ReadableSpan("s", attributes={"page": LARGE}),
        ReadableSpan("s", events=[Event("e", {"page": LARGE}, timestamp=1)]),
    ],
)
def test_a_large_value_counts_wherever_it_is(record: Any) -> None:
    assert 100_000 <= weigh(record) <= 110_000


def test_many_small_values_count() -> None:
    attributes = {f"key{number}": number for number in range(1000)}
    assert weigh(log(attributes=attributes)) > 100_000


def test_what_holds_itself_has_a_weight() -> None:
    assert 0 < weigh(log(CIRCLE)) < 100_000
