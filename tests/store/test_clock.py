"""A clock that is set: nothing that came is removed, hidden or moved because of it."""

from __future__ import annotations

import logging

import pytest

from tests.store.checks import assert_consistent
from tests.store.samples import EVER, NOON, SECOND, Clock, batch, log, opened, point, span

DAY = 86400.0
YEAR = 365 * DAY


class Clocks:
    """The system's clock, and the one that nobody sets."""

    def __init__(self) -> None:
        self.system = Clock()
        self.steady = Clock(0.0)

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.system.now += seconds
        self.steady.now += seconds

    def set(self, seconds: float) -> None:
        """Set the system's clock forward, or back."""
        self.system.now += seconds

    def open(self, path, **chosen):
        return opened(path, now=self.system, steady=self.steady, retention=7 * DAY, **chosen)


def bodies(store):
    return {stored.record.body for stored in store.logs(None, EVER)}


@pytest.mark.parametrize("step", [YEAR, -YEAR, DAY, -DAY, -50 * YEAR])
def test_a_step_of_the_clock_removes_nothing_before_its_time(tmp_path, step):
    clocks = Clocks()
    with clocks.open(tmp_path / "s.db") as store:
        store.put(log(body="before"), span(), point())
        clocks.pass_(DAY)
        store.run(store.expire())
        clocks.set(step)
        store.run(store.expire())
        store.put(log(body="after"))
        clocks.pass_(5.9 * DAY)
        store.run(store.expire())
        assert bodies(store) == {"before", "after"}
        assert (store.stats().spans, store.stats().points) == (1, 1)
        # And nothing is kept for ever: seven days after it came the first one goes. What came on a
        # day that is gone through twice may have come the second time.
        clocks.pass_(0.2 * DAY)
        store.run(store.expire())
        assert bodies(store) == ({"before", "after"} if step == -DAY else {"after"})
        clocks.pass_(DAY)
        store.run(store.expire())
        assert bodies(store) == set()
    assert_consistent(tmp_path / "s.db")


def test_a_clock_that_was_wrong_for_an_hour_and_put_right_leaves_no_trace(tmp_path, caplog):
    clocks = Clocks()
    with clocks.open(tmp_path / "s.db") as store:
        store.put(log(body="before"))
        clocks.pass_(3600)
        clocks.set(YEAR)
        store.put(log(body="meanwhile"))
        clocks.pass_(3600)
        store.run(store.expire())
        clocks.set(-YEAR)
        store.put(log(body="after"))
        store.run(store.expire())
        assert bodies(store) == {"before", "meanwhile", "after"}
        clocks.pass_(7 * DAY - 1800)
        store.run(store.expire())
        assert bodies(store) == {"after"}
    assert len([r for r in caplog.records if "the clock is" in r.getMessage()]) == 2


def test_a_step_is_remembered_by_the_next_process(tmp_path):
    clocks = Clocks()
    path = tmp_path / "s.db"
    with clocks.open(path) as store:
        store.put(log(body="before"))
        clocks.pass_(60)
        clocks.set(3 * YEAR)
        store.put(log(body="after"))
    with clocks.open(path) as store:
        store.run(store.expire())
        assert bodies(store) == {"before", "after"}
        clocks.pass_(7 * DAY + 120)
        store.run(store.expire())
        assert bodies(store) == set()


@pytest.mark.parametrize("step", [-YEAR, YEAR])
def test_a_machine_that_starts_with_a_wrong_clock_loses_nothing_once_it_is_put_right(
    tmp_path, step
):
    clocks = Clocks()
    path = tmp_path / "s.db"
    with clocks.open(path) as store:
        store.put(log(body="before"))
    clocks.set(step)
    with clocks.open(path) as store:
        store.put(log(body="meanwhile"))
        store.run(store.expire())
        assert bodies(store) == {"before", "meanwhile"}
        clocks.pass_(600)
        clocks.set(-step)
        store.run(store.expire())
        store.put(log(body="after"))
        clocks.pass_(6 * DAY)
        store.run(store.expire())
        assert bodies(store) == {"before", "meanwhile", "after"}


def test_after_a_long_pause_old_records_go_once_the_clock_has_been_believed(tmp_path):
    clocks = Clocks()
    path = tmp_path / "s.db"
    with clocks.open(path) as store:
        store.put(log(body="old"))
    clocks.pass_(30 * DAY)
    with clocks.open(path) as store:
        store.put(log(body="new"))
        store.run(store.expire())
        assert bodies(store) == {"old", "new"}
        clocks.pass_(3601)
        store.run(store.expire())
        assert bodies(store) == {"new"}


def test_a_sleeping_machine_is_no_step(tmp_path, caplog):
    clocks = Clocks()
    caplog.set_level(logging.WARNING)
    with clocks.open(tmp_path / "s.db") as store:
        store.put(log(body="before"))
        clocks.pass_(8 * DAY)
        store.run(store.expire())
        assert bodies(store) == set()
    assert caplog.records == []


def test_records_of_a_day_that_is_gone_through_twice_all_keep_a_place_of_their_own(tmp_path):
    """The clock of bridge and senders is set back by a day: ids are times, and those are taken."""
    clocks = Clocks()
    with clocks.open(tmp_path / "s.db") as store:

        async def follow(first, name):
            arrivals = store.arrivals()
            written = await store.write(
                batch(*(log(NOON + (first + n) * 1000, f"{name}{n}") for n in range(500)))
            )
            heard = await anext(arrivals)
            assert list(heard.logs) == list(written.logs)
            return written.logs

        first_day = store.run(follow(0, "first"))
        clocks.pass_(DAY)
        clocks.set(-DAY)
        again = store.run(follow(0, "again"))
        assert len({*first_day, *again}) == 1000
        # The live tail asks for what arrived by its ids, wherever in time that is.
        tail = store.logs(None, EVER, ids=again, limit=1000)
        assert [stored.record.body for stored in reversed(tail)] == [
            f"again{n}" for n in range(500)
        ]
        assert store.count_logs(None, EVER) == 1000
        assert len(bodies(store)) == 100
        within_a_second = [stored.id - stored.record.time // 1000 for stored in tail]
        assert max(within_a_second) < 1_000_000
    assert_consistent(tmp_path / "s.db")


def test_a_store_that_is_too_large_loses_what_came_first_not_what_claims_to_be_oldest(tmp_path):
    """A device whose clock says 1970 is not the first to go each time."""
    clocks = Clocks()
    text = "word " * 100
    with clocks.open(tmp_path / "s.db", retention_bytes=2 * 2**20) as store:
        for minute in range(60):
            clocks.pass_(60)
            store.put(
                *(log(NOON + minute * 60 * SECOND + n, f"{minute} {text}") for n in range(100))
            )
            store.put(log(SECOND + minute, f"{minute} 1970"))
        store.run(store.expire())
        assert store.stats().expired > 1000
        found = {stored.record.body for stored in store.logs(None, EVER, limit=10_000)}
        of_1970 = {int(body.split()[0]) for body in found if "1970" in body}
        others = {int(body.split()[0]) for body in found if "1970" not in body}
        assert max(of_1970) == max(others) == 59
        assert abs(min(of_1970) - min(others)) <= 1
    assert_consistent(tmp_path / "s.db")


def test_a_store_that_is_too_large_goes_by_arrival_over_a_step_of_the_clock(tmp_path):
    clocks = Clocks()
    text = "word " * 100
    with clocks.open(tmp_path / "s.db", retention_bytes=2 * 2**20) as store:
        for minute in range(60):
            clocks.pass_(60)
            if minute == 40:
                clocks.set(-YEAR)
            store.put(
                *(log(NOON + minute * 3600 * SECOND + n, f"{minute} {text}") for n in range(100))
            )
        store.run(store.expire())
        found = {
            int(stored.record.body.split()[0]) for stored in store.logs(None, EVER, limit=10_000)
        }
        assert found == set(range(min(found), 60))
        assert 10 < min(found) < 50
    assert_consistent(tmp_path / "s.db")
