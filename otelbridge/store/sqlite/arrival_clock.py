"""The clock by which records arrive and grow old, though somebody sets the system's meanwhile.

A row's ``received`` is the system's clock when it came. Where that clock is set, all rows that came
before seem to age, or to grow young, by the step. So a step is noted, and ages are reckoned without
it: nothing is removed because a clock was put right, or wrong.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

_log = logging.getLogger(__name__)

# The system's clock against one that nobody sets: more than this between two looks is a step.
STEP_SECONDS = 60.0
# Where the newest row is older than this at the start, nothing came for long or the clock is wrong.
# For a while it is taken for wrong, so that it can be put right.
LONG_SECONDS = 86_400.0
PATIENCE_SECONDS = 3600.0

_KEY = "clock"
_MOST_SPELLS = 100


def steady_seconds() -> float:
    """Seconds by a clock that nobody sets and that goes on while the machine sleeps."""
    # Linux's CLOCK_MONOTONIC stands still meanwhile, macOS's does not.
    number = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic() if number is None else time.clock_gettime(number)


@dataclass(slots=True)
class Spell:
    """A time without a step, before the newest one.

    Attributes:
        first, last: what the clock said then, in milliseconds.
        step: by how much the clock was set since, in milliseconds.
    """

    first: int
    last: int
    step: int


class ArrivalClock:
    """Gives the time of arrivals, and says which of them are too old.

    Args:
        now: the system's clock, in seconds since the epoch.
        steady: seconds by a clock that nobody sets.
    """

    def __init__(self, now: Callable[[], float], steady: Callable[[], float]) -> None:
        self._now = now
        self._steady = steady
        self._offset = now() - steady()
        self._doubted = 0
        self._doubted_until = 0.0
        self._first = 0
        self._spells: list[Spell] = []
        self._unsaved = False

    def open(self, connection: sqlite3.Connection) -> None:
        """Take over what the file notes, and look how far its newest row is from now."""
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
        if row is not None:
            found = json.loads(row[0])
            self._first = found["first"]
            self._spells = [Spell(**spell) for spell in found["spells"]]
        self._offset = self._now() - self._steady()
        (newest,) = connection.execute(
            "SELECT max(received) FROM arrival_counts WHERE signal IN ('logs', 'spans')"
            " AND received >= ?",
            (self._first // 60_000,),
        ).fetchone()
        if newest is None:
            return
        gap = self._now() - newest * 60.0
        if gap < -STEP_SECONDS:
            self._note(round(gap), newest * 60_000 + 59_999)
        elif gap > LONG_SECONDS:
            self._note(round(gap), newest * 60_000 + 59_999)
            self._doubted = round(gap) * 1000
            self._doubted_until = self._steady() + PATIENCE_SECONDS

    def seconds(self) -> float:
        """Now, in seconds since the epoch, having looked whether the clock was set."""
        if self._doubted and self._steady() >= self._doubted_until:
            self._believe()
        now = self._now()
        offset = now - self._steady()
        step = offset - self._offset
        if abs(step) > STEP_SECONDS:
            self._note(round(step), int((now - step) * 1000))
            if step < 0:
                # It was wrong, and this puts it right.
                self._doubted = 0
        self._offset = offset
        return now

    def save(self, connection: sqlite3.Connection) -> None:
        """Note in the file what is not noted yet."""
        if self._unsaved:
            text = json.dumps(
                {"first": self._first, "spells": [asdict(spell) for spell in self._spells]}
            )
            connection.execute(
                "INSERT INTO meta VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (_KEY, text),
            )
            self._unsaved = False

    def save_again(self) -> None:
        """Note everything once more: what was noted was rolled back, or the file is another."""
        self._unsaved = True

    @property
    def is_plain(self) -> bool:
        """Whether the clock was never set while there were rows that are still there."""
        return not self._spells

    def step(self, minute: int) -> int:
        """By how much the clock was set since a minute of arrivals, in milliseconds.

        Where the clock went over the same time twice, the answer is the one that keeps longer.

        Args:
            minute: its beginning, in milliseconds since the epoch.
        """
        if not self._spells:
            return 0
        end = minute + 59_999
        steps = [
            spell.step for spell in self._spells if spell.first <= end and minute <= spell.last
        ]
        if self._first <= end and minute <= (self._now() + STEP_SECONDS) * 1000:
            steps.append(0)
        return max(steps, default=0)

    def largest_step(self) -> int:
        """The largest of all steps forward, in milliseconds."""
        return max([0, *(spell.step for spell in self._spells)])

    def forget_before(self, cutoff: int) -> None:
        """Forget spells of which no row is left: all that came before ``cutoff`` (ms) are gone."""
        kept = [spell for spell in self._spells if spell.last + spell.step >= cutoff]
        if len(kept) < len(self._spells):
            self._spells = kept
            self._unsaved = True

    def _believe(self) -> None:
        """Nobody put the clock right: it was right, and nothing came for long."""
        for spell in self._spells:
            spell.step -= self._doubted
        self._doubted = 0
        self._unsaved = True

    def _note(self, step: int, last: int) -> None:
        for spell in self._spells:
            spell.step += step * 1000
        self._spells.append(Spell(self._first, last, step * 1000))
        del self._spells[:-_MOST_SPELLS]
        self._first = int(self._now() * 1000)
        self._unsaved = True
        _log.warning(
            "the clock is %d s %s where it should be by the newest record or by the time that "
            "passed; no record is removed because of that",
            abs(step),
            "ahead of" if step > 0 else "behind",
        )
