"""A file that cannot be written, a process that dies: what is acknowledged is kept."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otelbridge.search import parse
from otelbridge.store.protocol import StoreError, StoreUnavailableError
from otelbridge.store.sqlite import connections
from tests.store.checks import assert_consistent
from tests.store.samples import EVER, NOON, batch, log, opened, span, with_uid

ROOT = Path(__file__).parents[2]


def bodies(store):
    return {stored.record.body for stored in store.logs(None, EVER, limit=100_000)}


def test_a_locked_file_refuses_and_is_written_again_once_it_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.1)
    with opened(tmp_path / "s.db") as store:
        store.put(log(body="before"))
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked") as caught:
            store.put(log(body="refused"))
        assert caught.value.retry_after > 0
        assert bodies(store) == {"before"}
        other.execute("ROLLBACK")
        other.close()
        store.put(log(body="after"))
        assert bodies(store) == {"before", "after"}


# Writes until the file may grow no further, then goes on where there is room again.
FILL = """
import asyncio, resource, sys
from otelbridge.store.protocol import StoreUnavailableError
from tests.store.samples import EVER, NOON, batch, log, opened

resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
with opened(sys.argv[1]) as store:
    kept = set()
    refused = 0
    for number in range(400):
        one = [log(time=NOON + number * 1000 + n, body=f"{number}-{n} " + "x" * 200)
               for n in range(20)]
        try:
            store.put(*one)
        except StoreUnavailableError as error:
            assert error.retry_after > 0, error
            refused += 1
        else:
            kept |= {record.body for record in one}
    assert 0 < len(kept) < 8000, len(kept)
    assert refused, "never full"
    found = {stored.record.body for stored in store.logs(None, EVER, limit=100_000)}
    assert found == kept, (len(found), len(kept))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.put(log(body="room again"))
    assert store.count_logs(None, EVER) == len(kept) + 1
print("kept", len(kept))
"""


def test_a_full_disk_refuses_what_is_not_stored_and_keeps_what_is(tmp_path):
    path = tmp_path / "s.db"
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    kept = int(done.stdout.split()[1])
    with opened(path) as store:
        assert store.count_logs(None, EVER) == kept + 1
    assert_consistent(path)


def test_a_file_at_its_largest_says_that_there_is_no_room(tmp_path):
    with opened(tmp_path / "s.db") as store:
        store.put(log(body="small"))
        connection = store._writer._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(StoreUnavailableError, match="no room") as caught:
            store.put(log(body="large " * 20_000))
        assert caught.value.retry_after >= 1
        assert bodies(store) == {"small"}
        store.put(log(body="also small"))
        assert bodies(store) == {"small", "also small"}
        assert_consistent(store.path)


def test_a_batch_that_can_never_be_stored_fails_alone(tmp_path):
    with opened(tmp_path / "s.db") as store:

        async def together():
            poisoned = batch(log(time=2**70), log(body="with it"))
            return await asyncio.gather(
                store.write(batch(log(body="a"))),
                store.write(poisoned),
                store.write(batch(log(body="b"), span())),
                return_exceptions=True,
            )

        first, second, third = store.run(together())
        assert len(first.logs) == 1
        assert isinstance(second, StoreError)
        assert not isinstance(second, StoreUnavailableError)
        assert (len(third.logs), len(third.spans)) == (1, 1)
        assert bodies(store) == {"a", "b"}
        assert_consistent(store.path)


def test_a_full_queue_refuses_at_once(tmp_path, monkeypatch):
    with opened(tmp_path / "s.db", queue_bytes=200_000) as store:
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        async def flood():
            writes = [
                asyncio.ensure_future(store.write(batch(*(log(body=f"{n}") for _ in range(20)))))
                for n in range(40)
            ]
            await asyncio.sleep(0)
            refused = [write for write in writes if write.done()]
            for write in refused:
                with pytest.raises(StoreUnavailableError, match="busy"):
                    write.result()
            assert 0 < len(refused) < 40
            assert store.stats().pending == 20 * (40 - len(refused))
            other.execute("ROLLBACK")
            accepted = [write for write in writes if write not in refused]
            await asyncio.gather(*accepted)
            return len(accepted)

        accepted = store.run(flood())
        other.close()
        assert store.count_logs(None, EVER) == accepted * 20
        assert store.stats().pending == 0


def test_closing_commits_what_was_accepted(tmp_path):
    path = tmp_path / "s.db"
    with opened(path) as store:

        async def write_and_close():
            writes = [
                asyncio.ensure_future(store.write(batch(log(body=f"{n}")))) for n in range(50)
            ]
            await asyncio.sleep(0)
            await store.close()
            return await asyncio.gather(*writes)

        assert len(store.run(write_and_close())) == 50
    with opened(path) as store:
        assert store.count_logs(None, EVER) == 50


# Writes without end, and prints each batch's number once it is acknowledged.
WRITE_FOR_EVER = """
import asyncio, itertools, sys
from tests.store.samples import NOON, batch, log, opened, span

with opened(sys.argv[1]) as store:
    async def sender(first):
        for number in itertools.count(first, 4):
            await store.write(batch(*(log(time=NOON + number * 1000, body=str(number))
                                      for _ in range(5)), span()))
            print(number, flush=True)

    async def senders():
        await asyncio.gather(*(sender(first) for first in range(4)))

    store._test_loop.run_until_complete(senders())
"""


@pytest.mark.parametrize("after", [20, 150, 400])
def test_every_acknowledged_record_survives_kill_9(tmp_path, after):
    path = tmp_path / "s.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        acknowledged = [writer.stdout.readline() for _ in range(after)]
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += writer.stdout.read().splitlines(keepends=True)
        writer.stdout.close()
        writer.wait()
    numbers = {int(line) for line in acknowledged if line.endswith("\n")}
    assert len(numbers) >= after
    with opened(path) as store:
        found = [stored.record.body for stored in store.logs(None, EVER, limit=100_000)]
        for number in numbers:
            assert found.count(str(number)) == 5
        assert all(found.count(body) == 5 for body in set(found))
        store.put(log())
    assert_consistent(path)


def test_a_resend_after_a_refusal_stores_each_record_once(tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.1)
    with opened(tmp_path / "s.db") as store:
        again = batch(with_uid(log(body="once", time=NOON)), span())
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError):
            store.run(store.write(again))
        other.execute("ROLLBACK")
        other.close()
        store.run(store.write(again))
        store.run(store.write(again))
        assert (store.stats().logs, store.stats().spans) == (1, 1)


def test_reading_goes_on_while_a_batch_is_written(tmp_path):
    with opened(tmp_path / "s.db") as store:
        store.put(log(body="there"))

        async def read_meanwhile():
            writes = [
                asyncio.ensure_future(
                    store.write(batch(*(log(time=NOON + n) for n in range(2000))))
                )
                for _ in range(5)
            ]
            longest = 0.0
            reads = 0
            while not all(write.done() for write in writes):
                started = time.perf_counter()
                await asyncio.to_thread(store.logs, None, EVER, limit=10)
                longest = max(longest, time.perf_counter() - started)
                reads += 1
            await asyncio.gather(*writes)
            return reads, longest

        reads, longest = store.run(read_meanwhile())
        assert reads > 1
        assert longest < 1.0


SLOW = parse("not (a or b) and x: *1*2*")


def test_a_search_that_takes_too_long_is_given_up_and_says_so(tmp_path, monkeypatch):
    with opened(tmp_path / "s.db") as store:
        store.put(*(log(NOON + n, attributes={"x": "0" * 50}) for n in range(3000)))
        assert store.count_logs(SLOW, EVER) == 0
        monkeypatch.setattr(connections, "LONGEST_READ_SECONDS", 0.0)
        with pytest.raises(StoreError, match="shorter time range"):
            store.count_logs(SLOW, EVER)
        monkeypatch.undo()
        assert store.count_logs(SLOW, EVER) == 0


def test_closing_does_not_wait_for_a_long_search(tmp_path):
    with opened(tmp_path / "s.db") as store:
        store.put(*(log(NOON + n, attributes={"x": "0" * 50}) for n in range(3000)))

        async def close_during_search():
            def search_without_end():
                while True:
                    store.count_logs(SLOW, EVER)

            searching = asyncio.ensure_future(asyncio.to_thread(search_without_end))
            await asyncio.sleep(0)
            await store.close()
            with pytest.raises(StoreError, match=r"closed|not open"):
                await searching

        store.run(close_during_search())


def test_a_fault_of_ours_in_the_writers_thread_refuses_one_write_and_not_the_next(store):
    heard = store._writer._committed

    def fail(arrivals):
        store._writer._committed = heard
        raise RuntimeError("a follower broke")

    store._writer._committed = fail
    record = with_uid(log())
    with pytest.raises(StoreUnavailableError, match="a follower broke"):
        store.put(record)
    # Sent again as the refusal asks, it is known already and stored once.
    store.put(record, log())
    assert store.count_logs(None, EVER) == 2
