"""Giving other threads their turn amid work on many records."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

# Taken by its name, so that a program's tests that put another in its place do not count ours.
from time import sleep
from typing import Any, Final

# Half a millisecond's work of encoding: a pause costs the processor some microseconds.
AT_ONCE: Final = 64
# Not zero: a thread that waits for the interpreter must have the time to wake up and take it.
_PAUSE_SECONDS: Final = 0.000_001


def in_turns(records: Sequence[Any]) -> Iterator[Any]:
    """Go through records, and let other threads go on now and then.

    The interpreter itself would have them wait for five milliseconds, each time that they have
    waited for anything else: a request, for its database.

    Args:
        records: what is gone through.
    """
    for start in range(0, len(records), AT_ONCE):
        if start:
            let_others_go_on()
        yield from records[start : start + AT_ONCE]


def let_others_go_on() -> None:
    """Let a thread that waits for the interpreter have it, unless this one is in a hurry."""
    if not _here.hurried:
        sleep(_PAUSE_SECONDS)


def hurry(hurried: bool) -> None:
    """Have this thread go on without pauses, or with them again.

    Where the program's threads never wait for anything, each pause costs the five milliseconds in
    which they go on; what they make meanwhile may be more than the records before the pause.
    """
    _here.hurried = hurried


class _Here(threading.local):
    hurried = False


_here: Final = _Here()
