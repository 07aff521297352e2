"""What is delivered: records of one process, encoded for one sink."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

DeliveredSignal = Literal["logs", "traces"]
SIGNALS: Final[tuple[DeliveredSignal, ...]] = ("logs", "traces")


@dataclass(frozen=True, slots=True)
class Payload:
    """Records encoded together; a destination takes or refuses them together.

    Attributes:
        signal: what the records are.
        count: how many records the body holds.
        body: as the sink's destination takes it: an OTLP request in protobuf, or the lines of a
            bulk request.
        sequence: grows within a process and signal, so that order can be kept.
    """

    signal: DeliveredSignal
    count: int
    body: bytes = field(repr=False)
    sequence: int
