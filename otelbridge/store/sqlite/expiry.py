"""Removing what is too old or too much, a little at a time, between the commits."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path


class Expiry:
    """placeholder"""

    def __init__(self, path: Path, retention: float, retention_bytes: int) -> None:
        self.expired = 0
        self._next = time.monotonic() + 60

    def seconds_until_due(self) -> float:
        return max(0.0, self._next - time.monotonic())

    def postpone(self) -> None:
        self._next = time.monotonic() + 60

    def work(self, connection: sqlite3.Connection) -> bool:
        if time.monotonic() >= self._next:
            self.postpone()
        return False
