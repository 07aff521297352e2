"""What became of a process's records, as metrics of that process.

``otel.sdk.exporter.log.exported`` and ``otel.sdk.exporter.span.exported`` are the semantic
conventions' ("OpenTelemetry SDK metrics"); ``otelbridge.delivery.*`` is what they do not name.
They are read whenever the meter provider's reader asks; counting itself costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import CallbackOptions, Observation

from otelbridge.delivery.counters import Snapshot

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

_RECORDS: Final = "{record}"
_SUMS: Final = {
    "accepted": "log records and spans taken from the program",
    "adopted": "taken over from the spool of processes that have ended",
    "sent": "taken by the destination",
    "spooled": "written to the spool",
    "resent": "of those sent, sent from the spool",
}
_LEVELS: Final = {
    "waiting": ("neither sent nor dropped yet", "waiting", _RECORDS),
    "spool.records": ("in the spool", "spool_records", _RECORDS),
    "spool.size": ("size of the spool", "spool_bytes", "By"),
    "queue.size": ("memory of records that are not encoded yet, about", "queue_bytes", "By"),
}
_EXPORTED: Final = {
    "logs": ("otel.sdk.exporter.log.exported", "{log_record}"),
    "traces": ("otel.sdk.exporter.span.exported", "{span}"),
}


def start_delivery_metrics(
    provider: MeterProvider, snapshots: Callable[[], Iterable[Snapshot]]
) -> None:
    """Start observing.

    Args:
        provider: whose metrics they become.
        snapshots: returns the counts of every sink and signal.
    """
    meter = provider.get_meter("otelbridge.delivery")

    def number(field: str) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(options: CallbackOptions) -> Iterator[Observation]:
            for counts in snapshots():
                yield Observation(getattr(counts, field), _where(counts))

        return observe

    def dropped(options: CallbackOptions) -> Iterator[Observation]:
        for counts in snapshots():
            for reason, count in counts.dropped.items():
                yield Observation(count, {**_where(counts), "reason": reason})

    def exported(signal: str) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(options: CallbackOptions) -> Iterator[Observation]:
            for counts in snapshots():
                if counts.signal != signal:
                    continue
                name = {
                    "otel.component.type": f"otelbridge_{counts.sink}_exporter",
                    "otel.component.name": f"otelbridge_{counts.sink}_exporter/{signal}",
                }
                yield Observation(counts.sent, name)
                for reason, count in counts.dropped.items():
                    yield Observation(count, {**name, "error.type": reason})

        return observe

    for field, description in _SUMS.items():
        meter.create_observable_counter(
            f"otelbridge.delivery.{field}", [number(field)], _RECORDS, description
        )
    meter.create_observable_counter(
        "otelbridge.delivery.dropped", [dropped], _RECORDS, "given up, by the reason"
    )
    for name, (description, field, unit) in _LEVELS.items():
        meter.create_observable_up_down_counter(
            f"otelbridge.delivery.{name}", [number(field)], unit, description
        )
    for signal, (name, unit) in _EXPORTED.items():
        meter.create_observable_counter(name, [exported(signal)], unit, "records exported")


def _where(counts: Snapshot) -> dict[str, str]:
    return {"sink": counts.sink, "signal": counts.signal}
