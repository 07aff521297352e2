"""Where records are kept: one protocol, a package an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otelbridge.settings import Settings
    from otelbridge.store.protocol import Store

_SQLITE = "sqlite:///"


def open_store(settings: Settings) -> Store:
    """Make the store that ``OTELBRIDGE_STORE`` names; the caller opens it.

    Args:
        settings: ``store``, ``retention`` (seconds) and ``retention_bytes`` are read, and for a
            cluster how to sign in to it.
    """
    if not settings.store.startswith(_SQLITE):
        from otelbridge.store.elasticsearch import ElasticsearchStore

        return ElasticsearchStore(settings)
    from otelbridge.store.sqlite import SQLiteStore

    # SQLAlchemy's convention: three slashes before a relative path, four before an absolute one.
    return SQLiteStore(
        settings.store[len(_SQLITE) :],
        retention=settings.retention,
        retention_bytes=settings.retention_bytes,
    )
