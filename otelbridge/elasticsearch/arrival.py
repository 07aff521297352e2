"""How late a record is, written into its document when that is sent.

A dashboard cannot subtract one time from another, so the difference is stored: the attribute
:data:`~otelbridge.elasticsearch.names.ARRIVAL_DELAY`, in seconds. It is put into the line that is
ready to be sent, because a line may have waited long since it was written. The Collector does the
same to what comes through it; see ``transform/documents`` in ``deploy/collector/config.yaml``.
"""

from __future__ import annotations

import re
from typing import Final

from otelbridge.elasticsearch.names import ARRIVAL_DELAY, DATASET

_ACTIONS: Final = tuple(
    f'{{"create":{{"_index":"{type}-{DATASET}-'.encode() for type in ("logs", "traces")
)
# A log, not the event of a span, which has no time of its being observed; or a span.
_TIME: Final = re.compile(
    rb'\{"@timestamp":"([0-9]+)\.([0-9]{6})",(?="observed_timestamp"|"data_stream":\{"type":"traces")'
)
_DURATION: Final = re.compile(rb'"kind":"[A-Za-z]*","duration":([0-9]+)')
_ATTRIBUTES: Final = b'"attributes":{'
_NAME: Final = f'"{ARRIVAL_DELAY}":'.encode()
# What follows a document's own attributes and may have such as well.
_OTHERS: Final = (b'"links":[', b'"resource":{')


def stamp(action: bytes, line: bytes, now: int) -> bytes:
    """Put the delay into a document's line; what is no log or span comes back as it is.

    Args:
        action: the line before it, which names the data stream.
        line: the document, written by :mod:`otelbridge.elasticsearch.documents`.
        now: nanoseconds since the epoch.
    """
    if not action.startswith(_ACTIONS) or (time := _TIME.match(line)) is None:
        return line
    happened = int(time[1] + time[2])
    own = min((place for place in map(line.find, _OTHERS) if place >= 0), default=len(line))
    if (span := _DURATION.search(line, time.end(), own)) is not None:
        happened += int(span[1])
    if line.find(_NAME, time.end(), own) >= 0:
        # Two fields of one name would have the document refused.
        return line
    added = b"%b%.6f" % (_NAME, (now - happened) / 1e9)
    place = line.find(_ATTRIBUTES, time.end(), own)
    if place < 0:
        return b"%b%b%b},%b" % (line[: time.end()], _ATTRIBUTES, added, line[time.end() :])
    place += len(_ATTRIBUTES)
    comma = b"" if line[place : place + 1] == b"}" else b","
    return b"%b%b%b%b" % (line[:place], added, comma, line[place:])
