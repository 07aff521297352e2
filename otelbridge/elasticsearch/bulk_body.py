"""Records as the body of a bulk request: two lines of JSON for each document.

The documents are those of :mod:`otelbridge.elasticsearch.documents`. The resource and the scope,
which are most of a document and the same in many, are written once and then copied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import orjson

from otelbridge.elasticsearch.documents import (
    Document,
    Shared,
    log_source,
    span_sources,
)
from otelbridge.elasticsearch.names import Type, data_stream
from otelbridge.model import Attributes, LogRecord, Scope, Span


def logs_body(records: Iterable[LogRecord], namespace: str, now: int | None = None) -> bytes:
    """Write log records.

    Args:
        records: what is the same object in several of them, resource or scope, is written once.
        namespace: the last part of the data stream's name.
        now: nanoseconds since the epoch, where documents are to tell how late their records are.

    Returns:
        The lines, each ended; nothing where there are no records.
    """
    shared = Written(namespace, now)
    lines: list[bytes] = []
    for record in records:
        lines += log_lines(record, shared)
    return b"".join(lines)


def log_lines(record: LogRecord, shared: Written) -> tuple[bytes, bytes]:
    """Write one log record, as :func:`logs_body` does."""
    uid = None if record.uid is None else record.uid.hex()
    try:
        line = orjson.dumps(log_source(record, uid, shared), option=_LINE)
    except TypeError:
        line = source_line(log_source(record, uid, Shared(shared.namespace, shared.now)))
    return shared.action("logs", uid), line


def spans_body(spans: Iterable[Span], namespace: str, now: int | None = None) -> bytes:
    """Write spans, and the documents of their events.

    Args:
        spans: as the records of :func:`logs_body`.
        namespace: the last part of the data streams' names.
        now: as that of :func:`logs_body`.

    Returns:
        The lines, each ended; nothing where there are no spans.
    """
    shared = Written(namespace, now)
    lines: list[bytes] = []
    for span in spans:
        written: list[bytes] = []
        try:
            for type, id, source in span_sources(span, shared):
                written += shared.action(type, id), orjson.dumps(source, option=_LINE)
        except TypeError:
            written.clear()
            for type, id, source in span_sources(span, Shared(namespace, now)):
                written += shared.action(type, id), source_line(source)
        lines += written
    return b"".join(lines)


@dataclass(slots=True)
class WrittenDocument:
    """A document as lines of a body; it is read only where somebody asks what it says.

    Attributes:
        action: the line that says what to do with it, ended.
        line: its own, ended.
    """

    action: bytes
    line: bytes

    @property
    def stream(self) -> str:
        """The data stream it belongs to."""
        return str(orjson.loads(self.action)["create"]["_index"])

    @property
    def id(self) -> str | None:
        """What makes a second copy recognisable."""
        id: str | None = orjson.loads(self.action)["create"].get("_id")
        return id


class WrittenDocuments(Sequence[WrittenDocument]):
    """Documents as the lines of a body, each made only when somebody asks for it.

    Attributes:
        lines: two for each document, ended.
    """

    def __init__(self, lines: Sequence[bytes]) -> None:
        """Take lines.

        Raises:
            ValueError: there are not two for each document.
        """
        if len(lines) % 2:
            raise ValueError("a document's line is missing")
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines) // 2

    @overload
    def __getitem__(self, place: int) -> WrittenDocument: ...
    @overload
    def __getitem__(self, place: slice) -> WrittenDocuments: ...
    def __getitem__(self, place: int | slice) -> WrittenDocument | WrittenDocuments:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                raise ValueError("only neighbouring documents can be taken out together")
            return WrittenDocuments(self.lines[2 * start : 2 * max(start, stop)])
        at = 2 * range(len(self))[place]
        return WrittenDocument(self.lines[at], self.lines[at + 1])


def documents_of(body: bytes) -> WrittenDocuments:
    """Take a body apart again."""
    return WrittenDocuments(body.splitlines(keepends=True))


def document_lines(document: Document | WrittenDocument) -> tuple[bytes, bytes]:
    """Write one document: the line that says what to do with it, and its own; each ended."""
    if isinstance(document, WrittenDocument):
        return document.action, document.line
    action: dict[str, Any] = {"_index": document.stream}
    if document.id is not None:
        action["_id"] = document.id
    if document.dynamic_templates:
        action["dynamic_templates"] = document.dynamic_templates
    return orjson.dumps({"create": action}, option=_LINE), source_line(document.source)


def source_line(source: dict[str, Any]) -> bytes:
    """Write a document's own line."""
    try:
        return orjson.dumps(source, option=_LINE)
    except TypeError:
        # A lone surrogate or a number beyond 64 bits: whether it can be stored is for the server
        # to say.
        return json.dumps(source, default=str).encode() + b"\n"


_LINE = orjson.OPT_APPEND_NEWLINE


class Written(Shared):
    """What documents have in common, as JSON."""

    def __init__(self, namespace: str, now: int | None) -> None:
        super().__init__(namespace, now)
        self._routing: dict[Type, orjson.Fragment] = {}
        self._actions: dict[Type, bytes] = {}
        # By what they were written of, which is kept so that its id remains its own.
        self._resources: dict[int, tuple[Attributes, orjson.Fragment]] = {}
        self._scopes: dict[int, tuple[Scope, orjson.Fragment]] = {}

    def routing(self, type: Type) -> orjson.Fragment:
        if type not in self._routing:
            self._routing[type] = orjson.Fragment(orjson.dumps(super().routing(type)))
        return self._routing[type]

    def resource(self, attributes: Attributes) -> orjson.Fragment:
        found = self._resources.get(id(attributes))
        if found is None:
            written = orjson.Fragment(orjson.dumps(super().resource(attributes)))
            found = self._resources[id(attributes)] = attributes, written
        return found[1]

    def scope(self, scope: Scope) -> orjson.Fragment:
        found = self._scopes.get(id(scope))
        if found is None:
            written = orjson.Fragment(orjson.dumps(super().scope(scope)))
            found = self._scopes[id(scope)] = scope, written
        return found[1]

    def action(self, type: Type, id: str | None) -> bytes:
        """The line that says what to do with a document; ids are of plain characters."""
        if type not in self._actions:
            stream = orjson.dumps(data_stream(type, self.namespace))
            self._actions[type] = b'{"create":{"_index":%b' % stream
        if id is None:
            return self._actions[type] + b"}}\n"
        return b'%b,"_id":"%b"}}\n' % (self._actions[type], id.encode())
