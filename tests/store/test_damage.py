"""A damaged file: said in one line, kept aside, its records brought over into a new one."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import time
from collections import Counter

import pytest
from hypothesis import given, settings

from otelbridge.search import parse
from otelbridge.store.protocol import StoreError, StoreUnavailableError
from otelbridge.store.sqlite.salvage import salvager, wal
from tests.store.checks import assert_consistent
from tests.store.samples import (
    EVER,
    NOON,
    SECOND,
    Clock,
    batches,
    log,
    opened,
    point,
    span,
    with_uid,
)

PAGE = 4096


def written(path, *, count=400):
    """A store with some of everything, closed; its logs' bodies."""
    origin = {"code.file.path": "a.py", "code.line.number": 7, "code.function.name": "f"}
    with opened(path) as store:
        for first in range(0, count, 50):
            store.put(
                *(
                    with_uid(log(NOON + n * SECOND, f"word{n} " + "x" * 100, attributes=origin))
                    if n % 2
                    else log(NOON + n * SECOND, f"word{n}", attributes={"n": n, **origin})
                    for n in range(first, first + 50)
                ),
                span(NOON + first * SECOND, attributes={"http.route": "/orders"}),
                point(NOON + first * SECOND, value=first / 2, start_time=NOON),
            )
        store.put(log(NOON - SECOND, "long " * 5000))
        return {stored.record.body for stored in store.logs(None, EVER, limit=10_000)}


def overwrite(path, page, *, size=PAGE, offset=0):
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE + offset)
        file.write(os.urandom(size))


def settled(store):
    """Wait until everything that can be read was brought over."""
    deadline = time.monotonic() + 30
    while store._salvager._thread is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return store


def bodies(store):
    return {stored.record.body for stored in store.logs(None, EVER, limit=100_000)}


def complaints(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_whichever_page_is_damaged_the_records_on_others_are_brought_over(tmp_path):
    """Every page of the file in turn: the first one, trees' inner pages, indexes, leaves."""
    source = tmp_path / "source.db"
    all_bodies = written(source)
    pages = source.stat().st_size // PAGE
    worst = 0
    unnoticed = 0
    for page in range(1, pages + 1):
        path = tmp_path / f"{page}.db"
        shutil.copy(source, path)
        path.with_name(path.name + ".lock").touch()
        overwrite(path, page)
        with opened(path) as store:
            with contextlib.suppress(StoreUnavailableError):
                store.logs(parse("word17"), EVER)
            found = bodies(settled(store))
            # Whatever was damaged, questions of every kind are answered again.
            assert len(store.logs(parse("word17"), EVER)) == ("word17 " + "x" * 100 in found)
            aside = list(tmp_path.glob(f"{path.name}.damaged-*"))
            if aside:
                assert_consistent(path)
            else:
                # SQLite's check says nothing of the full-text index, which is damaged only where it
                # is asked; and of some of its pages not even that shows.
                unnoticed += 1
            assert found <= all_bodies
            worst = max(worst, len(all_bodies - found))
            store.put(log(body="new"))
            assert "new" in bodies(store)
    assert pages > 40
    assert unnoticed < pages / 2
    # What fits on one page of logs.
    assert 0 < worst < 60


def test_a_damaged_beginning_costs_no_record_and_is_said_in_one_line(tmp_path, caplog):
    path = tmp_path / "s.db"
    expected = written(path)
    overwrite(path, 1, size=100)
    with opened(path) as store:
        assert bodies(settled(store)) == expected
        stats = store.stats()
        assert (stats.logs, stats.spans, stats.points) == (401, 8, 8)
        assert len(store.logs(parse("word17"), EVER)) == 1
        (found,) = store.logs(parse("word18"), EVER)
        assert found.record.attributes["n"] == 18
        assert found.record.attributes["code.line.number"] == 7
        assert found.record.resource["service.name"] == "shop"
        assert found.record.scope.name == "shop.views"
        assert store.metrics("process.memory.usage", EVER)[0].means
    (aside,) = tmp_path.glob("s.db.damaged-*")
    (line,) = complaints(caplog)
    assert str(path) in line
    assert str(aside) in line
    assert "\n" not in line
    assert f"417 records were brought over from {aside}" in caplog.text
    assert_consistent(path)


def test_what_is_brought_over_keeps_its_place_and_its_time_of_arrival(tmp_path):
    path = tmp_path / "s.db"
    clock = Clock()
    with opened(path, now=clock, retention=1000.0) as store:
        first = store.put(log(NOON, "a"), log(NOON, "b"), log(NOON, "c"))
        clock.now += 500
        store.put(log(NOON, "d"))
    overwrite(path, 1, size=100)
    clock.now += 400
    with opened(path, now=clock, retention=1000.0) as store:
        settled(store)
        assert [store.log(id).record.body for id in first.logs] == ["a", "b", "c"]
        clock.now += 200
        store.run(store.expire())
        assert bodies(store) == {"d"}


@settings(max_examples=25, deadline=None)
@given(batches)
def test_any_record_is_brought_over_as_it_was(tmp_path_factory, batch):
    path = tmp_path_factory.mktemp("any") / "s.db"
    with opened(path) as store:
        store.run(store.write(batch))
        expected = everything(store)
    overwrite(path, 1, size=100)
    with opened(path) as store:
        assert everything(settled(store)) == expected
    assert_consistent(path)


def everything(store):
    logs = store.logs(None, EVER, limit=1000)
    traces = {stored.record.trace_id for stored in logs} | {b"\1" * 16, b"\2" * 16}
    traces |= {summary.trace_id for summary in store.traces(None, EVER, limit=1000)}
    spans = [
        repr(stored.span)
        for trace_id in sorted(id for id in traces if id)
        if (trace := store.trace(trace_id))
        for stored in trace.spans
    ]
    points = [
        repr(series) for name, _ in store.metric_names(EVER) for series in store.metrics(name, EVER)
    ]
    return Counter([*(repr(stored) for stored in logs), *spans, *points])


def test_a_file_of_garbage_where_a_store_was_is_kept_aside(tmp_path, caplog):
    path = tmp_path / "s.db"
    written(path, count=50)
    garbage = os.urandom(50_000)
    path.write_bytes(garbage)
    with opened(path) as store:
        settled(store).put(log(body="new"))
        assert bodies(store) == {"new"}
    (aside,) = tmp_path.glob("s.db.damaged-*")
    assert aside.read_bytes() == garbage
    assert len(complaints(caplog)) == 1


def killed(path, tmp_path):
    """The file and log of a store as a killed process leaves them, with 30 logs."""
    with opened(tmp_path / "open.db") as store:
        for n in range(30):
            store.put(log(NOON + n * SECOND, f"word{n}"))
        for suffix in ("", "-wal"):
            shutil.copy(f"{store.path}{suffix}", f"{path}{suffix}")
    path.with_name(path.name + ".lock").touch()
    return {f"word{n}" for n in range(30)}


def test_a_log_as_kill_9_leaves_it_is_not_called_damaged(tmp_path, caplog):
    path = tmp_path / "s.db"
    expected = killed(path, tmp_path)
    log_file = tmp_path / "s.db-wal"
    whole = log_file.read_bytes()
    assert not wal.is_damaged(log_file)
    for size in range(0, len(whole), 997):
        log_file.write_bytes(whole[:size])
        assert not wal.is_damaged(log_file)
    log_file.write_bytes(whole)
    with opened(path) as store:
        assert bodies(store) == expected
    assert complaints(caplog) == []


@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.9])
def test_a_damaged_log_costs_what_was_damaged_and_not_what_came_after(tmp_path, caplog, where):
    path = tmp_path / "s.db"
    expected = killed(path, tmp_path)
    log_file = tmp_path / "s.db-wal"
    place = int(log_file.stat().st_size * where)
    with log_file.open("r+b") as file:
        file.seek(place)
        file.write(os.urandom(16))
    with opened(path) as store:
        found = bodies(settled(store))
        # Each commit writes the newest page of logs again, so that nothing at all is missing.
        assert found == expected
        assert store.stats().logs == 30
    (line,) = complaints(caplog)
    (aside,) = tmp_path.glob("s.db.damaged-*")
    assert aside.name.endswith("-wal")
    assert str(aside) in line
    assert_consistent(path)


def test_a_log_without_its_file_is_read_instead_of_deleted(tmp_path, caplog):
    path = tmp_path / "s.db"
    expected = killed(path, tmp_path)
    path.unlink()
    with opened(path) as store:
        assert bodies(settled(store)) <= expected
    assert len(complaints(caplog)) == 1
    assert list(tmp_path.glob("s.db.damaged-*-wal"))


@pytest.mark.parametrize("who", ["a reader", "the writer"])
def test_damage_met_while_it_is_open_is_answered_with_a_new_file_and_writing_goes_on(
    tmp_path, caplog, who
):
    path = tmp_path / "s.db"
    expected = written(path)
    with opened(path) as store:
        # All but the first page: SQLite has looked at that one already.
        with path.open("r+b") as file:
            file.seek(PAGE)
            file.write(os.urandom(path.stat().st_size - PAGE))
        if who == "a reader":
            with pytest.raises(StoreUnavailableError, match="brought over"):
                store.logs(None, EVER, limit=1000)
        else:
            # What it remembers of the file is whole.
            store._writer._connection.execute("PRAGMA shrink_memory")
        store.put(with_uid(log(body="new")))
        assert "new" in bodies(settled(store))
        (line,) = complaints(caplog)
        assert "damaged" in line
        assert list(tmp_path.glob("s.db.damaged-*"))
        assert bodies(store) <= {*expected, "new"}
    assert_consistent(path)


def test_a_row_that_was_altered_behind_sqlites_back_is_damage_too(tmp_path):
    path = tmp_path / "s.db"
    with opened(path) as store:
        store.put(log(body="whole"), log(NOON + 1000, "altered", attributes={"k": "mark me"}))
    content = path.read_bytes()
    path.write_bytes(content.replace(b'{"k":"mark me"}', b'{"k":"mark me",'))
    with opened(path) as store:
        with pytest.raises(StoreUnavailableError, match="damaged"):
            store.logs(None, EVER)
        store.put(log(body="new"))
        assert bodies(settled(store)) == {"whole", "new"}


def test_a_disk_that_damages_everything_is_not_given_a_new_file_each_time(tmp_path, caplog):
    path = tmp_path / "s.db"
    with opened(path) as store:
        for _ in range(3):
            store.put(log())
            store._writer.suspect("malformed")
            store.put(log())
        assert len(list(tmp_path.glob("s.db.damaged-*"))) <= 2
    assert len(complaints(caplog)) == 1


def test_what_was_not_brought_over_when_the_process_ended_is_by_the_next_one(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    expected = written(path)
    overwrite(path, 1, size=100)
    monkeypatch.setattr(salvager, "_CHUNK", 20)
    # It waits for ever after the first chunk, as if the process ended there.
    monkeypatch.setattr(salvager, "_PAUSE_SECONDS", 3600)
    with opened(path) as store:
        deadline = time.monotonic() + 20
        while not store.stats().logs:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        first = bodies(store)
        assert first < expected
    monkeypatch.undo()
    with opened(path) as store:
        assert bodies(settled(store)) == expected
        assert store.stats().logs == len(expected)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT key FROM meta").fetchall() == [("version",)]
    assert_consistent(path)


def test_old_records_are_not_brought_over_onto_a_disk_that_is_nearly_full(
    tmp_path, caplog, monkeypatch
):
    path = tmp_path / "s.db"
    written(path, count=50)
    overwrite(path, 1, size=100)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with opened(path) as store:
        settled(store).put(log(body="new"))
        assert bodies(store) == {"new"}
    assert "make room" in caplog.text


def test_a_file_that_was_never_a_store_is_left_alone_again_and_again(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, this is not a database.")
    for _ in range(2):
        with pytest.raises(StoreError, match="not a database"), opened(path):
            pass
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_that_was_removed_while_it_was_open_is_begun_anew(tmp_path, caplog):
    path = tmp_path / "s.db"
    with opened(path) as store:
        store.put(log(body="before"))
        path.unlink()
        store.put(log(body="after"))
        assert "after" in bodies(settled(store))
    with opened(path) as store:
        assert "after" in bodies(settled(store))
    (line,) = complaints(caplog)
    assert "it was removed" in line


def test_nothing_is_acknowledged_into_a_folder_that_is_gone(tmp_path):
    folder = tmp_path / "mounted"
    with opened(folder / "s.db") as store:
        store.put(log(body="before"))
        folder.rename(tmp_path / "away")
        with pytest.raises(StoreUnavailableError, match="removed"):
            store.put(log(body="refused"))
        (tmp_path / "away").rename(folder)
        store.put(log(body="after"))
        assert bodies(store) == {"before", "after"}
