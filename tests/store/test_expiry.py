"""Old records go by themselves, by age and by size."""

from __future__ import annotations

import asyncio
import random
import time

from otelbridge.search import parse
from otelbridge.store.protocol import TimeRange
from tests.store.checks import assert_consistent
from tests.store.samples import (
    EVER,
    HOUR,
    NOON,
    SECOND,
    Clock,
    batch,
    log,
    opened,
    point,
    span,
)

DAY = 86400.0


def bodies(store, query=None):
    return {stored.record.body for stored in store.logs(query, EVER, limit=10_000)}


def test_records_go_when_they_have_been_here_for_the_retention(tmp_path):
    clock = Clock()
    with opened(tmp_path / "s.db", retention=DAY, now=clock) as store:
        store.put(log(body="old"), span(name="old"), point(value=1.0))
        clock.now += DAY - 60
        store.put(log(time=NOON + 23 * HOUR, body="new"), point(time=NOON + 23 * HOUR))
        store.run(store.expire())
        assert bodies(store) == {"old", "new"}
        clock.now += 61
        store.run(store.expire())
        assert bodies(store) == {"new"}
        stats = store.stats()
        assert (stats.logs, stats.spans, stats.points, stats.expired) == (1, 0, 1, 3)
        assert_consistent(store.path)


def test_age_counts_from_arrival_not_from_the_time_a_record_claims(tmp_path):
    clock = Clock()
    with opened(tmp_path / "s.db", retention=DAY, now=clock) as store:
        store.put(log(time=SECOND, body="clock of 1970"), log(time=2**63 - 1, body="clock of 2262"))
        store.run(store.expire())
        assert bodies(store) == {"clock of 1970", "clock of 2262"}
        clock.now += DAY + 1
        store.run(store.expire())
        assert bodies(store) == set()


def test_words_of_expired_records_are_not_found_in_their_successors(tmp_path):
    clock = Clock()
    with opened(tmp_path / "s.db", retention=DAY, now=clock) as store:
        store.put(log(body="apple", attributes={"list": [1.5, {"x": "pear"}], "yes": True}))
        clock.now += DAY + 1
        store.run(store.expire())
        store.put(log(body="plum"))
        assert bodies(store, parse("plum")) == {"plum"}
        for word in ("apple", "pear", "true"):
            assert store.logs(parse(word), EVER) == []
        assert_consistent(store.path)


def test_what_a_record_shares_with_younger_ones_stays(tmp_path):
    clock = Clock()
    with opened(tmp_path / "s.db", retention=DAY, now=clock) as store:
        origin = {"code.file.path": "a.py", "code.line.number": 1, "code.function.name": "f"}
        for n in range(40):
            store.put(log(time=NOON + n, attributes=origin), point(time=NOON + n))
            clock.now += 3600
            store.run(store.expire())
        found = store.logs(None, EVER, limit=1000)
        assert len(found) == 24
        assert all(stored.record.attributes == origin for stored in found)
        assert all(stored.record.resource["service.name"] == "shop" for stored in found)
        assert len(store.metrics("process.memory.usage", TimeRange(NOON, NOON + 40))[0].times) == 24


def test_sets_that_nothing_names_any_more_go_too_and_may_come_back(tmp_path):
    clock = Clock()
    with opened(tmp_path / "s.db", retention=DAY, now=clock) as store:
        store.put(log(resource={"service.name": "gone"}), point(resource={"service.name": "gone"}))
        clock.now += DAY + 2 * 3600
        store.run(store.expire())
        with store._reading() as (connection, _):
            assert connection.execute("SELECT count(*) FROM attribute_sets").fetchone() == (0,)
            assert connection.execute("SELECT count(*) FROM series").fetchone() == (0,)
        store.put(log(resource={"service.name": "gone"}), point(resource={"service.name": "gone"}))
        (found,) = store.logs(None, EVER)
        assert found.record.resource == {"service.name": "gone"}
        (series,) = store.metrics("process.memory.usage", EVER)
        assert series.service == "gone"


def test_a_store_that_is_too_large_loses_its_oldest_records_and_gives_the_room_back(tmp_path):
    limit = 3 * 2**20
    chosen = random.Random(1)

    def message():
        return " ".join(f"word{chosen.randrange(5000)}" for _ in range(30))

    with opened(tmp_path / "s.db", retention_bytes=limit) as store:
        for start in range(0, 16_000, 500):
            store.put(
                *(log(time=NOON + n * 10**6, body=message()) for n in range(start, start + 500)),
                span(time=NOON + start * 10**6),
                point(time=NOON + start * 10**6),
            )
        assert store.stats().bytes > limit
        store.run(store.expire())
        stats = store.stats()
        assert stats.bytes <= limit
        assert stats.bytes > limit * 0.5
        assert stats.logs + stats.spans + stats.points + stats.expired == 16_000 + 32 + 32
        newest = store.logs(None, EVER, limit=20_000)
        assert [stored.record.time for stored in newest] == [
            NOON + n * 10**6 for n in reversed(range(16_000 - stats.logs, 16_000))
        ]
        assert stats.oldest >= NOON + (16_000 - stats.logs) * 10**6 - 500 * 10**6
        assert store.path.stat().st_size <= limit
        assert_consistent(store.path)


def test_points_alone_are_kept_within_the_size_too(tmp_path):
    with opened(tmp_path / "s.db", retention_bytes=2**20) as store:
        for start in range(0, 20_000, 1000):
            store.put(
                *(
                    point(time=NOON + n * SECOND, attributes={"cpu": n % 7}, detail={"x": "y" * 50})
                    for n in range(start, start + 1000)
                )
            )
        store.run(store.expire())
        stats = store.stats()
        assert stats.bytes <= 2**20
        assert 0 < stats.points < 20_000
        assert stats.points + stats.expired == 20_000


def test_writes_are_not_held_up_by_expiry(tmp_path):
    clock = Clock()
    with opened(tmp_path / "s.db", retention=DAY, now=clock) as store:
        for start in range(0, 20_000, 2000):
            store.put(*(log(time=NOON + n * 1000) for n in range(start, start + 2000)))
        clock.now += DAY + 1

        async def write_during_expiry():
            expiry = asyncio.ensure_future(store.expire())
            longest = 0.0
            writes = 0
            while not expiry.done():
                started = time.perf_counter()
                await store.write(batch(log(body="during")))
                longest = max(longest, time.perf_counter() - started)
                writes += 1
            return longest, writes

        longest, writes = store.run(write_during_expiry())
        assert store.count_logs(None, EVER) == writes
        assert writes > 5
        # Slices last about 25 ms; the rest is room for a busy machine.
        assert longest < 0.5


def test_expiry_needs_nobody_to_start_it(tmp_path):
    with opened(tmp_path / "s.db", retention=0.5, now=time.time) as store:
        store.put(log())
        deadline = time.monotonic() + 20
        while store.stats().logs and time.monotonic() < deadline:
            time.sleep(0.05)
        assert store.stats().expired == 1
