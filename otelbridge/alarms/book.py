"""Where states of alarms are kept over a restart: the protocol, and a file that does it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Protocol

from otelbridge.alarms.states import States, from_data, to_data


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
    """Keeps states in a file, which is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> States:
        try:
            return from_data(json.loads(self.path.read_text("utf-8")))
        except OSError:
            # Not there yet; or not to be read, which saving says.
            return {}
        except (ValueError, TypeError, AttributeError):
            # Not ours, or damaged: alarms that still hold fire once more, which is the safe side.
            return {}

    def save(self, states: States) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(to_data(states), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)
