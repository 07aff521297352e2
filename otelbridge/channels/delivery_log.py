"""What was sent and whether it arrived, for a person to read: a file of JSON lines."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from pathlib import Path
from typing import Any, Final

from otelbridge.channels.outbox import Delivery

_MAX_BYTES: Final = 2 * 2**20


class DeliveryLog:
    """Keeps what became of messages; the file is put aside once when it is full.

    Args:
        path: the file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def add(self, delivery: Delivery) -> None:
        """Note a delivery that is over.

        Raises:
            OSError: it could not be noted.
        """
        entry = {
            "time": delivery.changed,
            "destination": delivery.destination,
            "title": delivery.message.heading,
            "severity": delivery.message.severity,
            "state": delivery.state,
            "reason": delivery.reason,
            "reply": delivery.reply,
            "attempts": delivery.attempts,
            "created": delivery.created,
            "message": delivery.message.id,
        }
        line = (json.dumps(entry) + "\n").encode()
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            target = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(target, line)
                size = os.fstat(target).st_size
            finally:
                os.close(target)
            if size > _MAX_BYTES:
                self.path.replace(self._older)

    def recent(self, limit: int = 100) -> list[dict[str, Any]]:
        """Read the newest entries, newest first."""
        lines: deque[bytes] = deque(maxlen=limit)
        with self._lock:
            for path in (self._older, self.path):
                if path.is_file():
                    with path.open("rb") as file:
                        lines.extend(file)
        return [entry for line in reversed(lines) if (entry := _entry(line)) is not None]

    @property
    def _older(self) -> Path:
        return self.path.with_name(self.path.name + ".1")


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        read = json.loads(line)
    except ValueError:
        return None  # half a line, from a full disk or a kill
    return read if isinstance(read, dict) else None
