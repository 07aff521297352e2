"""Ids of stored records: numbers of 63 bits that order them by time, made of what a hit has.

An id is the record's time in microseconds, and twelve bits more that tell the records of one
microsecond apart: of its nanoseconds and of ``_seq_no``, the number that its shard gave it. Both
stay as they are for as long as the document does. Two records of one microsecond get one id only
where both agree in those bits: clocks that count nanoseconds make that rare, and records of one
clock that does not have neighbouring sequence numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_TIE_BITS: Final = 12
_TIES: Final = 1 << _TIE_BITS


def id_of(hit: Mapping[str, Any]) -> int:
    """The id of a hit that was sorted by time and ``_seq_no``."""
    time, number = hit["sort"]
    return make_id(int(time), int(number))


def make_id(time: int, number: int) -> int:
    """The id of a record.

    Args:
        time: as Elasticsearch indexed it, nanoseconds since the epoch.
        number: its ``_seq_no``.
    """
    microsecond, rest = divmod(time, 1000)
    return microsecond << _TIE_BITS | (rest * 4 + number) % _TIES


def microsecond_of(id: int) -> tuple[int, int]:
    """The microsecond of an id: its first nanosecond, and the first after it."""
    microsecond = id >> _TIE_BITS
    return microsecond * 1000, (microsecond + 1) * 1000
