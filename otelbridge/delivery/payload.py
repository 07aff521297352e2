"""What is delivered: records of one process, encoded for one sink."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

DeliveredSignal = Literal["logs", "traces"]
# A record that its own thread has encoded: as it stands in a request, and where in it.
EncodedRecord: TypeAlias = "tuple[bytes, InstrumentationScope | None, Resource]"
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
