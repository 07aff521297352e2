"""What the bridge knows that is not telemetry: files of JSON beside the store, one a concern."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from otelbridge.settings import Settings

_T = TypeVar("_T")

_logger = logging.getLogger("otelbridge.state")


def state_folder(settings: Settings) -> Path:
    """Say where the bridge's own state is kept: beside the store, not in it."""
    scheme, _, path = settings.store.partition(":///")
    if scheme == "sqlite":
        return Path(path).with_name(f"{Path(path).name}.state")
    base = settings.spool_dir
    return (base.parent if base is not None else Path.cwd()) / "otelbridge.state"


class StateFile:
    """Keeps one concern's data in a file, which is replaced as a whole.

    Args:
        path: the file; its folder is made where missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self, read: Callable[[Any], _T], nothing: _T) -> _T:
        """Give what was saved last.

        A damaged file is set aside under another name, which a warning says: what it held is
        lost to the bridge, but not to a person, and no reason to stop.

        Args:
            read: makes of JSON data what the caller holds; a ``ValueError``, ``TypeError``,
                ``LookupError`` or ``AttributeError`` of it says that the data is not ours.
            nothing: the answer where no file is, or none that can be read.
        """
        try:
            return read(json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            return nothing
        except OSError as error:
            _logger.warning("%s cannot be read: %s", self.path, error.strerror or error)
            return nothing
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            self._set_aside(error)
            return nothing

    def save(self, data: Any) -> None:
        """Keep data; returns when it is on the disk.

        Args:
            data: what JSON can carry.

        Raises:
            OSError: it could not be kept; the file is as it was.
        """
        text = json.dumps(data, indent=1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        # Passwords' hashes and tokens of destinations stand in some: the owner's alone to read.
        with open(beside, "w", encoding="utf-8", opener=_open_private) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)

    def _set_aside(self, error: Exception) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns() // 10**6}")
        try:
            self.path.replace(aside)
        except OSError as failure:
            _logger.warning(
                "%s is damaged (%s) and cannot be set aside: %s", self.path, error, failure
            )
            return
        _logger.warning("%s was damaged (%s); it is set aside as %s", self.path, error, aside)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
