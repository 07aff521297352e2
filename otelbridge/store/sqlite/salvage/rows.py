"""From the records of pages to rows of our tables, and to what was stored as them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from otelbridge.model import Attributes, Batch, MetricPoint, Scope
from otelbridge.store.sqlite.json_text import loads
from otelbridge.store.sqlite.rows import log_record, scope_of, span_record
from otelbridge.store.sqlite.salvage.cells import Values, is_table, records
from otelbridge.store.sqlite.salvage.pages import Pages

# What tells our tables apart: how many columns their rows have, in this version and older ones.
_SETS: Final = frozenset({5, 6})
_LOGS: Final = 17
_SPANS: Final = frozenset({18, 19})
_SERIES: Final = 10
_POINTS: Final = 6
_SHARED: Final = _SETS | {_SERIES}
_KEPT: Final = _SPANS | {_LOGS}
# A row's number is its time in microseconds, or one not far behind that was free.
_FARTHEST: Final = 10**9
# Milliseconds since the epoch from 1973 on; no other number in an index of six columns is as large.
_EARLIEST_ARRIVAL: Final = 10**11


@dataclass(slots=True)
class Restored:
    """Records as they were stored.

    Attributes:
        places: by a record's identity its row's number and when it arrived, in milliseconds since
            the epoch.
    """

    batch: Batch = field(default_factory=Batch)
    places: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Shared:
    """What rows name by number.

    Attributes:
        look_up: finds a set that is not among ``sets``, or gives ``None``.
    """

    sets: dict[int, Attributes] = field(default_factory=dict)
    series: dict[int, Values] = field(default_factory=dict)
    look_up: Callable[[int], Attributes | None] = lambda number: None

    def attributes(self, number: Any) -> Attributes:
        """A set; empty where it is lost."""
        found = self.sets.get(number)
        if found is None:
            found = self.look_up(number) or {}
            self.sets[number] = found
        return found

    def scope(self, number: Any) -> Scope:
        """A scope; without a name where it is lost."""
        found = self.attributes(number)
        return scope_of(found) if "name" in found and "version" in found else Scope()


def read_shared(pages: Pages, stop: Callable[[], bool]) -> Shared:
    """Collect what rows name by number; ends early once ``stop`` says so."""
    shared = Shared()
    for number in pages.numbers():
        if stop():
            break
        for form in pages.forms(number):
            if not is_table(form):
                continue
            for row, values in records(pages, form, _SHARED):
                if len(values) == _SERIES:
                    if _is_series(values):
                        shared.series.setdefault(row, values)
                elif values[0] is None and values[1] in ("resource", "scope", "origin"):
                    found = _object(values[2])
                    if found is not None:
                        shared.sets.setdefault(row, found)
    return shared


def read_rows(pages: Pages, number: int, shared: Shared) -> Iterator[tuple[Any, int, int]]:
    """The records of a page: each with its row's number and when it arrived."""
    for form in pages.forms(number):
        if is_table(form):
            for row, values in records(pages, form, _KEPT):
                record = _record(row, values, shared)
                if record is not None:
                    received = values[2] if len(values) == _LOGS else values[3]
                    yield record, row, received
        else:
            for _, values in records(pages, form, frozenset({_POINTS})):
                point = _point(values, shared)
                if point is not None:
                    yield point, 0, values[2]


def _record(row: int, values: Values, shared: Shared) -> Any:
    is_log = len(values) == _LOGS
    whole = values[1:3] if is_log else values[1:4]
    if values[0] is not None or not all(type(value) is int and value >= 0 for value in whole):
        return None
    if not 0 <= row - values[1] // 1000 < _FARTHEST:
        return None
    values[0] = row
    try:
        if is_log:
            origin = None if values[10] is None else shared.attributes(values[10])
            return log_record(
                tuple(values), shared.attributes(values[8]), shared.scope(values[9]), origin
            )
        if len(values[4]) != 16 or len(values[5]) != 8:
            return None
        # An older file's spans, and those that an upgrade found there, have no origin.
        number = values[18] if len(values) > 18 else None
        origin = None if number is None else shared.attributes(number)
        return span_record(
            tuple(values), shared.attributes(values[11]), shared.scope(values[12]), origin
        )
    except (ValueError, TypeError, KeyError):
        # Damaged in a way that only its contents show.
        return None


def _point(values: Values, shared: Shared) -> MetricPoint | None:
    number, time, received, value, count, text = values
    series = shared.series.get(number) if type(number) is int else None
    if series is None or type(time) is not int or type(received) is not int:
        return None
    if time < 0 or received < _EARLIEST_ARRIVAL or not isinstance(value, (int, float, type(None))):
        return None
    detail = {} if text is None else _object(text)
    attributes = _object(series[9])
    if detail is None or attributes is None or not isinstance(count, (int, type(None))):
        return None
    return MetricPoint(
        time=time,
        name=series[1],
        type=series[3],
        value=value,
        attributes=attributes,
        resource=shared.attributes(series[7]),
        scope=shared.scope(series[8]),
        unit=series[2],
        description=series[6],
        start_time=detail.pop("start_time", 0),
        temporality=series[4],
        monotonic=bool(series[5]),
        count=count,
        detail=detail or None,
    )


def _is_series(values: Values) -> bool:
    texts = (values[1], values[2], values[3], values[6], values[9])
    numbers = (values[4], values[5], values[7], values[8])
    return (
        values[0] is None
        and all(isinstance(value, str) for value in texts)
        and all(type(value) is int for value in numbers)
    )


def _object(text: Any) -> Attributes | None:
    try:
        found = loads(text)
    except (ValueError, TypeError):
        return None
    return found if isinstance(found, dict) else None
