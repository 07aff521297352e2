"""What a destination says to records it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Why records are dropped: few and fixed, for they become a metric's attribute. Those of a spool
# are in :mod:`otelbridge.delivery.spool`.
QUEUE_FULL: Final = "queue full"
UNENCODABLE: Final = "cannot be encoded"
REFUSED: Final = "refused"
REJECTED: Final = "rejected"
TOO_LARGE: Final = "too large"
ENDED: Final = "program ended"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of records that a destination was sent together.

    Attributes:
        later: they were not taken, or nobody knows; they are to be sent again.
        pause: seconds that the destination asked for before that; ``None`` if it asked for nothing.
        dropped: how many of them will never be taken, where it is not ``later``.
        cause: why: :data:`REFUSED`, :data:`REJECTED` or :data:`TOO_LARGE`.
        reason: for people: why not all were taken.
        whole: everything was refused because of what it holds; parts of it may be taken.
    """

    later: bool = False
    pause: float | None = None
    dropped: int = 0
    cause: str = ""
    reason: str = ""
    whole: bool = False


TAKEN: Final = Answer()
