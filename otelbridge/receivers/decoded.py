"""What decoding a request yields: the records to store, and what is to be said of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from otelbridge.model import Batch

# A sender logs this text; a longer one would be noise there.
MESSAGE_MAX_CHARS = 2000

Notes: TypeAlias = "dict[str, Note]"


class DecodeError(ValueError):
    """A request of which nothing can be used; its text is one sentence for the sender.

    Attributes:
        reason: a short name from a fixed set, such as ``invalid_protobuf``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class Note:
    """How often one thing was wrong, and the first time in full."""

    count: int
    message: str


@dataclass(slots=True)
class Decoded:
    """The usable part of one request.

    Attributes:
        batch: what to store.
        rejections: by reason, records that cannot be stored.
        warnings: by reason, records that are stored without something they said.
    """

    batch: Batch = field(default_factory=Batch)
    rejections: Notes = field(default_factory=dict)
    warnings: Notes = field(default_factory=dict)

    def reject(self, reason: str, message: str, count: int = 1) -> None:
        """Note that ``count`` records cannot be stored."""
        _note(self.rejections, reason, message, count)

    def warn(self, reason: str, message: str) -> None:
        """Note that a record is stored without something it said."""
        _note(self.warnings, reason, message, 1)

    @property
    def rejected(self) -> int:
        """Records turned away."""
        return sum(note.count for note in self.rejections.values())

    def summary(self) -> str:
        """Say in one line what was wrong, for OTLP's ``partial_success.error_message``."""
        parts = [
            note.message if note.count == 1 else f"{note.message} (and {note.count - 1} more)"
            for note in (*self.rejections.values(), *self.warnings.values())
        ]
        text = "; ".join(parts)
        return text if len(text) <= MESSAGE_MAX_CHARS else text[: MESSAGE_MAX_CHARS - 1] + "…"


def _note(notes: Notes, reason: str, message: str, count: int) -> None:
    known = notes.get(reason)
    if known is None:
        notes[reason] = Note(count, message)
    else:
        known.count += count
