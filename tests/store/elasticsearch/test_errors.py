"""Groups of errors are the same over Elasticsearch as over the embedded store."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from otelbridge import schema
from otelbridge.error_groups import group_query
from otelbridge.model import LogRecord, Scope, SpanEvent
from otelbridge.receivers.span_errors import SpanErrors
from otelbridge.search import parse
from otelbridge.search.query import And
from otelbridge.store.protocol import ErrorGroup, TimeRange
from tests.search.queries import MINUTE, SPANS, START
from tests.store.elasticsearch.stored import OpenStore
from tests.store.samples import opened as opened_sqlite

HOUR = TimeRange(START, START + 60 * MINUTE)
MILLISECOND = 10**6

QUERIES = [
    None,
    "service.name: pay",
    "user: ann or user.id: ann",
    "broke and not service.name: pay",
    "exception.message: order",
    "log.level: INFO",
]


def errors(count: int) -> list[LogRecord]:
    """Errors of all kinds, some of them before and after the hour, among other records."""
    chance = random.Random(count)
    found = []
    for number in range(count):
        attributes: dict[str, object] = {
            "exception.type": chance.choice(["KeyError", "shop.Declined"]),
            "exception.message": f"no such order {number}",
            "exception.stacktrace": "Traceback (most recent call last):\nKeyError: 'x'",
            schema.TRACEBACK_MINIMAL: f"shop/orders.py:{number} in pay - KeyError: 'x'",
        }
        if chance.random() < 0.7:
            attributes[schema.FINGERPRINT] = chance.choice(["a" * 16, "b" * 16, "1" * 16])
        for key in ("user", "user.id", "enduser.id"):
            if chance.random() < 0.4:
                attributes[key] = chance.choice(["ann", "bob", 7])
        resource: dict[str, object] = {"service.name": chance.choice(["shop", "pay"])}
        if chance.random() < 0.8:
            resource["service.version"] = chance.choice(["1.0", "1.1"])
        # Each has a millisecond of its own, so that both engines agree on which is the newest.
        time = START + chance.randrange(-20 * 60, 80 * 60) * 1000 * MILLISECOND + number * 10**6
        found.append(
            LogRecord(
                time,
                "it broke",
                attributes,
                resource,
                Scope("shop"),
                severity_number=17,
                severity_text="ERROR",
            )
        )
        found.append(
            LogRecord(time, "all is well", {"user": "ann"}, resource, Scope("shop"), 0, 9, "INFO")
        )
    return found


def comparable(group: ErrorGroup) -> ErrorGroup:
    """A group without what each engine names in its own way; times to the millisecond."""
    return replace(
        group,
        sample=0,
        first_seen=group.first_seen // MILLISECOND,
        last_seen=group.last_seen // MILLISECOND,
        services=sorted(group.services),
        releases=sorted(group.releases),
        users=sorted(group.users),
    )


def test_groups_are_those_of_the_embedded_store(store: OpenStore, tmp_path: Path) -> None:
    records = errors(150)
    store.write(*records)
    with opened_sqlite(tmp_path / "other.db") as other:
        other.put(*records)
        for text in QUERIES:
            query = parse(text) if text else None

            found = store.store.error_groups(query, HOUR)
            expected = other.error_groups(query, HOUR)

            # In a list, users are counted by one attribute.
            assert [comparable(replace(group, users=[], user_count=0)) for group in found] == [
                comparable(replace(group, users=[], user_count=0)) for group in expected
            ]
            for group in expected:
                (alone,) = store.store.error_groups(query, HOUR, fingerprint=group.fingerprint)
                assert comparable(alone) == comparable(group)


def test_counts_are_those_of_the_logs_behind_them(store: OpenStore) -> None:
    store.write(*errors(100))

    groups = store.store.error_groups(None, HOUR)

    assert len(groups) == 5
    for group in groups:
        own = group_query(group.fingerprint)
        assert store.store.count_logs(own, HOUR) == group.count == sum(group.series)
        newest = store.store.log(group.sample)
        assert newest is not None
        assert newest.record.attributes["exception.message"] == group.message
        for service, count in group.services:
            of_service = And((own, parse(f"service.name: {service}")))
            assert store.store.count_logs(of_service, HOUR) == count


@pytest.mark.parametrize("fingerprint", [None, "a" * 16, "type:KeyError"])
def test_an_empty_store_has_no_groups(store: OpenStore, fingerprint: str | None) -> None:
    assert store.store.error_groups(None, HOUR, fingerprint=fingerprint) == []


def test_the_group_seen_last_comes_first_and_only_so_many(store: OpenStore) -> None:
    store.write(*errors(100))

    groups = store.store.error_groups(None, HOUR)

    assert [group.sample for group in groups] == sorted(
        (group.sample for group in groups), reverse=True
    )
    assert store.store.error_groups(None, HOUR, limit=2) == groups[:2]


def test_an_error_that_stands_only_on_a_span_is_listed_once(store: OpenStore) -> None:
    now = 0.0
    waiting = SpanErrors(store.store, now=lambda: now)
    said = {"exception.type": "shop.Declined", "exception.message": "no card"}
    event = SpanEvent(START, "exception", said)
    inner, outer = (
        replace(one, events=[event], status_code=2, trace_id=b"t" * 16) for one in SPANS[:2]
    )
    for one in (inner, outer):
        store.write(one)
        waiting.heard([one])
        now += 11
        store.run(waiting.settle())
        store.refresh()

    (group,) = store.store.error_groups(None, HOUR)

    assert (group.type, group.message, group.count) == ("shop.Declined", "no card", 1)
