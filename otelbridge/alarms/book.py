"""Where states of alarms are kept over a restart: the protocol, and a file that does it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from otelbridge.alarms.states import States, from_data, to_data
from otelbridge.bridge_state import StateFile


class Book(Protocol):
    """Keeps the states of alarms."""

    def load(self) -> States:
        """Give what was saved last; nothing where nothing was."""
        ...

    def save(self, states: States) -> None:
        """Keep states; returns when they are safe.

        Raises:
            OSError: they could not be kept.
        """
        ...


class FileBook:
    """Keeps states in a file.

    Where it was damaged, alarms that still hold fire once more, which is the safe side.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = StateFile(path)

    def load(self) -> States:
        return self._file.load(from_data, {})

    def save(self, states: States) -> None:
        self._file.save(to_data(states))
