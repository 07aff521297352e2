"""Conditions on columns that are no text: times, ids, numbers, levels, kinds and states."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from otelbridge import schema
from otelbridge.search.fields import Field, Kind
from otelbridge.search.literals import read_duration, read_time
from otelbridge.search.pattern import matches, pieces
from otelbridge.search.query import Compare, Exists, Match
from otelbridge.store.sqlite.kql_sql import FALSE, Sql, any_holds
from otelbridge.store.sqlite.kql_values import number_of, write

_COLUMNS: Final = {
    "@timestamp": "r.time",
    # Where it is the time itself, the column is empty; where it was not given, it is 0.
    "observed_timestamp": "nullif(coalesce(r.observed, r.time), 0)",
    "severity_number": "nullif(r.severity, 0)",
    "duration": "r.duration",
    "trace_id": "r.trace_id",
    "span_id": "r.span_id",
    "parent_span_id": "r.parent_span_id",
    schema.RECORD_UID: "r.uid",
    "kind": "r.kind",
    "status.code": "r.status",
}
_UID: Final = (schema.RECORD_UID,)
_SPAN_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES: Final = ("unset", "ok", "error")
_HEXADECIMAL: Final = re.compile(r"(?:[0-9a-fA-F]{2})+")


def condition(query: Match | Exists | Compare, field: Field, now: int) -> Sql:
    """Test a column; a value that the column cannot have is found nowhere.

    Args:
        now: nanoseconds since the epoch, for times such as ``now-15m``.
    """
    column = _COLUMNS.get(field.key, "r.severity")
    if field.kind == "time":
        return _time(query, column, now)
    return _BY_KIND[field.kind](query, column)


def _time(query: Match | Exists | Compare, column: str, now: int) -> Sql:
    if isinstance(query, Exists):
        return Sql(f"{column} IS NOT NULL")
    value = _literal(query)
    span = None if value is None else read_time(value, now)
    if span is None:
        return FALSE
    start, end = (max(-(2**63), min(moment, 2**63 - 1)) for moment in span)
    if isinstance(query, Match):
        return Sql(f"coalesce({column} >= ? AND {column} < ?, 0)", (start, end))
    text, moment = {
        "<": ("<", start),
        "<=": ("<", end),
        ">": (">=", end),
        ">=": (">=", start),
    }[query.operator]
    return Sql(f"coalesce({column} {text} ?, 0)", (moment,))


def _id(query: Match | Exists | Compare, column: str) -> Sql:
    found = _bytes(query, column)
    if column != _COLUMNS[schema.RECORD_UID]:
        return found
    # A uid that is no sixteen bytes in hexadecimal stays among the attributes.
    return any_holds([found, _uid_attribute(query)])


def _bytes(query: Match | Exists | Compare, column: str) -> Sql:
    if isinstance(query, Exists):
        return Sql(f"{column} IS NOT NULL")
    if isinstance(query, Compare):
        return FALSE
    parts = [query.value] if query.quoted else pieces(query.value)
    if len(parts) > 1:
        spec = write("pattern", [part.lower() for part in parts])
        return Sql(f"({column} IS NOT NULL AND kql_value(?, lower(hex({column}))))", (spec,))
    if not _HEXADECIMAL.fullmatch(parts[0]):
        return FALSE
    return Sql(f"({column} IS NOT NULL AND {column} = ?)", (bytes.fromhex(parts[0]),))


def _uid_attribute(query: Match | Exists | Compare) -> Sql:
    if isinstance(query, Exists):
        spec = write("exists", None, _UID)
    elif isinstance(query, Compare):
        return FALSE
    else:
        parts = [query.value] if query.quoted else pieces(query.value)
        name = "equals" if len(parts) == 1 else "pattern"
        spec = write(name, parts[0] if len(parts) == 1 else parts, _UID)
    return Sql(
        "coalesce(CASE WHEN instr(r.attributes, 'log.record.uid') "
        "THEN kql_object(?, r.attributes) END, 0)",
        (spec,),
    )


def _number(query: Match | Exists | Compare, column: str) -> Sql:
    return _numeric(query, column, number_of)


def _duration(query: Match | Exists | Compare, column: str) -> Sql:
    return _numeric(query, column, read_duration)


def _numeric(
    query: Match | Exists | Compare, column: str, read: Callable[[str], int | float | None]
) -> Sql:
    if isinstance(query, Exists):
        return Sql(f"{column} IS NOT NULL")
    value = _literal(query)
    number = None if value is None else read(value)
    if number is None:
        return FALSE
    if isinstance(number, int) and not -(2**63) <= number < 2**63:
        number = (
            float(number) if abs(number) < 2**1000 else float("inf") * (1 if number > 0 else -1)
        )
    operator = query.operator if isinstance(query, Compare) else "="
    return Sql(f"coalesce({column} {operator} ?, 0)", (number,))


def _literal(query: Match | Compare) -> str | None:
    """The value, unless it is a pattern."""
    if isinstance(query, Compare) or query.quoted:
        return query.value
    parts = pieces(query.value)
    return parts[0] if len(parts) == 1 else None


def _level(query: Match | Exists | Compare, column: str) -> Sql:
    """A level by its name in any case; ``warn`` and ``warning`` are one, as are the numbers' names.

    A name stands for its four severity numbers; a text of the sender's own is found as it is.
    """
    if isinstance(query, Exists):
        return Sql("(r.severity > 0 OR r.severity_text IS NOT NULL)")
    if isinstance(query, Compare):
        return _level_range(query)
    parts = [query.value.lower()] if query.quoted else pieces(query.value.lower())
    starts = {
        start for name, start in schema.SEVERITY_NUMBERS.items() if matches(parts, name.lower())
    }
    ranges = [Sql(f"r.severity BETWEEN {start} AND {start + 3}") for start in sorted(starts)]
    names = [[name.lower()] for name, start in schema.SEVERITY_NUMBERS.items() if start in starts]
    spec = write("any_case", [parts, *names])
    # Nearly every row has the level's usual name and so no text: the function is not called for it.
    given = "coalesce(r.severity_text, '') <> ''"
    own_text = Sql(f"({given} AND kql_value(?, r.severity_text))", (spec,))
    return any_holds([*ranges, own_text])


def _level_range(query: Compare) -> Sql:
    start = schema.SEVERITY_NUMBERS.get(query.value.strip().upper())
    if start is None:
        return FALSE
    text, limit = {
        "<": ("<", start),
        "<=": ("<", start + 4),
        ">": (">=", start + 4),
        ">=": (">=", start),
    }[query.operator]
    return Sql(f"(r.severity > 0 AND r.severity {text} ?)", (limit,))


def _span_kind(query: Match | Exists | Compare, column: str) -> Sql:
    return _named(query, column, _SPAN_KINDS, "span_kind_")


def _status(query: Match | Exists | Compare, column: str) -> Sql:
    return _named(query, column, _STATUSES, "status_code_")


def _named(
    query: Match | Exists | Compare, column: str, names: tuple[str, ...], prefix: str
) -> Sql:
    """A number that has a name: found by either, in any case."""
    if isinstance(query, Exists):
        return Sql(f"{column} <> 0")
    if isinstance(query, Compare):
        return FALSE
    parts = [query.value.lower()] if query.quoted else pieces(query.value.lower())
    parts[0] = parts[0].removeprefix(prefix)
    found = [
        str(number)
        for number, name in enumerate(names)
        if matches(parts, name) or parts == [str(number)]
    ]
    return Sql(f"{column} IN ({', '.join(found)})") if found else FALSE


_BY_KIND: Final[dict[Kind, Callable[[Match | Exists | Compare, str], Sql]]] = {
    "id": _id,
    "number": _number,
    "duration": _duration,
    "level": _level,
    "span_kind": _span_kind,
    "status": _status,
}
