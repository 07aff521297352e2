"""What a query means, said as plainly as possible: over one record, with no index and no haste.

Engines are held against this. It knows words of ASCII letters and digits only in part, and is for
tests whose texts keep to letters whose case is simple.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from otelbridge import schema
from otelbridge.model import LogRecord, Span
from otelbridge.search.pattern import pieces
from otelbridge.search.query import And, Compare, Exists, Match, Not, Or, Phrase, Query, Word

TEXT_FIELDS = {
    "message",
    "body.text",
    "error.message",
    "error.stack_trace",
    "exception.message",
    "attributes.exception.message",
    "status.message",
}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
LEVELS = ["trace", "debug", "info", "warning", "error", "critical"]
SAME_LEVEL = {"warn": "warning", "fatal": "critical"}
KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"]
STATUSES = ["unset", "ok", "error"]
IDS = {"trace.id": "trace_id", "span.id": "span_id", "parent.id": "parent_span_id"}


def holds(query: Query, record: LogRecord | Span) -> bool:
    """Whether the record matches."""
    if isinstance(query, And):
        return all(holds(item, record) for item in query.items)
    if isinstance(query, Or):
        return any(holds(item, record) for item in query.items)
    if isinstance(query, Not):
        return not holds(query.item, record)
    if isinstance(query, Word):
        return any(
            set(word) == {"*"} or any(has_words(text, word, False) for text in all_texts(record))
            for word in query.text.split()
        )
    if isinstance(query, Phrase):
        return any(has_words(text, query.text, True) for text in all_texts(record))
    return in_field(query, record)


def in_field(query: Match | Exists | Compare, record: LogRecord | Span) -> bool:
    name = query.field
    if name == "log.level" and isinstance(record, LogRecord):
        return level_holds(query, record)
    if name == "@timestamp":
        return time_holds(query, record.time)
    if name in {"duration", "kind", "status.code"} and isinstance(record, Span):
        return number_holds(query, record)
    if name in IDS:
        return id_holds(query, getattr(record, IDS.get(name, name), None))
    found = list(field_values(name, record))
    if isinstance(query, Exists):
        return bool(found)
    if isinstance(query, Compare):
        return name not in TEXT_FIELDS and any(compares(query, value) for value in found)
    if name in TEXT_FIELDS:
        words = [query.value] if query.quoted else query.value.split()
        if not query.quoted and any(set(word) == {"*"} for word in words):
            return bool(found)
        return any(
            has_words(as_text(value), word, query.quoted)
            for value in found
            if not isinstance(value, dict)
            for word in words
        )
    return any(equals(query, value) for value in found if not isinstance(value, dict))


# --- where values are ---------------------------------------------------------------------------


def field_values(name: str, record: LogRecord | Span) -> Iterator[Any]:
    if name in {"message", "body.text"} and isinstance(record, LogRecord):
        yield from leaves(record.body)
    elif name.startswith("body.") and isinstance(record, LogRecord):
        if not isinstance(record.body, str):
            yield from under(record.body, name.removeprefix("body."))
    elif name in {"log.logger", "scope.name"} and (
        isinstance(record, LogRecord) or name == "scope.name"
    ):
        yield from [record.scope.name] if record.scope.name else []
    elif name == "name" and isinstance(record, Span):
        yield record.name
    elif name == "status.message" and isinstance(record, Span):
        yield from [record.status_message] if record.status_message else []
    elif name == "event.name":
        if isinstance(record, Span):
            yield from (event.name for event in record.events)
        elif record.event_name:
            yield record.event_name
    elif name in schema.LINE_TO_RESOURCE:
        yield from under(record.resource, schema.LINE_TO_RESOURCE[name])
    elif name.startswith("resource.attributes."):
        yield from under(record.resource, name.removeprefix("resource.attributes."))
    elif name.startswith("attributes."):
        yield from under(record.attributes, name.removeprefix("attributes."))
    elif name.startswith(("error.", "exception.")) and isinstance(record, Span):
        for attributes in (record.attributes, *(event.attributes for event in record.events)):
            yield from under(attributes, name)
            if name in schema.LINE_TO_ATTRIBUTE:
                yield from under(attributes, schema.LINE_TO_ATTRIBUTE[name])
    elif name in schema.LINE_TO_ATTRIBUTE and isinstance(record, LogRecord):
        yield from under(record.attributes, name)
        yield from under(record.attributes, schema.LINE_TO_ATTRIBUTE[name])
    else:
        own = list(under(record.attributes, name))
        yield from own or under(record.resource, name)


def under(value: Any, path: str) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from under(item, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == path:
                yield from shallow(item)
            elif path.startswith(f"{key}."):
                yield from under(item, path[len(key) + 1 :])


def shallow(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from shallow(item)
    elif (isinstance(value, dict) and list(leaves(value))) or (
        not isinstance(value, dict) and value is not None
    ):
        yield value


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif value is not None:
        yield value


def all_texts(record: LogRecord | Span) -> Iterator[str]:
    values: list[Any] = [
        record.resource.get("service.name"),
        [value for key, value in record.attributes.items() if key != schema.RECORD_UID],
    ]
    if isinstance(record, LogRecord):
        values += [record.body, record.scope.name, record.event_name]
    else:
        values += [record.name, record.status_message]
        values += [[event.name, event.attributes] for event in record.events]
    return (as_text(value) for value in leaves(values))


# --- what fits ----------------------------------------------------------------------------------


def as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def has_words(text: str, wanted: str, quoted: bool) -> bool:
    """Whether the words of ``wanted`` stand in the text, one after the other."""
    parts = [wanted] if quoted else pieces(wanted)
    # A star is a letter of its own kind, so that it stays with the word that it is part of.
    patterns = re.findall(r"[\w\ufffc]+", "\ufffc".join(parts).lower())
    if not patterns:
        return False
    words = re.findall(r"\w+", text.lower())
    expressions = [pattern.replace("\ufffc", r"\w*") for pattern in patterns]
    return any(
        all(re.fullmatch(e, w) for e, w in zip(expressions, words[at:], strict=False))
        for at in range(len(words) - len(expressions) + 1)
    )


def whole(parts: list[str], text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, parts)), text, re.DOTALL) is not None


def number(text: str) -> float | int | None:
    if NUMBER.fullmatch(text) is None:
        return None
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def equals(query: Match, value: Any) -> bool:
    parts = [query.value] if query.quoted else pieces(query.value)
    if whole(parts, as_text(value)):
        return True
    if len(parts) > 1 or isinstance(value, (str, bool)):
        return False
    wanted = number(parts[0])
    return wanted is not None and wanted == value


def compares(query: Compare, value: Any) -> bool:
    wanted: Any = number(query.value)
    if wanted is None:
        if not isinstance(value, str):
            return False
        wanted = query.value
    elif isinstance(value, str):
        value = number(value)
    if value is None or isinstance(value, (bool, dict)):
        return False
    return ordered(query, value, wanted)


def ordered(query: Compare, value: Any, wanted: Any) -> bool:
    return bool(
        {"<": value < wanted, "<=": value <= wanted, ">": value > wanted, ">=": value >= wanted}[
            query.operator
        ]
    )


def level_holds(query: Match | Exists | Compare, record: LogRecord) -> bool:
    severity, text = record.severity_number, record.severity_text.lower()
    level = LEVELS[min((severity - 1) // 4, 5)] if severity else None
    if isinstance(query, Exists):
        return severity > 0 or bool(text)
    if isinstance(query, Compare):
        name = query.value.lower()
        name = SAME_LEVEL.get(name, name)
        if level is None or name not in LEVELS:
            return False
        return ordered(query, LEVELS.index(level), LEVELS.index(name))
    parts = [query.value.lower()] if query.quoted else pieces(query.value.lower())
    wanted = {name for name in LEVELS if whole(parts, name)}
    wanted |= {same for name, same in SAME_LEVEL.items() if whole(parts, name)}
    if level in wanted:
        return True
    return bool(text) and (SAME_LEVEL.get(text, text) in wanted or whole(parts, text))


def time_holds(query: Match | Exists | Compare, time: int) -> bool:
    if isinstance(query, Exists):
        return True
    if isinstance(query, Match) and not query.quoted and len(pieces(query.value)) > 1:
        return False
    # Dates only: what a part of a date stands for is tested on its own.
    try:
        start = datetime.strptime(query.value, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        return False
    first = int(start.timestamp()) * 10**9
    end = first + 86400 * 10**9
    if isinstance(query, Match):
        return first <= time < end
    return {"<": time < first, "<=": time < end, ">": time >= end, ">=": time >= first}[
        query.operator
    ]


def number_holds(query: Match | Exists | Compare, span: Span) -> bool:
    if query.field == "duration":
        if isinstance(query, Exists):
            return True
        found = re.fullmatch(r"(\d+)(ms|s)?", query.value, re.ASCII)
        if found is None:
            return False
        wanted = int(found[1]) * {None: 1, "ms": 10**6, "s": 10**9}[found[2]]
        if isinstance(query, Match):
            return span.duration == wanted
        return ordered(query, span.duration, wanted)
    code, names = (span.kind, KINDS) if query.field == "kind" else (span.status_code, STATUSES)
    if isinstance(query, Exists):
        return code != 0
    if isinstance(query, Compare):
        return False
    parts = [query.value.lower()] if query.quoted else pieces(query.value.lower())
    return whole(parts, names[code]) or parts == [str(code)]


def id_holds(query: Match | Exists | Compare, id: bytes | None) -> bool:
    if isinstance(query, Exists):
        return id is not None
    if isinstance(query, Compare) or id is None:
        return False
    parts = [query.value.lower()] if query.quoted else pieces(query.value.lower())
    return whole(parts, id.hex())
