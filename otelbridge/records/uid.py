"""An id for every log record, so that a resend is recognised and nothing is stored twice.

The ids are UUIDs of version 7 (RFC 9562): the moment first, so that ids made together lie together
in an index, then a counter, then bits that are random for each process.

     48 bits   milliseconds since the epoch
      4 bits   version, 7
     12 bits   fraction of the millisecond (RFC 9562, section 6.2, method 3)
      2 bits   variant
     32 bits   counter, from a random start (method 1)
     30 bits   random, drawn once a process
"""

from __future__ import annotations

import itertools
import logging
import os
import struct
import time
from collections.abc import Iterator

# Where the id is kept on a LogRecord. In its ``__dict__``, so that it survives copying and
# pickling: a record that goes through a QueueHandler keeps its id.
UID_ATTRIBUTE = "_otelbridge_uid"

_VERSION = 7 << 12
_VARIANT = 0b10 << 62
_halves = struct.Struct(">QQ").pack


class _Process:
    """What one process makes its ids of; a forked child gets its own."""

    __slots__ = ("counter", "last", "pid", "tail")

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.tail = int.from_bytes(os.urandom(4), "big") >> 2
        self.counter: Iterator[int] = itertools.count(int.from_bytes(os.urandom(4), "big") >> 1)
        self.last = 0


_process = _Process()


def _start_afresh() -> None:
    global _process
    _process = _Process()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)


def new_uid() -> str:
    """Make an id: 32 lower-case hexadecimal characters.

    An id made after another one in this process is greater than it, also when the clock was set
    back in between. No lock is taken: the counter's step is atomic, and where two threads read
    the clock at once the counter keeps their ids apart.
    """
    process = _process
    now = time.time_ns()
    if now < process.last:
        now = process.last
    else:
        process.last = now
    milliseconds = now // 1_000_000
    fraction = (now - milliseconds * 1_000_000 << 12) // 1_000_000
    count = next(process.counter) & 0xFFFFFFFF
    return _halves(
        milliseconds << 16 | _VERSION | fraction, _VARIANT | count << 30 | process.tail
    ).hex()


def record_uid(record: logging.LogRecord) -> str:
    """Return the record's id, making it the first time it is asked for.

    Every sink of one record is given the same id.
    """
    uid: str | None = record.__dict__.get(UID_ATTRIBUTE)
    if uid is None:
        # A server that forks in C without Python's fork hooks is noticed by its process id, which
        # the record has read already.
        if record.process != _process.pid and os.getpid() != _process.pid:
            _start_afresh()
        uid = record.__dict__.setdefault(UID_ATTRIBUTE, new_uid())
    return uid
