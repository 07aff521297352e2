"""Deadlines, and the pauses between attempts."""

from __future__ import annotations

import random
import time
from typing import Final

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 8.0
# A destination that asks for more than this is asked again sooner.
LONGEST_ASKED_SECONDS: Final = 600.0


class Deadline:
    """A moment on the monotonic clock, and how far away it is."""

    def __init__(self, seconds: float) -> None:
        """Set a deadline ``seconds`` from now."""
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left, never less than 0."""
        return max(0.0, self._end - time.monotonic())


class Backoff:
    """Pauses that grow with every failure in a row.

    Each is shortened by up to a half at random, so that many processes do not come back at once.
    What the destination asks for is kept to, and lengthened at random instead.
    """

    def __init__(self) -> None:
        """Start with the shortest pause."""
        self._pause = FIRST_PAUSE_SECONDS

    def next(self, asked: float | None = None) -> float:
        """Return the seconds to wait now.

        Args:
            asked: seconds that the destination asked for.
        """
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        if asked is not None:
            return min(asked, LONGEST_ASKED_SECONDS) * random.uniform(1, 1.1)  # noqa: S311
        return pause * random.uniform(0.5, 1)  # noqa: S311

    def reset(self) -> None:
        """Begin again with the shortest pause, after a success."""
        self._pause = FIRST_PAUSE_SECONDS
