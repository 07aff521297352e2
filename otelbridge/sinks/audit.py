"""Keeping records so that nobody can change or remove one unseen."""

from __future__ import annotations

import logging
import os
from typing import Final

from otelbridge.audit.trail import Trail
from otelbridge.settings import read_settings
from otelbridge.sinks.file import RotatedFileHandler
from otelbridge.sinks.rotation import Daily
from otelbridge.sinks.shared_file import SharedFile

_KEY: Final = "OTELBRIDGE_AUDIT_KEY"


class AuditHandler(RotatedFileHandler):
    """Appends each record to an audit trail, as a JSON line bound to the one before it by a hash.

    ``otelbridge audit verify`` names the first line that was changed, removed, put in or moved.
    Processes may share the trail. A new file is begun at midnight UTC; none is ever removed.

    Args:
        path: the trail's file; its folder is made.
        key: makes the hashes ones that only its holder can compute; by default
            ``OTELBRIDGE_AUDIT_KEY``, or without a key at all.
        sync: whether each record waits until the disk has it, some milliseconds. Without, a record
            survives the end of the process but not a power cut.
        level: records below it are left out.

    Raises:
        OSError: where folder or file cannot be made or opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = "logs/audit.jsonl",
        key: str | None = None,
        sync: bool = False,
        level: int | str = logging.NOTSET,
    ) -> None:
        super().__init__(path, Daily())
        self.setLevel(level)
        if key is None:
            # Alone: whatever else is wrong in the environment is not this handler's to tell.
            key = read_settings({_KEY: os.environ.get(_KEY, "")}).audit_key
        self._trail = Trail(self.path, key.encode() if key else None, sync=sync)

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802
        """Refuse a formatter that makes no JSON, at the time of configuration.

        Raises:
            ValueError: its lines are not JSON objects.
        """
        probe = logging.makeLogRecord({"name": "audit", "msg": "probe", "levelno": 20})
        if fmt is None or not fmt.format(probe).startswith("{"):
            raise ValueError("an audit trail takes a formatter that makes JSON objects")
        super().setFormatter(fmt)

    def _write(self, file: SharedFile, line: bytes) -> None:
        self._trail.append(file, line)
