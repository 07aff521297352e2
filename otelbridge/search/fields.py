"""Where a field lives that a user names: by ECS's name, by OpenTelemetry's, or by its bare key.

What is said here holds for every engine; each has its own way to read the places named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from otelbridge import schema

if TYPE_CHECKING:
    from otelbridge.store.protocol import Signal

Location: TypeAlias = Literal[
    "column",  # the record's own field; key is its name in a stored document
    "attribute",  # the record's attributes
    "attribute_or_event",  # a span's attributes or those of one of its events
    "any_attribute",  # the record's attributes, or where they have none, the resource's
    "resource",  # the resource's attributes
    "scope",  # the instrumentation scope's; key is "name", "version" or "attributes.KEY"
    "body",  # within a body that is an object
    "event_name",  # the name of one of a span's events
]
Kind: TypeAlias = Literal[
    "keyword",  # matched whole; numbers as numbers
    "text",  # matched by words
    "number",
    "id",  # bytes, written in hexadecimal
    "time",
    "duration",  # nanoseconds, or with a unit
    "level",
    "span_kind",
    "status",
]


@dataclass(frozen=True, slots=True)
class Field:
    """A place in a record.

    Attributes:
        keys: the attribute's name, and other names it may go by; one that holds is enough.
    """

    location: Location
    keys: tuple[str, ...]
    kind: Kind

    @property
    def key(self) -> str:
        """The first of its keys."""
        return self.keys[0]


TEXT_ATTRIBUTES: Final = frozenset({"exception.message", "exception.stacktrace"})

_ATTRIBUTE_PREFIX: Final = "attributes."
_RESOURCE_PREFIX: Final = "resource.attributes."
_SCOPE_PREFIX: Final = "scope.attributes."
_BODY_PREFIXES: Final = ("body.structured.", "body.")


def _column(key: str, kind: Kind) -> Field:
    return Field("column", (key,), kind)


_OF_BOTH: Final[dict[str, Field]] = {
    "@timestamp": _column("@timestamp", "time"),
    "trace.id": _column("trace_id", "id"),
    "trace_id": _column("trace_id", "id"),
    "span.id": _column("span_id", "id"),
    "span_id": _column("span_id", "id"),
    "scope.name": Field("scope", ("name",), "keyword"),
    "scope.version": Field("scope", ("version",), "keyword"),
    **{
        line: Field("resource", (attribute,), "keyword")
        for line, attribute in schema.LINE_TO_RESOURCE.items()
    },
}
_OF_LOGS: Final[dict[str, Field]] = {
    **_OF_BOTH,
    "message": _column("body.text", "text"),
    "body.text": _column("body.text", "text"),
    "body": _column("body.text", "text"),
    "log.level": _column("severity_text", "level"),
    "severity_text": _column("severity_text", "level"),
    "severity_number": _column("severity_number", "number"),
    "observed_timestamp": _column("observed_timestamp", "time"),
    "event.name": _column("event_name", "keyword"),
    "event_name": _column("event_name", "keyword"),
    "log.logger": Field("scope", ("name",), "keyword"),
    schema.RECORD_UID: _column(schema.RECORD_UID, "id"),
    # A sender may use ECS's name for an attribute itself, as a JSON line over UDP does.
    **{
        line: Field(
            "attribute", (attribute, line), "text" if attribute in TEXT_ATTRIBUTES else "keyword"
        )
        for line, attribute in schema.LINE_TO_ATTRIBUTE.items()
    },
}
_OF_SPANS: Final[dict[str, Field]] = {
    **_OF_BOTH,
    "name": _column("name", "keyword"),
    "span.name": _column("name", "keyword"),
    "kind": _column("kind", "span_kind"),
    "span.kind": _column("kind", "span_kind"),
    "status.code": _column("status.code", "status"),
    "status.message": _column("status.message", "text"),
    "status_message": _column("status.message", "text"),
    "duration": _column("duration", "duration"),
    "span.duration": _column("duration", "duration"),
    "parent.id": _column("parent_span_id", "id"),
    "parent_span_id": _column("parent_span_id", "id"),
    "trace_state": _column("trace_state", "keyword"),
    "event.name": Field("event_name", ("name",), "keyword"),
    "event_name": Field("event_name", ("name",), "keyword"),
    # An exception is an event of its span; "error.type" is also an attribute of its own.
    "error.type": Field("attribute_or_event", ("exception.type", "error.type"), "keyword"),
    "error.message": Field("attribute_or_event", ("exception.message", "error.message"), "text"),
    "error.stack_trace": Field(
        "attribute_or_event", ("exception.stacktrace", "error.stack_trace"), "text"
    ),
    "exception.type": Field("attribute_or_event", ("exception.type",), "keyword"),
    "exception.message": Field("attribute_or_event", ("exception.message",), "text"),
    "exception.stacktrace": Field("attribute_or_event", ("exception.stacktrace",), "text"),
}
_BUILT_IN: Final[dict[str, dict[str, Field]]] = {"logs": _OF_LOGS, "spans": _OF_SPANS}


def resolve(name: str, signal: Signal) -> Field:
    """Say where the field of this name lives in logs or in spans; every name lives somewhere."""
    built_in = _BUILT_IN[signal].get(name)
    if built_in is not None:
        return built_in
    if name.startswith(_ATTRIBUTE_PREFIX) and name != _ATTRIBUTE_PREFIX:
        return _attribute("attribute", name[len(_ATTRIBUTE_PREFIX) :])
    if name.startswith(_RESOURCE_PREFIX) and name != _RESOURCE_PREFIX:
        return _attribute("resource", name[len(_RESOURCE_PREFIX) :])
    if name.startswith(_SCOPE_PREFIX) and name != _SCOPE_PREFIX:
        return Field("scope", (name.removeprefix("scope."),), "keyword")
    if signal == "logs":
        for prefix in _BODY_PREFIXES:
            if name.startswith(prefix) and name != prefix:
                return Field("body", (name[len(prefix) :],), "keyword")
    return _attribute("any_attribute", name)


def built_in_names(signal: Signal) -> list[str]:
    """The names of fields that are not attributes, in alphabetical order."""
    return sorted(_BUILT_IN[signal])


def _attribute(location: Location, key: str) -> Field:
    return Field(location, (key,), "text" if key in TEXT_ATTRIBUTES else "keyword")
