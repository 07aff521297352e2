"""Bringing an older file to this version, with a copy of it kept beside where there is room."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from otelbridge import schema
from otelbridge.store.protocol import StoreError
from otelbridge.store.sqlite import tables
from otelbridge.store.sqlite.json_text import loads
from otelbridge.store.sqlite.rollups import Rollups
from otelbridge.store.sqlite.stats import file_bytes

_log = logging.getLogger(__name__)

_ROOM_LEFT: Final = 64 * 2**20


def _from_0(connection: sqlite3.Connection) -> None:
    """Version 0, of the first trials, did not note when a set was used nor count arrivals."""
    connection.execute("ALTER TABLE attribute_sets ADD COLUMN used INTEGER NOT NULL DEFAULT 0")
    connection.execute(
        "UPDATE attribute_sets SET used = CAST(strftime('%s', 'now') AS INTEGER) / 3600 * 3600"
    )
    connection.execute(
        "CREATE TABLE arrival_counts (signal TEXT NOT NULL, received INTEGER NOT NULL,"
        " minute INTEGER NOT NULL, count INTEGER NOT NULL,"
        " PRIMARY KEY (signal, received, minute)) WITHOUT ROWID"
    )
    for signal in ("logs", "spans"):
        connection.execute(
            "INSERT INTO arrival_counts SELECT ?, received / 60000, id / 60000000, count(*)"
            f" FROM {signal} GROUP BY received / 60000, id / 60000000",
            (signal,),
        )


def _from_1(connection: sqlite3.Connection) -> None:
    """Version 1 counted in steps of ten seconds only, and did not count points."""
    connection.execute(
        "INSERT INTO arrival_counts SELECT 'points', 0, 0, number"
        " FROM (SELECT count(*) AS number FROM points) WHERE number > 0"
    )
    for table, keys in (
        ("log_counts", ("resource", "severity")),
        ("span_counts", ("resource", "error", "duration_step")),
    ):
        columns = ", ".join(keys)
        connection.execute(f"ALTER TABLE {table} RENAME TO narrow")
        connection.execute(
            f"CREATE TABLE {table} (width INTEGER NOT NULL, step INTEGER NOT NULL, "
            + "".join(f"{key} INTEGER NOT NULL, " for key in keys)
            + f"count INTEGER NOT NULL, PRIMARY KEY (width, step, {columns})) WITHOUT ROWID"
        )
        for width in (10, 600, 3600):
            connection.execute(
                f"INSERT INTO {table} SELECT ?, step / ? * ?, {columns}, sum(count)"
                f" FROM narrow GROUP BY 2, {columns}",
                (width, width, width),
            )
        connection.execute("DROP TABLE narrow")


def _from_2(connection: sqlite3.Connection) -> None:
    """Version 2 kept all attributes of a span with it; rows that are there stay as they are."""
    connection.execute("ALTER TABLE spans ADD COLUMN origin INTEGER REFERENCES attribute_sets")


def _from_3(connection: sqlite3.Connection) -> None:
    """Version 3 did not note which logs are errors."""
    connection.execute(
        "CREATE TABLE errors (fingerprint TEXT NOT NULL, id INTEGER NOT NULL,"
        " resource INTEGER NOT NULL, users TEXT, PRIMARY KEY (fingerprint, id)) WITHOUT ROWID"
    )
    rollups = Rollups()
    for id, resource, attributes in connection.execute(
        "SELECT id, resource, attributes FROM logs WHERE instr(attributes, ?)"
        " OR instr(attributes, '\"exception.type\"')",
        (f'"{schema.FINGERPRINT}"',),
    ):
        rollups.error(id, resource, loads(attributes))
    rollups.apply(connection, 1)


# What brings a file from a version to the next one.
STEPS: Final[dict[int, Callable[[sqlite3.Connection], None]]] = {
    0: _from_0,
    1: _from_1,
    2: _from_2,
    3: _from_3,
}


def upgrade(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Bring the file at ``path`` from ``version`` to this one, in one transaction.

    A copy goes beside it first, named after its version, where there is room for one. An upgrade
    that was cut short finds the file as it was.

    Raises:
        StoreError: there is no way from that version.
    """
    if any(step not in STEPS for step in range(version, tables.VERSION)):
        raise StoreError(f"the store {path} has format {version}, which this version cannot read")
    copy = path.with_name(f"{path.name}.version-{version}")
    kept = copy.exists() or _copy(connection, path, copy)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in range(version, tables.VERSION):
            STEPS[step](connection)
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'version'", (str(tables.VERSION),)
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    _log.warning(
        "the store %s was upgraded from format %d to %d; %s",
        path,
        version,
        tables.VERSION,
        f"a copy of the old one is {copy}" if kept else "there was no room to keep a copy",
    )


def _copy(connection: sqlite3.Connection, path: Path, copy: Path) -> bool:
    """Copy the file; whether there was room."""
    # Under another name until it is whole: a copy cut short must not pass for one.
    partial = copy.with_name(copy.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        # What comes in afterwards needs room, too.
        needed = file_bytes(connection, path) + _ROOM_LEFT
        if shutil.disk_usage(path.parent).free < needed:
            return False
        target = sqlite3.connect(partial)
        try:
            connection.backup(target)
        finally:
            target.close()
        partial.rename(copy)
    except (OSError, sqlite3.OperationalError):
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        return False
    return True
