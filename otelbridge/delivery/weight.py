"""How much memory a record takes, told at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes

from otelbridge.delivery.taken_record import TakenRecord

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

# What a record's fixed fields and its own objects take, and what each value does, about.
_RECORD_BYTES: Final = 2000
_VALUE_BYTES: Final = 80
_DEPTH: Final = 64
# With its id and where it comes from.
_TAKEN_BYTES: Final = _RECORD_BYTES + 13 * _VALUE_BYTES


def weigh(record: TakenRecord | ReadableLogRecord | ReadableSpan) -> int:
    """Estimate the bytes that a record of the SDK takes in memory."""
    if type(record) is TakenRecord:
        weight = _TAKEN_BYTES + len(record.body) + _weights(record.extras, 0)
        return weight + _weights(record.told, 0) if record.told else weight
    log = getattr(record, "log_record", None)
    if log is not None:
        return _RECORD_BYTES + _weight(log.body, 0) + _weights(log.attributes, 0)
    # By what is behind the SDK's properties, which make a copy each.
    weight = _RECORD_BYTES + _weights(getattr(record, "_attributes", None), 0)
    for event in getattr(record, "_events", ()):
        weight += _RECORD_BYTES + _weights(event.attributes, 0)
    return weight


def _weights(values: Mapping[str, Any] | None, depth: int) -> int:
    if type(values) is BoundedAttributes:
        values = values._dict  # reading it by its own methods takes three times as long
    if not values:
        return 0
    weight = 2 * _VALUE_BYTES * len(values)
    for value in values.values():
        kind = type(value)
        if kind is str:
            weight += len(value)
        elif kind is not int and kind is not float and kind is not bool:
            weight += _weight(value, depth)
    return weight


def _weight(value: Any, depth: int) -> int:
    if isinstance(value, (str, bytes)):
        return _VALUE_BYTES + len(value)
    if depth < _DEPTH:
        if isinstance(value, Mapping):
            return _VALUE_BYTES + _weights(value, depth + 1)
        if isinstance(value, Sequence):
            return _VALUE_BYTES + sum(_weight(member, depth + 1) for member in value)
    return _VALUE_BYTES
