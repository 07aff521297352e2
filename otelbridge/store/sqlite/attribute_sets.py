"""Sets of attributes that repeat, kept once.

The writer names sets by number through :class:`SetWriter`; readers turn numbers back into sets
through :class:`SetReader`. A number is never given twice, so both may remember what they saw.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from otelbridge import schema
from otelbridge.model import Attributes, LogRecord, Scope, Span
from otelbridge.store.sqlite.json_text import dumps_sorted, loads
from otelbridge.store.sqlite.rows import scope_object, scope_of, storable
from otelbridge.store.sqlite.words import value_words

# A call site's attributes are worth a set of their own once they have come this often. Threads
# that live for one request never get there, and their names stay with their records.
STEADY = 8
_MOST_REMEMBERED = 20_000

# Of a span, what a route, a remote host or a query has in common with its others; and of these what
# callers bring along, which may differ with every one of them.
_CALLERS: Final = frozenset(
    {"user_agent.original", "http.user_agent", "client.address", "network.peer.address"}
)
SPAN_CONSTANTS: Final = _CALLERS | frozenset(
    {
        "code.file.path",
        "code.function.name",
        "code.line.number",
        "db.collection.name",
        "db.name",
        "db.namespace",
        "db.operation",
        "db.operation.name",
        "db.query.summary",
        "db.sql.table",
        "db.system",
        "db.system.name",
        "http.flavor",
        "http.host",
        "http.method",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "http.scheme",
        "http.server_name",
        "http.status_code",
        "messaging.destination.name",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.system",
        "net.host.name",
        "net.host.port",
        "net.peer.name",
        "net.peer.port",
        "network.protocol.name",
        "network.protocol.version",
        "network.transport",
        "peer.service",
        "rpc.method",
        "rpc.service",
        "rpc.system",
        "server.address",
        "server.port",
        "thread.id",
        "thread.name",
        "url.scheme",
    }
)

_CODE = _FILE, _LINE, _FUNCTION = "code.file.path", "code.line.number", "code.function.name"
_THREAD_ID, _THREAD_NAME = "thread.id", "thread.name"
_SITE = (*_CODE, _THREAD_ID, _THREAD_NAME)
_ABSENT = ()
_NO_CODE = (_ABSENT, _ABSENT, _ABSENT)


class KeptSet(NamedTuple):
    """A set that is in the file.

    Attributes:
        hour: in which that was noted last, seconds since the epoch.
        words: those of its values, as the full-text index takes them.
    """

    number: int
    hour: int
    words: str


class SetWriter:
    """Numbers sets inside the writer's transactions.

    What a transaction added is remembered only by :meth:`commit`; :meth:`rollback` forgets it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[Any, KeptSet] = {}
        self._new: dict[Any, KeptSet] = {}
        self._by_identity: dict[int, tuple[Any, int]] = {}
        self._seen: dict[Any, int] = {}
        self._hour = 0

    def begin(self, now: int) -> None:
        """Start a transaction at ``now``, seconds since the epoch."""
        self._hour = now - now % 3600
        self._by_identity.clear()
        self._new.clear()

    def commit(self) -> None:
        if len(self._known) + len(self._new) > _MOST_REMEMBERED:
            self._known.clear()
        self._known.update(self._new)
        self.rollback()

    def rollback(self) -> None:
        self._new.clear()
        self._by_identity.clear()

    def forget(self) -> None:
        """Forget everything: rows of ``attribute_sets`` may have gone."""
        self._known.clear()
        self.rollback()

    def resource(self, attributes: Attributes) -> int:
        """The number of a resource."""
        # Records of one request share the very dict, so most calls end here. The dict is kept
        # beside its number so that its identity cannot pass to another one meanwhile.
        found = self._by_identity.get(id(attributes))
        if found is not None:
            return found[1]
        text = dumps_sorted(attributes)
        number = self._number(
            "resource",
            text,
            _text_or_none(attributes.get("service.name")),
            _text_or_none(attributes.get("service.instance.id")),
        )
        self._by_identity[id(attributes)] = (attributes, number)
        return number

    def scope(self, scope: Scope) -> int:
        """The number of a scope."""
        found = self._by_identity.get(id(scope))
        if found is not None:
            return found[1]
        number = self._number("scope", dumps_sorted(scope_object(scope)))
        self._by_identity[id(scope)] = (scope, number)
        return number

    def split(self, record: LogRecord) -> tuple[KeptSet | None, Attributes]:
        """Split a log's attributes into its call site's set and what the row keeps itself.

        Returns:
            The set, or ``None`` where the call site is not steady yet, and the rest.
        """
        kept = record.attributes
        if schema.RECORD_UID in kept:
            uid = record.uid
            if uid and kept[schema.RECORD_UID] == uid.hex():
                kept = {k: v for k, v in kept.items() if k != schema.RECORD_UID}
        get = kept.get
        file, line, function = get(_FILE, _ABSENT), get(_LINE, _ABSENT), get(_FUNCTION, _ABSENT)
        number, name = get(_THREAD_ID, _ABSENT), get(_THREAD_NAME, _ABSENT)
        names: tuple[str, ...] = _SITE
        if (
            type(file) is type(function) is type(name) is str
            and type(line) is type(number) is int
            and (found := self._known.get((file, line, function, number, name))) is not None
            and found.hour == self._hour
        ):
            rest = kept.copy()
            del rest[_FILE], rest[_LINE], rest[_FUNCTION], rest[_THREAD_ID], rest[_THREAD_NAME]
            return found, rest
        code, thread = (file, line, function), (number, name)
        if code == _NO_CODE or not _plain(code):
            return None, kept
        key: Any = code + thread
        if not (_plain(thread) and self._steady(key)):
            names, key = _CODE, code
            if not self._steady(key):
                return None, kept
        origin = {k: kept[k] for k in names if k in kept}
        return self._origin(key, origin), {k: v for k, v in kept.items() if k not in origin}

    def split_span(self, span: Span) -> tuple[KeptSet | None, Attributes]:
        """Split a span's attributes into those of many like it and what the row keeps itself.

        Returns:
            The set, or ``None`` where the combination is not steady yet, and the rest.
        """
        attributes = span.attributes
        key: Any = tuple(
            [
                item
                for item in attributes.items()
                if item[0] in SPAN_CONSTANTS and type(item[1]) in (str, int)
            ]
        )
        if not key:
            return None, attributes
        if not self._steady(key):
            key = tuple([item for item in key if item[0] not in _CALLERS])
            if not key or not self._steady(key):
                return None, attributes
        origin = dict(key)
        found = self._origin(key, origin)
        if len(origin) == len(attributes):
            return found, {}
        return found, {name: value for name, value in attributes.items() if name not in origin}

    def _origin(self, key: Any, attributes: Attributes) -> KeptSet:
        found = self._known.get(key) or self._new.get(key)
        if found is None or found.hour != self._hour:
            number = self._number("origin", dumps_sorted(attributes))
            found = self._new[key] = KeptSet(number, self._hour, value_words(attributes))
        return found

    def _steady(self, key: Any) -> bool:
        if key in self._known or key in self._new:
            return True
        count = self._seen.get(key, 0) + 1
        if len(self._seen) >= _MOST_REMEMBERED:
            self._seen.clear()
        self._seen[key] = count
        return count > STEADY

    def _number(
        self, kind: str, text: str, service: str | None = None, instance: str | None = None
    ) -> int:
        key = (kind, text)
        found = self._new.get(key) or self._known.get(key)
        if found is not None and found.hour == self._hour:
            return found.number
        row = self._connection.execute(
            "SELECT id, used FROM attribute_sets WHERE kind = ? AND attributes = ?", key
        ).fetchone()
        if row is None:
            number = self._connection.execute(
                "INSERT INTO attribute_sets (kind, attributes, service, instance, used)"
                " VALUES (?, ?, ?, ?, ?)",
                (kind, text, service, instance, self._hour),
            ).lastrowid
            assert number is not None
        else:
            number = int(row[0])
            if row[1] < self._hour:
                self._connection.execute(
                    "UPDATE attribute_sets SET used = ? WHERE id = ?", (self._hour, number)
                )
        self._new[key] = KeptSet(number, self._hour, "")
        return number


def _plain(values: tuple[Any, ...]) -> bool:
    # True and 1 are one dictionary key, and so are 1 and 1.0: only texts and whole numbers are
    # certain to come back as they went in.
    return all(value is _ABSENT or type(value) in (str, int) for value in values)


def _text_or_none(value: Any) -> str | None:
    if value is None:
        return None
    return storable(value if isinstance(value, str) else str(value))


@dataclass(frozen=True, slots=True)
class AttributeSet:
    """One set as read back. A scope's is in ``scope``."""

    attributes: Attributes
    scope: Scope | None
    service: str | None
    instance: str | None


def scope_of_row(known: dict[int, AttributeSet], number: int) -> Scope:
    """The scope that a row names.

    Raises:
        KeyError: there is none of that number.
    """
    scope = known[number].scope
    if scope is None:
        raise KeyError(f"set {number} is no scope")
    return scope


class SetReader:
    """Remembers sets by number; safe from any thread."""

    def __init__(self) -> None:
        self._known: dict[int, AttributeSet] = {}
        self._lock = threading.Lock()

    def load(self, connection: sqlite3.Connection, numbers: set[int]) -> dict[int, AttributeSet]:
        """Give the sets of these numbers."""
        with self._lock:
            found = {n: self._known[n] for n in numbers if n in self._known}
        missing = [n for n in numbers if n not in found]
        for start in range(0, len(missing), 500):
            part = missing[start : start + 500]
            marks = ", ".join("?" * len(part))
            for number, kind, text, service, instance in connection.execute(
                "SELECT id, kind, attributes, service, instance FROM attribute_sets"
                f" WHERE id IN ({marks})",
                part,
            ):
                attributes = loads(text)
                found[number] = AttributeSet(
                    attributes,
                    scope_of(attributes) if kind == "scope" else None,
                    service,
                    instance,
                )
        if missing:
            with self._lock:
                if len(self._known) > _MOST_REMEMBERED:
                    self._known.clear()
                self._known.update((n, found[n]) for n in missing if n in found)
        return found
