"""Following a real store: what arrives, restarts of the bridge, times at which nothing is heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from otelbridge.bridge_state import StateFile
from otelbridge.model import Batch, LogRecord
from otelbridge.projects import ProjectKey, Roster, roster
from otelbridge.store.protocol import StoreStats, StoreUnavailableError
from otelbridge.store.sqlite import SQLiteStore
from tests.projects.events import NOON, beat, end, last_words, start

SHOP = ProjectKey("shop")


class Clock:
    """A clock that a test sets, in seconds."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now

    def wall(self) -> int:
        return int(self.now * 10**9)


class Bridge:
    """A store and a roster that follows it."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.store = SQLiteStore(folder / "store.db", retention=10**9, retention_bytes=2**40)
        self.file = StateFile(folder / "projects.json")
        self.roster = Roster(self.store, self.file, clock=clock, wall=clock.wall)

    async def say(self, *records: LogRecord) -> None:
        """Store records, and wait until the roster has heard them."""
        await self.store.write(Batch(logs=list(records)))
        newest = {record.resource["service.instance.id"]: record for record in records}
        for instance, record in newest.items():
            await self.until(
                lambda instance=instance, record=record: any(
                    one.instance == instance
                    # Its last words are no event.
                    and (one.dying if not record.event_name else one.last_event >= record.time)
                    for one in self.roster.processes()
                )
            )

    async def until(self, condition: Callable[[], bool]) -> None:
        limit = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < limit, "it did not become so"
            await asyncio.sleep(0.01)

    def status(self) -> str | None:
        found = self.roster.project(SHOP)
        return None if found is None else found.status


@asynccontextmanager
async def open_bridge(folder: Path, clock: Clock) -> AsyncIterator[Bridge]:
    async with AsyncExitStack() as stack:
        bridge = Bridge(folder, clock)
        await bridge.store.open()
        stack.push_async_callback(bridge.store.close)
        await bridge.roster.start()
        stack.push_async_callback(bridge.roster.stop)
        await asyncio.wait_for(bridge.roster.ready(), 20)
        yield bridge


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(tmp_path: Path, clock: Clock) -> Callable[..., None]:
    """Runs stories, each with a bridge of its own over the same store."""

    def run_(*stories: Callable[[Bridge], Awaitable[None]]) -> None:
        async def all_() -> None:
            for story in stories:
                async with open_bridge(tmp_path, clock) as bridge:
                    await story(bridge)

        asyncio.run(all_())

    return run_


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(roster, "TICK_SECONDS", 0.05)


def at(bridge: Bridge, seconds: float) -> None:
    """Let time pass, during which the bridge is able to hear."""
    step = roster.DEAF_SECONDS / 2
    target = NOON + seconds
    while bridge.clock.now < target:
        bridge.clock.now = min(target, bridge.clock.now + step)
        bridge.roster._beat()


def test_what_is_stored_is_heard(run):
    async def story(bridge: Bridge) -> None:
        await bridge.say(start())
        assert bridge.status() == "running"

        at(bridge, 74)
        assert bridge.status() == "running"
        at(bridge, 76)
        assert bridge.status() == "silent"

        await bridge.say(beat(76))
        assert bridge.status() == "running"
        await bridge.say(end("crashed", at=77))
        assert bridge.status() == "crashed"

    run(story)


def test_an_error_nobody_caught_without_an_end_is_a_crash(run):
    async def story(bridge: Bridge) -> None:
        await bridge.say(start())
        await bridge.say(last_words(1))
        assert bridge.status() == "crashed"

    async def after_a_restart(bridge: Bridge) -> None:
        assert bridge.status() == "crashed"

    run(story, after_a_restart)


def test_a_restart_of_the_bridge_makes_nobody_silent(run):
    async def before(bridge: Bridge) -> None:
        await bridge.say(start(interval=1), start(interval=30, instance="two"))

    async def an_hour_later(bridge: Bridge) -> None:
        # Nobody could be heard meanwhile; each has its own time to say something now.
        assert bridge.status() == "running"
        at(bridge, 3600 + 9)
        assert {one.status for one in bridge.roster.project(SHOP).standings} == {"running"}
        at(bridge, 3600 + 11)
        assert [one.status for one in bridge.roster.project(SHOP).standings].count("silent") == 1
        at(bridge, 3600 + 76)
        assert bridge.status() == "silent"

    async def wait(bridge: Bridge) -> None:
        bridge.clock.now = NOON + 3600

    run(before, wait, an_hour_later)


def test_one_that_was_silent_is_still_silent_after_a_restart(run):
    async def before(bridge: Bridge) -> None:
        await bridge.say(start(), start(instance="two", project="other"))
        at(bridge, 80)
        assert bridge.status() == "silent"

    async def after(bridge: Bridge) -> None:
        assert bridge.status() == "silent"
        await bridge.say(beat(100))
        assert bridge.status() == "running"

    run(before, after)


def test_a_restart_forgets_nothing(run):
    async def before(bridge: Bridge) -> None:
        await bridge.say(start(resource={"service.version": "3"}), beat(30))
        await bridge.say(start(instance="gone"), end("failed", instance="gone", at=20))

    async def after(bridge: Bridge) -> None:
        found = bridge.roster.project(SHOP)
        assert found.counts == {"running": 1, "crashed": 1}
        assert {one.process.version for one in found.standings} == {"3", ""}
        assert max(one.process.uptime for one in found.standings) == 30

    run(before, after)


def test_what_arrives_while_the_past_is_read_is_heard(run, monkeypatch):
    async def story(bridge: Bridge) -> None:
        await bridge.say(start(), beat(30))
        assert bridge.roster.project(SHOP).standings[0].process.uptime == 30

    real = roster.read_past

    def slowly(*arguments: Any) -> list[LogRecord]:
        found = real(*arguments)
        time.sleep(0.1)
        return found

    monkeypatch.setattr(roster, "read_past", slowly)
    run(story)


def test_hidden_projects_are_known_and_said_to_be_hidden(run):
    async def before(bridge: Bridge) -> None:
        await bridge.say(start())
        bridge.roster.hide(SHOP)
        assert bridge.roster.project(SHOP).hidden

    async def after(bridge: Bridge) -> None:
        assert bridge.roster.project(SHOP).hidden
        bridge.roster.hide(SHOP, hidden=False)
        assert not bridge.roster.project(SHOP).hidden

    run(before, after)


def test_cleaning_leaves_out_what_does_not_run_until_it_says_something(run):
    async def before(bridge: Bridge) -> None:
        await bridge.say(start(), start(instance="two"))
        await bridge.say(start(instance="gone"), end(instance="gone", at=1))
        at(bridge, 60)
        await bridge.say(beat(60))
        at(bridge, 90)
        assert bridge.roster.project(SHOP).counts == {"running": 1, "silent": 1, "stopped": 1}

        assert bridge.roster.clean(SHOP) == 2
        assert bridge.roster.project(SHOP).counts == {"running": 1}
        assert bridge.roster.clean(SHOP) == 0

    async def after(bridge: Bridge) -> None:
        assert bridge.roster.project(SHOP).counts == {"running": 1}
        await bridge.say(beat(100, instance="two"))
        assert bridge.roster.project(SHOP).counts == {"running": 2}

    run(before, after)


def test_what_cannot_be_noted_changes_nothing(run, monkeypatch):
    async def story(bridge: Bridge) -> None:
        await bridge.say(start())

        def refuse(data: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(bridge.file, "save", refuse)
        with pytest.raises(OSError, match="No space"):
            bridge.roster.hide(SHOP)
        assert not bridge.roster.project(SHOP).hidden

    run(story)


def test_notes_that_are_damaged_are_set_aside(tmp_path, run):
    (tmp_path / "projects.json").write_text('{"hidden": [1')

    async def story(bridge: Bridge) -> None:
        await bridge.say(start())
        assert not bridge.roster.project(SHOP).hidden

    run(story)
    assert list(tmp_path.glob("projects.json.damaged-*"))


def test_a_store_that_takes_nothing_makes_nobody_silent(run, monkeypatch):
    async def story(bridge: Bridge) -> None:
        await bridge.say(start())
        stats = bridge.store.stats

        def full() -> StoreStats:
            found = stats()
            found.refusing = "no room to store records"
            return found

        monkeypatch.setattr(bridge.store, "stats", full)
        await bridge.until(lambda: bridge.roster.problem == "no room to store records")
        bridge.clock.now += 600
        assert bridge.status() == "running"

        monkeypatch.setattr(bridge.store, "stats", stats)
        await bridge.until(lambda: bridge.roster.problem == "")
        assert bridge.status() == "running"
        at(bridge, 600 + 90)
        assert bridge.status() == "silent"

    run(story)


def test_a_store_that_cannot_be_read_makes_nobody_silent(run, monkeypatch):
    async def story(bridge: Bridge) -> None:
        await bridge.say(start())
        logs = bridge.store.logs

        def broken(*arguments: Any, **options: Any) -> Any:
            raise StoreUnavailableError("the cluster does not answer")

        monkeypatch.setattr(bridge.store, "logs", broken)
        await bridge.store.write(Batch(logs=[beat(30)]))
        await bridge.until(lambda: bridge.roster.problem != "")
        bridge.clock.now += 600
        assert bridge.status() == "running"

        monkeypatch.setattr(bridge.store, "logs", logs)
        # What was missed is found in the store.
        await bridge.until(lambda: bridge.roster.problem == "")
        assert bridge.roster.project(SHOP).standings[0].process.uptime == 30

    run(story)


def test_alarms_wait_until_projects_are_known(tmp_path, clock):
    waiting = Roster(Bridge(tmp_path, clock).store, StateFile(tmp_path / "projects.json"))

    with pytest.raises(StoreUnavailableError, match="still being read"):
        waiting.known_projects()


def test_the_oldest_that_are_gone_are_forgotten_beyond_a_limit(run, monkeypatch):
    monkeypatch.setattr(roster, "MOST_PROCESSES", 20)

    async def story(bridge: Bridge) -> None:
        await bridge.say(start(instance="living", interval=0))
        for number in range(30):
            await bridge.say(
                start(instance=f"gone-{number}"), end(instance=f"gone-{number}", at=number)
            )
            bridge.clock.now += 1
        instances = {one.instance for one in bridge.roster.processes()}
        assert len(instances) <= 20
        assert {"living", "gone-29"} <= instances
        assert "gone-0" not in instances

    run(story)
