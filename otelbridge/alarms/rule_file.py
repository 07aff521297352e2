"""A file of rules that is read again when a person has changed it."""

from __future__ import annotations

import logging
from pathlib import Path

from otelbridge.alarms.rules import RuleError, Rules, read_rules

_logger = logging.getLogger("otelbridge.alarms")

_Stamp = tuple[int, int]


class RuleFile:
    """Reads a file of rules.

    Args:
        path: a TOML file.

    Attributes:
        rules: what it held when it could last be used.
        problem: why it cannot be used as it is now, naming file and line; empty while it can.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rules = Rules()
        self.problem = ""
        self._read_as: _Stamp | None = None
        self._seen: _Stamp | None = None

    def read(self) -> None:
        """Read it.

        Raises:
            RuleError: it cannot be used.
        """
        self._read_as = self._seen = self._stamp()
        self.rules = read_rules(self.path)

    def reread(self) -> bool:
        """Read it again if it was changed and has rested since the last look.

        Returns:
            Whether there are other rules now. A file that cannot be used changes none; why is in
            ``problem``.
        """
        stamp = self._stamp()
        if stamp == self._read_as and stamp == self._seen:
            return False
        if stamp != self._seen:
            # Somebody may be writing it: half a file may be read without a complaint.
            self._seen = stamp
            return False
        self._read_as = stamp
        try:
            rules = read_rules(self.path)
            if stamp is not None and not stamp[1] and self.rules != Rules():
                raise RuleError(f"{self.path}: it is empty; what it held is kept")
        except RuleError as error:
            if str(error) != self.problem:
                _logger.warning("alarms stay as they were: %s", error)
            self.problem = str(error)
            return False
        self.problem = ""
        changed = rules != self.rules
        self.rules = rules
        return changed

    def _stamp(self) -> _Stamp | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size
