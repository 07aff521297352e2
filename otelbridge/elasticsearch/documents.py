"""The stored document of a log or a span, the same whichever way the record came.

It has the shape that the Collector's Elasticsearch exporter 0.152 writes in its ``otel`` mapping
mode. The events of a span are documents of their own there, among the logs; what tells them from
logs is that they have no ``observed_timestamp``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from otelbridge import schema
from otelbridge.elasticsearch.arrival import with_delay
from otelbridge.elasticsearch.names import DATASET, Type, data_stream
from otelbridge.model import Attributes, Json, LogRecord, Scope, Span, SpanEvent

SPAN_KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS_CODES: Final = ("Unset", "Ok", "Error")

# Attributes that direct the exporter; it does not write them.
_DIRECTIONS: Final = frozenset(
    {
        "data_stream.type",
        "data_stream.dataset",
        "data_stream.namespace",
        "elasticsearch.mapping.hints",
        "elastic.mapping.mode",
        "elasticsearch.document_id",
        "elasticsearch.ingest_pipeline",
        "elasticsearch.index",
    }
)
_LATITUDE: Final = "geo.location.lat"
_LONGITUDE: Final = "geo.location.lon"
_COORDINATE: Final = "geo.location.l"


@dataclass(slots=True)
class Document:
    """One document on its way.

    Attributes:
        stream: the data stream it belongs to.
        id: what makes a second copy recognisable; ``None`` where the record has nothing such.
        source: the document, JSON data.
        dynamic_templates: the mapping of fields that may be new, by their full names.
    """

    stream: str
    id: str | None
    source: dict[str, Any]
    dynamic_templates: dict[str, str] = field(default_factory=dict)


def log_document(record: LogRecord, namespace: str) -> Document:
    """Write a log record's document; its id is the record's ``log.record.uid``."""
    uid = None if record.uid is None else record.uid.hex()
    source = log_source(record, uid, Shared(namespace))
    return Document(data_stream("logs", namespace), uid, source)


def log_source(record: LogRecord, uid: str | None, shared: Shared) -> dict[str, Any]:
    """Write a log record's document alone.

    Args:
        uid: the record's ``log.record.uid``, in hexadecimal digits.
        shared: writes what records have in common.
    """
    time = record.time or record.observed_time
    attributes = record.attributes
    if shared.now is not None:
        attributes = with_delay(attributes, time, shared.now)
    elif uid is not None:
        attributes = attributes.copy()
    if uid is not None:
        attributes[schema.RECORD_UID] = uid
    source: dict[str, Any] = {
        "@timestamp": timestamp(time),
        "observed_timestamp": timestamp(record.observed_time),
        "data_stream": shared.routing("logs"),
    }
    if record.severity_text:
        source["severity_text"] = record.severity_text
    if record.severity_number:
        source["severity_number"] = record.severity_number
    if record.trace_id is not None:
        source["trace_id"] = record.trace_id.hex()
    if record.span_id is not None:
        source["span_id"] = record.span_id.hex()
    add_attributes(source, attributes)
    event_name = record.event_name or attributes.get("event.name")
    if event_name and isinstance(event_name, str):
        source["event_name"] = event_name
    source["resource"] = shared.resource(record.resource)
    source["scope"] = shared.scope(record.scope)
    if record.body is not None:
        source["body"] = _body(record.body)
    return source


def _body(body: Json) -> dict[str, Json]:
    if isinstance(body, dict):
        return {"structured": body}
    if isinstance(body, list):
        # Elasticsearch takes no list of anything but objects in the place of an object.
        objects = all(isinstance(item, dict) for item in body)
        return {"structured": body if objects else {"value": body}}
    return {"text": body}


def span_documents(span: Span, namespace: str) -> list[Document]:
    """Write a span's document, and one for each of its events."""
    return [
        Document(data_stream(type, namespace), id, source)
        for type, id, source in span_sources(span, Shared(namespace))
    ]


def span_sources(span: Span, shared: Shared) -> Iterator[tuple[Type, str, dict[str, Any]]]:
    """Write the documents of a span and of its events, each with its type and its id.

    The span's id is its trace and span id; an event's is that and its place, counted from 0.

    Args:
        shared: writes what records have in common.
    """
    trace_id, span_id = span.trace_id.hex(), span.span_id.hex()
    source: dict[str, Any] = {
        "@timestamp": timestamp(span.time),
        "data_stream": shared.routing("traces"),
        "trace_id": trace_id,
        "span_id": span_id,
    }
    if span.trace_state:
        source["trace_state"] = span.trace_state
    if span.parent_span_id is not None:
        source["parent_span_id"] = span.parent_span_id.hex()
    if span.name:
        source["name"] = span.name
    source["kind"] = SPAN_KINDS[span.kind] if 0 <= span.kind < len(SPAN_KINDS) else ""
    source["duration"] = span.duration
    add_attributes(source, shared.attributes(span.attributes, span.time + span.duration))
    source["links"] = []
    for link in span.links:
        linked: dict[str, Any] = {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()}
        add_attributes(linked, link.attributes)
        source["links"].append(linked)
    source["status"] = _status(span)
    source["resource"] = shared.resource(span.resource)
    source["scope"] = shared.scope(span.scope)
    yield "traces", trace_id + span_id, source
    for place, event in enumerate(span.events):
        yield "logs", f"{trace_id}{span_id}-{place}", _event(event, span, shared)


def _status(span: Span) -> dict[str, str]:
    status = {}
    if span.status_message:
        status["message"] = span.status_message
    if 0 < span.status_code < len(STATUS_CODES):
        status["code"] = STATUS_CODES[span.status_code]
    return status


def _event(event: SpanEvent, span: Span, shared: Shared) -> dict[str, Any]:
    source: dict[str, Any] = {
        "@timestamp": timestamp(event.time),
        "data_stream": shared.routing("logs"),
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
    }
    attributes = event.attributes
    if event.name:
        source["event_name"] = event.name
        attributes = {**attributes, "event.name": event.name}
    add_attributes(source, attributes)
    source["resource"] = shared.resource(span.resource)
    source["scope"] = shared.scope(span.scope)
    return source


# --- parts that documents of all signals have ---------------------------------------------------


def timestamp(time: int) -> str:
    """Write a time as ``milliseconds.nanoseconds``, which Elasticsearch reads to the nanosecond."""
    return f"{time // 10**6}.{time % 10**6:06d}"


def routing(type: Type, namespace: str) -> dict[str, str]:
    """The fields that name the document's own data stream."""
    return {"type": type, "dataset": DATASET, "namespace": namespace}


class Shared:
    """What the documents of many records have in common, as data.

    What a method returns stands in a document as it is; a subclass may return something quicker to
    write than data.
    """

    def __init__(self, namespace: str, now: int | None = None) -> None:
        """Write for the data streams of a namespace.

        Args:
            namespace: the last part of the data streams' names.
            now: nanoseconds since the epoch, where documents tell how late their records are.
        """
        self.namespace = namespace
        self.now = now

    def attributes(self, attributes: Attributes, happened: int) -> Attributes:
        """A log's or a span's own attributes.

        Args:
            attributes: as the record has them.
            happened: when the log was made or the span ended, nanoseconds since the epoch.
        """
        return attributes if self.now is None else with_delay(attributes, happened, self.now)

    def routing(self, type: Type) -> Any:
        """The fields that name the document's own data stream."""
        return routing(type, self.namespace)

    def resource(self, attributes: Attributes) -> Any:
        """The resource."""
        described: dict[str, Any] = {}
        add_attributes(described, attributes)
        return described

    def scope(self, scope: Scope) -> Any:
        """The instrumentation scope."""
        described: dict[str, Any] = {}
        if scope.name:
            described["name"] = scope.name
        if scope.version:
            described["version"] = scope.version
        add_attributes(described, scope.attributes)
        return described


def add_origin(source: dict[str, Any], resource: Attributes, scope: Scope) -> None:
    """Add the resource and the instrumentation scope."""
    shared = Shared("")
    source["resource"] = shared.resource(resource)
    source["scope"] = shared.scope(scope)


def add_attributes(source: dict[str, Any], attributes: Mapping[str, Json]) -> None:
    """Add attributes, if there are any, without those that only direct the exporter."""
    if not attributes:
        return
    if attributes_stay(attributes):
        source["attributes"] = attributes
        return
    written = {key: value for key, value in attributes.items() if key not in _DIRECTIONS}
    _join_coordinates(written)
    source["attributes"] = written


def attributes_stay(names: Iterable[str]) -> bool:
    """Tell whether attributes of these names are written as they are."""
    # Nearly no record has either; to look for both at once is cheaper than key by key.
    return _DIRECTIONS.isdisjoint(names) and _COORDINATE not in "\n".join(names)


def _join_coordinates(attributes: dict[str, Json]) -> None:
    """Make one point, longitude first, of a latitude and a longitude that belong together."""
    prefixes = {key[: -len(_LATITUDE)] for key in attributes if _is_coordinate(key, _LATITUDE)}
    for prefix in prefixes:
        pair: Sequence[Json] = (
            attributes.get(prefix + _LONGITUDE),
            attributes.get(prefix + _LATITUDE),
        )
        if all(isinstance(part, float) for part in pair):
            del attributes[prefix + _LONGITUDE], attributes[prefix + _LATITUDE]
            attributes[f"{prefix}geo.location"] = list(pair)


def _is_coordinate(key: str, name: str) -> bool:
    return key == name or key.endswith(f".{name}")
