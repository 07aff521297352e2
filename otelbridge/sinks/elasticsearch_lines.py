"""Log records as the lines of a bulk request, most of them in one step.

A record that was taken from Python's logging and has nothing unusual goes onto its line as it is;
any other is made one of :mod:`otelbridge.model` first, of which a line is written that would be the
same.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from otelbridge.delivery.taken_record import TakenRecord
from otelbridge.elasticsearch.bulk_body import Written, log_lines
from otelbridge.elasticsearch.documents import attributes_stay, timestamp
from otelbridge.elasticsearch.names import ARRIVAL_DELAY
from otelbridge.schema import RECORD_UID
from otelbridge.sinks.elasticsearch_records import Origins, made_log

if TYPE_CHECKING:
    from otelbridge.delivery.taken_record import Origin

_UID_CHARS: Final = 32


def written_logs(readables: Iterable[Any], namespace: str, now: int) -> bytes:
    """Write log records of the SDK, or taken ones.

    Args:
        readables: resources and scopes that are the same objects in several are written once.
        namespace: the last part of the data stream's name.
        now: nanoseconds since the epoch, by which documents tell how late their records are.

    Returns:
        Two lines for each, ended.
    """
    writer = _Writer(namespace, now)
    lines: list[bytes] = []
    for readable in readables:
        written = writer.line(readable) if type(readable) is TakenRecord else None
        lines += written or log_lines(made_log(readable, writer.origins), writer.shared)
    return b"".join(lines)


class _Writer:
    """Writes the lines of one request."""

    def __init__(self, namespace: str, now: int) -> None:
        self.shared = Written(namespace, now)
        self.origins = Origins()
        self._now = now
        # By what they were written of, which is kept so that its id remains its own.
        self._sites: dict[int, tuple[Origin, str, orjson.Fragment]] = {}

    def line(self, taken: TakenRecord) -> tuple[bytes, bytes] | None:
        """Write a record in one step; ``None`` where that cannot be done."""
        try:
            return self._line(taken)
        except (TypeError, ValueError):
            # A text that is no Unicode, or an id that somebody else has made.
            return None

    def _line(self, taken: TakenRecord) -> tuple[bytes, bytes] | None:
        uid, extras, time = taken.uid, taken.extras, taken.timestamp
        if (
            taken.told
            or taken.event_name
            or not (time and taken.observed_timestamp)
            or not taken.origin.attributes
            or taken.clashes()
            or not _are_usual(tuple(extras))
            or len(uid) != _UID_CHARS
            or bytes.fromhex(uid).hex() != uid
        ):
            return None
        shared = self.shared
        source: dict[str, Any] = {
            "@timestamp": timestamp(time),
            "observed_timestamp": timestamp(taken.observed_timestamp),
            "data_stream": shared.routing("logs"),
        }
        if taken.severity_text:
            source["severity_text"] = taken.severity_text
        if taken.severity_number.value:
            source["severity_number"] = taken.severity_number.value
        context = taken.span_context
        if context.trace_id:
            source["trace_id"] = f"{context.trace_id:032x}"
        if context.span_id:
            source["span_id"] = f"{context.span_id:016x}"
        name, site = self._site(taken.origin)
        source["attributes"] = {
            ARRIVAL_DELAY: (self._now - time) // 1000 / 1e6,
            **extras,
            name: site,
            RECORD_UID: uid,
        }
        source["resource"] = shared.resource(self.origins.resource(taken.resource))
        source["scope"] = shared.scope(self.origins.scope(taken.instrumentation_scope))
        source["body"] = {"text": taken.body}
        line = orjson.dumps(source, option=orjson.OPT_APPEND_NEWLINE)
        return shared.action("logs", uid), line

    def _site(self, origin: Origin) -> tuple[str, orjson.Fragment]:
        """Write where a record comes from: the first name, and what follows after it."""
        found = self._sites.get(id(origin))
        if found is None:
            name = next(iter(origin.attributes))
            written = orjson.dumps(origin.attributes)[len(orjson.dumps(name)) + 2 : -1]
            found = self._sites[id(origin)] = origin, name, orjson.Fragment(written)
        return found[1:]


@lru_cache(maxsize=1024)
def _are_usual(names: tuple[str, ...]) -> bool:
    """Tell whether attributes of these names stand in a document as they are."""
    return attributes_stay(names) and not {ARRIVAL_DELAY, "event.name"} & set(names)
