"""Giving other threads their turn amid work on many records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

# Taken by its name, so that a program's tests that put another in its place do not count ours.
from time import sleep
from typing import Any, Final

# A quarter of a millisecond's work of encoding.
_AT_ONCE: Final = 32


def in_turns(records: Sequence[Any]) -> Iterator[Any]:
    """Go through records, and let other threads go on now and then.

    The interpreter itself would have them wait for five milliseconds, each time that they have
    waited for anything else: a request, for its database.
    """
    for start in range(0, len(records), _AT_ONCE):
        if start:
            sleep(0)
        yield from records[start : start + _AT_ONCE]
