"""The store's file: found, checked, made, brought to this version, or moved aside."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from pathlib import Path

from otelbridge.store.protocol import StoreError
from otelbridge.store.sqlite import tables
from otelbridge.store.sqlite.connections import connect_writer
from otelbridge.store.sqlite.upgrade import upgrade

_log = logging.getLogger(__name__)

_HEADER = b"SQLite format 3\x00"
# A file up to this size is checked page by page at every start; that takes about a second.
_CHECKED_BYTES = 128 * 2**20


def open_file(path: Path, log_bytes: int) -> sqlite3.Connection:
    """Open the store's file for writing, at this version; makes folder and file where missing.

    A damaged file is moved aside, which is logged, and a new one is begun.

    Args:
        log_bytes: see :func:`connect_writer`.

    Raises:
        StoreError: the folder cannot be written, the file is something else, or it was written
            by a newer version.
    """
    _check_header(path)
    try:
        return _open(path, log_bytes)
    except sqlite3.OperationalError as error:
        raise StoreError(f"cannot open the store {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        aside = _move_aside(path)
        _log.error(
            "the store %s is damaged (%s); it was moved to %s and a new one begun",
            path,
            error,
            aside,
        )
        return _open(path, log_bytes)


def prepare_folder(path: Path) -> None:
    """Make the folder of ``path``; raises :class:`StoreError` where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make the folder {path.parent} ({error.strerror}); make it writable for this "
            "user, or set OTELBRIDGE_STORE to a file elsewhere"
        ) from error
    if path.is_dir():
        raise StoreError(f"{path} is a folder; set OTELBRIDGE_STORE to a file in it")
    if not os.access(path.parent, os.W_OK | os.X_OK) or (
        path.exists() and not os.access(path, os.R_OK | os.W_OK)
    ):
        raise StoreError(
            f"cannot write {path if path.exists() else path.parent}; make it writable for this "
            "user, or set OTELBRIDGE_STORE to a file elsewhere"
        )


def _check_header(path: Path) -> None:
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        header = file.read(len(_HEADER))
    if header != _HEADER:
        raise StoreError(
            f"{path} is not a database; set OTELBRIDGE_STORE to another file, or move this one away"
        )


def _open(path: Path, log_bytes: int) -> sqlite3.Connection:
    connection = connect_writer(path, log_bytes)
    try:
        if path.stat().st_size <= _CHECKED_BYTES:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        version = _version(connection, path)
        if version is None:
            _create(connection)
        elif version > tables.VERSION:
            raise StoreError(
                f"the store {path} was written by a newer otelbridge (format {version}, this one "
                f"knows {tables.VERSION}); install that version, or set OTELBRIDGE_STORE to "
                "another file"
            )
        elif version < tables.VERSION:
            upgrade(connection, path, version)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int | None:
    names = {
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    if not names:
        return None
    row = None
    if {"meta", "logs", "spans"} <= names:
        row = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    if row is None:
        raise StoreError(
            f"{path} is a database of something else; set OTELBRIDGE_STORE to another file"
        )
    return int(row[0])


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in tables.statements():
        connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES ('version', ?)", (str(tables.VERSION),))
    connection.execute("COMMIT")


def _move_aside(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return aside
