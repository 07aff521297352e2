"""What is written is what is read, once."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otelbridge import schema
from otelbridge.model import Batch
from otelbridge.store.protocol import TimeRange
from tests.store import samples
from tests.store.samples import EVER, NOON, SECOND, batch, log, opened, span, with_uid


def expected_log(record):
    """A record as the store gives it back: an id is always among the attributes."""
    if record.uid is None:
        return record
    return replace(record, attributes={schema.RECORD_UID: record.uid.hex(), **record.attributes})


def distinct(records, key):
    found = {}
    for record in records:
        identity = key(record)
        found.setdefault(object() if identity is None else identity, record)
    return list(found.values())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(samples.batches, max_size=3))
def test_any_batch_is_read_back_as_it_was_written(batches):
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "s.db") as store:
        arrived = [store.run(store.write(one)) for one in batches]
        written = Batch(
            [record for one in batches for record in one.logs],
            [record for one in batches for record in one.spans],
            [record for one in batches for record in one.points],
        )
        logs = distinct(written.logs, lambda record: record.uid)
        found = store.logs(None, EVER, limit=1000)
        assert by_repr(stored.record for stored in found) == by_repr(map(expected_log, logs))
        assert [stored.id for stored in found] == sorted(
            (id for one in arrived for id in one.logs), reverse=True
        )
        spans = distinct(written.spans, lambda span: (span.trace_id, span.span_id))
        stored_spans = [
            stored.span
            for trace_id in {span.trace_id for span in spans}
            for stored in store.trace(trace_id).spans
        ]
        assert by_repr(stored_spans) == by_repr(spans)
        assert sum(len(one.spans) for one in arrived) == len(spans)
        assert sum(one.points for one in arrived) == store.stats().points
        assert len(written) - store.stats().duplicates == (
            store.stats().logs + store.stats().spans + store.stats().points
        )


def test_records_of_the_last_microsecond_are_all_found(store):
    store.put(*(log(time=2**63 - 1, body=str(number)) for number in range(3)))
    assert {stored.record.body for stored in store.logs(None, EVER)} == {"0", "1", "2"}


def by_repr(records):
    # Dicts compare without order, their text does not.
    return sorted(repr(normal(record)) for record in records)


def normal(record):
    fields = {name: getattr(record, name) for name in record.__slots__}
    return [type(record).__name__, ordered(fields)]


def ordered(value):
    if isinstance(value, dict):
        return sorted((key, ordered(item)) for key, item in value.items())
    if isinstance(value, list):
        return [ordered(item) for item in value]
    if hasattr(value, "__slots__") and not isinstance(value, (str, bytes, int, float)):
        return normal(value)
    return value


def test_what_json_cannot_quite_carry_is_kept_as_text(store):
    deep = current = []
    for _ in range(300):
        current.append([])
        current = current[0]
    store.put(
        log(
            body="lone \ud800 surrogate",
            attributes={"huge": 2**70, "deep": deep, "\udfff": "\udfff"},
            resource={"service.name": "s\ud800"},
            event_name="e\ud800",
        )
    )
    (found,) = store.logs(None, EVER)
    assert found.record.body == "lone ? surrogate"
    assert found.record.attributes["huge"] == str(2**70)
    assert found.record.attributes["?"] == "?"
    assert "[[[" in repr(found.record.attributes["deep"])
    assert found.record.resource == {"service.name": "s?"}


def test_a_resend_stores_nothing_twice(store):
    again = batch(
        with_uid(log(body="one")), with_uid(log(body="two")), span(), samples.point(value=3.0)
    )
    first = store.run(store.write(again))
    second = store.run(store.write(again))
    assert (len(first.logs), len(first.spans), first.points) == (2, 1, 1)
    assert (len(second.logs), len(second.spans), second.points) == (0, 0, 0)
    assert store.stats().duplicates == 4
    assert store.count_logs(None, EVER) == 2


def test_the_same_record_twice_in_one_batch_is_one_record(store):
    twice = with_uid(log())
    assert len(store.put(twice, twice).logs) == 1


def test_records_without_an_id_are_never_taken_for_one_another(store):
    assert len(store.put(log(), log()).logs) == 2


def test_a_page_begins_where_the_last_one_ended(store):
    records = [log(time=NOON + number // 3, body=str(number)) for number in range(250)]
    for start in range(0, 250, 50):
        store.put(*records[start : start + 50])
    seen = []
    before = None
    while page := store.logs(None, EVER, limit=7, before=before):
        seen += page
        before = page[-1].id
    assert len(seen) == 250
    assert {stored.record.body for stored in seen} == {str(number) for number in range(250)}
    ids = [stored.id for stored in seen]
    assert ids == sorted(ids, reverse=True)
    newer = store.logs(None, EVER, limit=1000, after=ids[10])
    assert [stored.id for stored in newer] == ids[:10]


def test_records_of_one_moment_stay_in_the_order_they_came(store):
    for start in range(0, 90, 30):
        store.put(*(log(time=NOON, body=str(number)) for number in range(start, start + 30)))
    found = store.logs(None, TimeRange(NOON, NOON + SECOND))
    assert [stored.record.body for stored in found] == [str(n) for n in reversed(range(90))]


def test_a_pile_of_records_on_one_moment_does_not_slow_down(store):
    for _ in range(40):
        store.put(*(log(time=0) for _ in range(500)))
    assert store.count_logs(None, TimeRange(0, SECOND)) == 20_000


def test_a_late_record_finds_its_place_in_time(store):
    store.put(log(time=NOON, body="new"))
    store.put(log(time=NOON - SECOND, body="late"))
    store.put(log(time=NOON + SECOND, body="newest"))
    bodies = [stored.record.body for stored in store.logs(None, EVER)]
    assert bodies == ["newest", "new", "late"]


def test_only_the_asked_for_ids_are_read_for_the_live_tail(store):
    arrivals = store.put(*(log(time=NOON + n, body=str(n)) for n in range(0, 5000, 1000)))
    wanted = [arrivals.logs[0], arrivals.logs[3], 12345]
    found = store.logs(None, EVER, ids=wanted)
    assert [stored.id for stored in found] == [arrivals.logs[3], arrivals.logs[0]]
    assert store.log(arrivals.logs[3]).record.body == "3000"
    assert store.log(1) is None


def test_a_time_range_takes_its_start_and_leaves_its_end(store):
    store.put(*(log(time=NOON + n * SECOND, body=str(n)) for n in range(5)))
    found = store.logs(None, TimeRange(NOON + SECOND, NOON + 3 * SECOND))
    assert [stored.record.body for stored in found] == ["2", "1"]


def test_a_call_sites_attributes_come_back_however_often_it_logs(store):
    origin = {"code.file.path": "a.py", "code.line.number": 3, "code.function.name": "f"}
    for number in range(60):
        thread = {"thread.id": number % 2, "thread.name": f"t{number % 2}"}
        store.put(log(time=NOON + number * 1000, attributes={"n": number, **origin, **thread}))
    found = store.logs(None, EVER)
    assert [stored.record.attributes for stored in reversed(found)] == [
        {"n": n, **origin, "thread.id": n % 2, "thread.name": f"t{n % 2}"} for n in range(60)
    ]
