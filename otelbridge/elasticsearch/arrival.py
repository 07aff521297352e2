"""How late a record is, told by its document.

A dashboard cannot subtract one time from another, so the difference is stored: the attribute
:data:`~otelbridge.elasticsearch.names.ARRIVAL_DELAY`, in seconds. It is the first of a document's
attributes, so that it can be put right in the written line of one that waited before it was sent.
The Collector does the same to what comes through it; see ``transform/documents`` in
``deploy/collector/config.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from otelbridge.elasticsearch.names import ARRIVAL_DELAY
from otelbridge.model import Attributes

# What waited no longer than this many seconds after it was written is sent as it is.
PATIENCE: Final = 0.5

_TIME: Final = re.compile(rb'\{"@timestamp":"([0-9]+)\.([0-9]{6})"')
# Strings in front of it hold no bare quotation marks, so that these are no part of one.
_BEGIN: Final = f'"attributes":{{"{ARRIVAL_DELAY}":'.encode()
_RESOURCE: Final = b'"resource":{'
_NUMBER: Final = re.compile(rb"-?[0-9][0-9.eE+-]*")
_DURATION: Final = re.compile(rb'"duration":([0-9]+),$')


def with_delay(attributes: Attributes, happened: int, now: int) -> Attributes:
    """Add the delay in front of attributes; what stands there by that name gives way.

    Args:
        attributes: a log's or a span's own.
        happened: when the log was made or the span ended, nanoseconds since the epoch.
        now: likewise.
    """
    delay = (now - happened) // 1000 / 1e6
    added = {ARRIVAL_DELAY: delay, **attributes}
    if len(added) == len(attributes):
        added[ARRIVAL_DELAY] = delay
    return added


def put_right(lines: Sequence[bytes], now: int) -> Sequence[bytes]:
    """Write the delays of documents anew, where the first of them waited since it was written.

    Args:
        lines: two for each document, as of a bulk request, the oldest first.
        now: nanoseconds since the epoch.

    Returns:
        The lines; those without a delay are as they were.
    """
    for line in lines[1::2]:
        told = _told(line)
        if told is not None:
            happened, place, end = told
            waited = (now - happened) / 1e9 - float(line[place:end])
            # A clock that was set back makes it seem to have waited for less than nothing.
            if abs(waited) <= PATIENCE:
                return lines
            break
    return [_put_right(line, now) if place % 2 else line for place, line in enumerate(lines)]


def _put_right(line: bytes, now: int) -> bytes:
    told = _told(line)
    if told is None:
        return line
    happened, place, end = told
    return b"%b%.6f%b" % (line[:place], (now - happened) / 1e9, line[end:])


def _told(line: bytes) -> tuple[int, int, int] | None:
    """Find when a document's record happened, and from where to where its delay is written."""
    time = _TIME.match(line)
    place = line.find(_BEGIN)
    if time is None or not 0 <= place < line.find(_RESOURCE):
        return None
    number = _NUMBER.match(line, place + len(_BEGIN))
    if number is None:
        return None
    happened = int(time[1] + time[2])
    duration = _DURATION.search(line[max(0, place - 40) : place])
    return happened + (int(duration[1]) if duration else 0), number.start(), number.end()
