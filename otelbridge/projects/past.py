"""What the store holds of processes: their events, oldest first."""

from __future__ import annotations

from typing import Final

from otelbridge import schema
from otelbridge.model import LogRecord
from otelbridge.projects.process import LAST_WORDS, Process, hear, instance_of
from otelbridge.projects.project import Project, gather
from otelbridge.search.query import And, Compare, Match, Or, Query
from otelbridge.store.protocol import Store, StoredLog, TimeRange

_SECOND: Final = 10**9
# Starts and ends, the newest of each; beyond them lie processes that nobody asks for.
_MOST_EVENTS: Final = 5_000
# Heartbeats: of so many seconds, and no more than this; they only say who lives.
_BEATS_SECONDS: Final = 300
_MOST_BEATS: Final = 5_000
# Processes without a heartbeat in that time are looked for one by one.
_MOST_LOOKED_FOR: Final = 500


def _event(name: str) -> Query:
    return Match("event.name", name, quoted=True)


_LAST_WORDS: Final = And(
    (
        Or(tuple(Match("log.logger", name, quoted=True) for name in sorted(LAST_WORDS))),
        Compare("severity_number", ">=", str(schema.SEVERITY_NUMBERS["CRITICAL"])),
    )
)
# Every record that says something of a process's life.
WATCHED: Final[Query] = Or((Match("log.logger", schema.LIFECYCLE_SCOPE, quoted=True), _LAST_WORDS))


def read_past(store: Store, now: int) -> list[LogRecord]:
    """Read the events of the processes that the store knows of.

    Args:
        store: reading it blocks.
        now: nanoseconds since the epoch.

    Raises:
        StoreError: the store cannot be read now.
    """
    ever = TimeRange(0, 2**63 - 1)
    lately = TimeRange(max(0, now - _BEATS_SECONDS * _SECOND), 2**63 - 1)
    starts = store.logs(_event(schema.PROCESS_START), ever, limit=_MOST_EVENTS)
    ends = store.logs(_event(schema.PROCESS_END), ever, limit=_MOST_EVENTS)
    last_words = store.logs(_LAST_WORDS, ever, limit=_MOST_EVENTS)
    beats = store.logs(_event(schema.PROCESS_HEARTBEAT), lately, limit=_MOST_BEATS)
    seen = {instance_of(one.record.resource) for one in (*ends, *beats)}
    unseen = [one for one in starts if instance_of(one.record.resource) not in seen]
    for start in unseen[:_MOST_LOOKED_FOR]:
        beats += _newest_beat(store, start, ever)
    found = [one.record for one in (*starts, *beats, *last_words, *ends)]
    return sorted(found, key=lambda record: record.time)


def read_projects(store: Store, now: float) -> list[Project]:
    """Say how projects are by nothing but what is stored; the clocks of senders are believed.

    Args:
        store: reading it blocks.
        now: seconds since the epoch.

    Raises:
        StoreError: the store cannot be read now.
    """
    processes: dict[str, Process] = {}
    for record in read_past(store, int(now * _SECOND)):
        instance = instance_of(record.resource)
        said = record.time / _SECOND
        heard = hear(processes.get(instance), record, now=said, wall=record.time, live=False)
        if heard is not None:
            processes[instance] = heard
    return gather(processes.values(), now)


def _newest_beat(store: Store, start: StoredLog, within: TimeRange) -> list[StoredLog]:
    instance = instance_of(start.record.resource)
    query = And(
        (
            _event(schema.PROCESS_HEARTBEAT),
            Match("service.instance.id", instance, quoted=True),
        )
    )
    return store.logs(query, within, limit=1)
