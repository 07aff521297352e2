"""How much waits and how long: the standard variables of OpenTelemetry's batch processors."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Final

from otelbridge.delivery.payload import DeliveredSignal

_logger = logging.getLogger(__name__)

DEFAULT_CAPACITY: Final = 16_384
# Of each signal: the beginning of its variables (batch log record processor, batch span
# processor), and its flush interval, short enough for a record to be on the page within a second.
_SIGNALS: Final[dict[DeliveredSignal, tuple[str, float]]] = {
    "logs": ("OTEL_BLRP", 0.2),
    "traces": ("OTEL_BSP", 0.5),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one signal's records may wait for.

    Attributes:
        delay: the flush interval, in seconds.
        batch_size: how many records are sent at once.
        capacity: how many records are kept before they are encoded.
    """

    delay: float
    batch_size: int
    capacity: int


def read_limits(signal: DeliveredSignal, batch_size: int) -> Limits:
    """Read a signal's limits from the standard variables.

    Args:
        signal: ``logs`` or ``traces``.
        batch_size: where the variable does not say.
    """
    prefix, delay = _SIGNALS[signal]
    given = read_milliseconds(f"{prefix}_SCHEDULE_DELAY")
    return Limits(
        delay if given is None else given,
        read_count(f"{prefix}_MAX_EXPORT_BATCH_SIZE", batch_size),
        read_count(f"{prefix}_MAX_QUEUE_SIZE", DEFAULT_CAPACITY),
    )


def read_milliseconds(variable: str) -> float | None:
    """Read a standard variable that holds milliseconds, in seconds; ``None`` without it."""
    number = read_count(variable, 0)
    return number / 1000 if number > 0 else None


def read_count(variable: str, default: int) -> int:
    """Read a standard variable that holds a number; a wrong one is named and left out."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        number = int(float(text))
    except ValueError:
        number = 0
    if number <= 0:
        _logger.warning("%s is %r; allowed: a number above 0; %d is used", variable, text, default)
        return default
    return number
