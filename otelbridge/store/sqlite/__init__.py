"""The store in one SQLite file."""

from otelbridge.store.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
