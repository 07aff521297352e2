"""Where payloads wait that could not be sent yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from otelbridge.delivery.spool.disk import Spool
from otelbridge.delivery.spool.fallback import FallbackSpool
from otelbridge.delivery.spool.folder import spool_folder
from otelbridge.delivery.spool.memory import MemorySpool
from otelbridge.delivery.spool.store import (
    DAMAGED,
    FULL,
    REMOVED,
    Dropped,
    Entry,
    PayloadStore,
    SpoolError,
)

__all__ = [
    "DAMAGED",
    "FULL",
    "REMOVED",
    "Dropped",
    "Entry",
    "MemorySpool",
    "PayloadStore",
    "Spool",
    "SpoolError",
    "open_spool",
    "spool_folder",
]


def open_spool(
    folder: Path | None,
    *,
    max_bytes: int,
    memory_bytes: int,
    sync: str,
    dropped: Dropped,
    trouble: Callable[[str], None],
) -> PayloadStore:
    """Make the place where payloads wait; nothing is opened before there is one.

    Args:
        folder: where on disk; ``None`` keeps everything in memory.
        max_bytes: of the folder, all processes together.
        memory_bytes: of what is kept in memory while the disk cannot be used.
        sync: ``always`` flushes each payload to the disk, ``never`` leaves it to the system.
        dropped: told how many records were dropped, and why.
        trouble: told in one line why the disk cannot be used, or that it can again.
    """
    if folder is None:
        return MemorySpool(max_bytes=memory_bytes, dropped=dropped)
    return FallbackSpool(
        folder,
        max_bytes=max_bytes,
        memory_bytes=memory_bytes,
        sync=sync,
        dropped=dropped,
        trouble=trouble,
    )
