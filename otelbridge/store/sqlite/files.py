"""The store's file: found, checked, made, brought to this version, or kept aside."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from pathlib import Path

from otelbridge.store.protocol import StoreError
from otelbridge.store.sqlite import tables
from otelbridge.store.sqlite.connections import connect_writer
from otelbridge.store.sqlite.salvage import wal
from otelbridge.store.sqlite.salvage.salvager import Aside, note
from otelbridge.store.sqlite.upgrade import upgrade

_log = logging.getLogger(__name__)

_HEADER = b"SQLite format 3\x00"
# A file up to this size is checked page by page at every start; that takes about a second.
_CHECKED_BYTES = 128 * 2**20


def refuse_foreign(path: Path) -> None:
    """Raise :class:`StoreError` where a file is no database: where no store was, it is not ours."""
    if _size(path) and _header(path) != _HEADER:
        raise StoreError(
            f"{path} is not a database; set OTELBRIDGE_STORE to another file, or move this one away"
        )


def open_file(path: Path, log_bytes: int) -> sqlite3.Connection:
    """Open the store's file for writing, at this version; makes it where missing.

    A damaged file is kept aside, which is logged, and a new one is begun that notes what there is
    to be brought over.

    Args:
        log_bytes: see :func:`connect_writer`.

    Raises:
        StoreError: the file is something else, or it was written by a newer version.
    """
    log = _beside(path, "-wal")
    aside = _free_name(path)
    if _size(path) and _header(path) != _HEADER:
        return _begin_anew(path, log_bytes, "its beginning is not a database's", aside)
    # A log without its file would be deleted by SQLite.
    kept_log = (wal.is_damaged(log) or (not _size(path) and _size(log) > 0)) and _keep_log(
        log, aside
    )
    try:
        connection = _open(path, log_bytes)
    except sqlite3.OperationalError as error:
        raise StoreError(f"cannot open the store {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        return _begin_anew(path, log_bytes, str(error), aside)
    if kept_log:
        note(connection, aside.note, _END)
        _log.error(
            "the log ahead of the store %s is damaged; it is kept as %s, and what can be read of "
            "it is brought over",
            path,
            aside.log,
        )
    return connection


def begin_anew(
    path: Path, log_bytes: int, reason: str, aside: Aside | None = None
) -> sqlite3.Connection:
    """Keep a damaged file aside and begin a new one.

    Args:
        log_bytes: see :func:`connect_writer`.
        reason: what is wrong with it, for the log's line.
        aside: where to; by default under its name, with what happened and when.

    Raises:
        OSError: it cannot be moved.
        sqlite3.Error: the new one cannot be made.
    """
    aside = aside or _free_name(path)
    there = path.exists()
    if there:
        path.rename(aside.path)
    log = _beside(path, "-wal")
    if aside.log.exists():
        log.unlink(missing_ok=True)
    elif log.exists():
        log.rename(aside.log)
    _beside(path, "-shm").unlink(missing_ok=True)
    _log.error(
        "the store %s is damaged (%s); it is kept as %s, a new one is begun, and what can be read "
        "is brought over",
        path,
        reason,
        aside.path if there else aside.log,
    )
    connection = _open(path, log_bytes)
    note(connection, aside.note, _END)
    return connection


def _begin_anew(path: Path, log_bytes: int, reason: str, aside: Aside) -> sqlite3.Connection:
    try:
        return begin_anew(path, log_bytes, reason, aside)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"the store {path} is damaged ({reason}) and a new one cannot be begun: {error}"
        ) from error


def reopen_file(path: Path, log_bytes: int) -> sqlite3.Connection:
    """Open the file once more after a failure; makes the tables where they could not be made."""
    connection = connect_writer(path, log_bytes)
    try:
        if _version(connection, path) is None:
            _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


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


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_HEADER))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _keep_log(log: Path, aside: Aside) -> bool:
    try:
        shutil.copyfile(log, aside.log)
    except OSError as error:
        aside.log.unlink(missing_ok=True)
        _log.error(
            "the log ahead of the store, %s, is damaged and could not be kept (%s): what was "
            "stored last is lost",
            log,
            error,
        )
        return False
    return True


def _open(path: Path, log_bytes: int) -> sqlite3.Connection:
    connection = connect_writer(path, log_bytes)
    try:
        if path.stat().st_size <= _CHECKED_BYTES:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(" ".join(found.split()))
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
    try:
        return int(row[0])
    except ValueError:
        raise sqlite3.DatabaseError(f"its version is {row[0]!r}") from None


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in tables.statements():
        connection.execute(statement)
    connection.execute("INSERT INTO meta VALUES ('version', ?)", (str(tables.VERSION),))
    connection.execute("COMMIT")


# A page beyond every file's end: nothing of it was read yet.
_END = 2**40


def _free_name(path: Path) -> Aside:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = 1
    while True:
        ending = f"-{number}" if number > 1 else ""
        aside = Aside(path.with_name(f"{path.name}.damaged-{stamp}{ending}"))
        if not aside.path.exists() and not aside.log.exists():
            return aside
        number += 1
