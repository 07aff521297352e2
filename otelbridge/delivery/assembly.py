"""Putting together what delivers one signal's records to one destination."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from otelbridge.delivery.counters import Counters
from otelbridge.delivery.limits import read_limits
from otelbridge.delivery.sender import Delivery
from otelbridge.delivery.weight import weigh

if TYPE_CHECKING:
    from otelbridge.delivery.journal import Journal
    from otelbridge.delivery.payload import DeliveredSignal
    from otelbridge.delivery.spool import Dropped, PayloadStore
    from otelbridge.settings import Settings
    from otelbridge.sinks.destination import Destination


def make_delivery(
    signal: DeliveredSignal,
    destination: Destination,
    settings: Settings,
    place: str,
    service: Callable[[], str],
    shares: Callable[[], int],
) -> Delivery:
    """Make what delivers to a destination; nothing is started or opened before the first record.

    Args:
        signal: what the records are.
        destination: where they go.
        settings: how much may wait, and where.
        place: the spool's name among those of the service.
        service: tells the service's name, when the spool is first needed.
        shares: tells then how many spools share the service's bytes. Each signal has its own: its
            destination may be another one, and one that is down must not hold up the other.
    """

    @cache
    def folder() -> Path | None:
        from otelbridge.delivery.spool import spool_folder

        return spool_folder(settings.spool_dir, service(), place, signal)

    def open_store(dropped: Dropped) -> PayloadStore:
        # Imported here, by the thread that sends first.
        from otelbridge.delivery.spool import open_spool

        return open_spool(
            folder(),
            max_bytes=settings.spool_bytes // max(1, shares()),
            memory_bytes=settings.queue_bytes,
            sync=settings.spool_sync,
            dropped=dropped,
            trouble=destination.report.trouble,
        )

    limits = read_limits(signal, destination.batch_size)
    return Delivery(
        signal,
        destination,
        Counters(destination.sink, signal, destination.endpoint),
        open_store,
        delay=limits.delay,
        batch_size=limits.batch_size,
        capacity=limits.capacity,
        max_bytes=settings.queue_bytes,
        weigh=weigh,
        journal=_make_journal(signal, destination, settings, folder),
    )


def _make_journal(
    signal: DeliveredSignal,
    destination: Destination,
    settings: Settings,
    folder: Callable[[], Path | None],
) -> Journal | None:
    if not settings.journal:
        return None
    if settings.spool_dir is None:
        destination.report.trouble(f"there is no journal of {signal}: OTELBRIDGE_SPOOL_DIR is none")
        return None
    from otelbridge.delivery.journal import Journal

    return Journal(folder, signal, destination.report.trouble)
