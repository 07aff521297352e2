"""Counts, and which logs are errors: kept beside the rows, changed in the rows' transaction."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Sequence

from otelbridge.error_groups import group_of, users_of
from otelbridge.model import KIND_CONSUMER, KIND_SERVER, STATUS_ERROR, Attributes
from otelbridge.store.sqlite.json_text import clean_text
from otelbridge.store.sqlite.tables import ROLLUP_SECONDS, ROLLUP_WIDTHS

_STEP = ROLLUP_SECONDS * 1_000_000
_MINUTE_IN_IDS = 60_000_000
_MINUTE_RECEIVED = 60_000


def duration_step(duration: int) -> int:
    """The step of a duration in nanoseconds: sixteen steps each time it doubles."""
    return int(16 * math.log2(duration)) if duration > 0 else 0


def step_duration(step: int) -> int:
    """The duration in nanoseconds in the middle of a step."""
    return round(2 ** ((step + 0.5) / 16)) if step > 0 else 0


def is_entry(kind: int, parent_span_id: bytes | None) -> bool:
    """Whether a span is where a service was asked for something."""
    return kind in (KIND_SERVER, KIND_CONSUMER) or not parent_span_id


class Rollups:
    """Collects changes of one transaction; :meth:`apply` writes them."""

    def __init__(self) -> None:
        # By the narrowest step; the wider ones are summed up at the end.
        self._logs: Counter[tuple[int, ...]] = Counter()
        self._spans: Counter[tuple[int, ...]] = Counter()
        self._arrivals: Counter[tuple[str, int, int]] = Counter()
        self._errors: list[tuple[str, int, int, str | None]] = []

    def logs(self, counted: Sequence[tuple[int, int, int, int]]) -> None:
        """Count logs, of which each is told by id, arrival, resource and severity."""
        self._logs.update(
            [
                (id // _STEP * ROLLUP_SECONDS, resource, severity)
                for id, _, resource, severity in counted
            ]
        )
        self._arrivals.update(
            [
                ("logs", received // _MINUTE_RECEIVED, id // _MINUTE_IN_IDS)
                for id, received, _, _ in counted
            ]
        )

    def error(self, id: int, resource: int, attributes: Attributes) -> None:
        """Note the log if it is an error."""
        group = group_of(attributes)
        if group is not None:
            users = "\n".join(user.replace("\n", " ") for user in users_of(attributes))
            self._errors.append(
                (clean_text(group), id, resource, clean_text(users) if users else None)
            )

    def span(
        self,
        id: int,
        received: int,
        resource: int,
        *,
        kind: int,
        parent_span_id: bytes | None,
        status: int,
        duration: int,
    ) -> None:
        """Count a span."""
        if is_entry(kind, parent_span_id):
            self._spans[
                id // _STEP * ROLLUP_SECONDS,
                resource,
                int(status == STATUS_ERROR),
                duration_step(duration),
            ] += 1
        self._arrivals["spans", received // _MINUTE_RECEIVED, id // _MINUTE_IN_IDS] += 1

    def points(self, count: int) -> None:
        """Count points; of them only the whole number is kept."""
        self._arrivals["points", 0, 0] += count

    def apply(self, connection: sqlite3.Connection, sign: int) -> None:
        """Add what was counted to the tables (``sign`` 1) or take it out of them (-1)."""
        if sign > 0:
            connection.executemany("INSERT INTO errors VALUES (?, ?, ?, ?)", self._errors)
        else:
            connection.executemany(
                "DELETE FROM errors WHERE fingerprint = ? AND id = ?",
                [(group, id) for group, id, _, _ in self._errors],
            )
        for table, keys, counts in (
            ("log_counts", ("width", "step", "resource", "severity"), _by_width(self._logs)),
            (
                "span_counts",
                ("width", "step", "resource", "error", "duration_step"),
                _by_width(self._spans),
            ),
            ("arrival_counts", ("signal", "received", "minute"), self._arrivals),
        ):
            if not counts:
                continue
            columns = ", ".join(keys)
            if sign > 0:
                connection.executemany(
                    f"INSERT INTO {table} ({columns}, count)"
                    f" VALUES ({', '.join('?' * (len(keys) + 1))})"
                    f" ON CONFLICT ({columns}) DO UPDATE SET count = count + excluded.count",
                    [(*key, count) for key, count in counts.items()],
                )
                continue
            same = " AND ".join(f"{key} = ?" for key in keys)
            connection.executemany(
                f"UPDATE {table} SET count = count - ? WHERE {same}",
                [(count, *key) for key, count in counts.items()],
            )
            connection.executemany(f"DELETE FROM {table} WHERE {same} AND count <= 0", list(counts))


def _by_width(counts: Counter[tuple[int, ...]]) -> Counter[tuple[int, ...]]:
    found: Counter[tuple[int, ...]] = Counter()
    for width in ROLLUP_WIDTHS:
        for (step, *rest), count in counts.items():
            key = (width, step // width * width, *rest)
            found[key] += count
    return found
