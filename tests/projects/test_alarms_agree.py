"""Alarms of kind silent and crashed hold for those that the page shows as such, and no others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from otelbridge.alarms import find, make_rule
from otelbridge.model import LogRecord
from tests.projects.events import NOON, beat, end, last_words, start
from tests.projects.test_roster import Bridge, Clock, at, open_bridge

STORIES = {
    "it runs": [start(), beat(30)],
    "it fell silent": [start(), beat(1, interval=1)],
    "it was stopped": [start(), end("terminated", at=20)],
    "it crashed": [start(), end("crashed", at=20)],
    "it failed": [start(), end("failed", at=20)],
    "its last word was an error": [start(), last_words(20)],
    "it went on after one": [start(), last_words(20), beat(30)],
    "one of two fell silent": [start(), beat(1, interval=1), start(instance="two")],
    "it promised no heartbeats": [start(interval=0)],
    "its clock is an hour behind": [start(clock=-3600), beat(30, clock=-3600)],
}


@pytest.mark.parametrize("story", STORIES)
def test_an_alarm_holds_where_the_page_says_so(tmp_path: Path, story: str) -> None:
    async def play(bridge: Bridge, records: list[LogRecord]) -> None:
        for record in records:
            await bridge.say(record)
        at(bridge, 45)
        (shown,) = bridge.roster.projects()
        known = bridge.roster.known_projects

        silent = make_rule({"name": "silent", "when": "silent", "after": "1s"})
        found = await asyncio.to_thread(find, silent, bridge.store, NOON + 45, known)
        assert [one.subject for one in found] == (["shop"] if shown.status == "silent" else [])

        crashed = make_rule({"name": "crashed", "when": "crashed"})
        found = await asyncio.to_thread(find, crashed, bridge.store, NOON + 45, known)
        assert [one.subject for one in found] == [
            one.process.instance for one in shown.standings if one.status == "crashed"
        ]

    async def run() -> None:
        async with open_bridge(tmp_path, Clock()) as bridge:
            await play(bridge, STORIES[story])

    asyncio.run(run())


def test_one_that_is_silent_for_less_than_the_rule_says_is_not_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with open_bridge(tmp_path, Clock()) as bridge:
            await bridge.say(start(interval=1))
            at(bridge, 20)
            rule = make_rule({"name": "silent", "when": "silent", "after": "1m"})
            projects = bridge.roster.known_projects
            assert bridge.status() == "silent"
            assert await asyncio.to_thread(find, rule, bridge.store, NOON + 20, projects) == []
            at(bridge, 70)
            assert await asyncio.to_thread(find, rule, bridge.store, NOON + 70, projects)

    asyncio.run(run())
