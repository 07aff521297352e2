"""The daily file handler: midnight, several processes, and days that come twice."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time

import pytest

import otelbridge
from otelbridge.sinks.rotation import Daily, dated_files

DAY = 86_400
NOON = 1_795_262_400  # 2026-11-21 12:00:00 UTC


def make_logger(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("shop", logging.DEBUG)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    return logger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop.log"


def age(path, days: float) -> None:
    changed = path.stat().st_mtime - days * DAY
    os.utime(path, (changed, changed))


def test_a_file_of_an_earlier_day_is_renamed_to_its_day(path):
    logger = make_logger(otelbridge.DailyFileHandler(path))
    logger.info("two days ago")
    age(path, 2)
    day = time.strftime("%Y-%m-%d", time.gmtime(path.stat().st_mtime))

    logger.info("today")

    assert path.read_text() == "today\n"
    assert path.with_name(f"shop.log.{day}").read_text() == "two days ago\n"


def test_as_many_days_are_kept_as_told(path):
    logger = make_logger(otelbridge.DailyFileHandler(path, days=2))
    for days in (5, 4, 3, 2, 1):
        logger.info("%d days ago", days)
        age(path, days)

    logger.info("today")

    assert [file.read_text() for file in dated_files(path)] == ["2 days ago\n", "1 days ago\n"]


def test_a_day_that_comes_twice_overwrites_nothing(path):
    logger = make_logger(otelbridge.DailyFileHandler(path))
    for number in range(12):
        logger.info("%d", number)
        age(path, 1)

    logger.info("today")

    assert [file.read_text() for file in dated_files(path)] == [f"{n}\n" for n in range(12)]


@pytest.mark.parametrize(
    ("changed", "utc", "due"),
    [
        (NOON - 60, True, False),
        (NOON - DAY // 2, True, False),
        (NOON - DAY // 2 - 1, True, True),
        # In New York midnight comes five hours later.
        (NOON - 7 * 3600, False, False),
        (NOON - 7 * 3600 - 1, False, True),
        (NOON - 7 * 3600 - 1, True, False),
        # The clock was set back: the file waits for the day that it is of.
        (NOON + DAY, True, False),
    ],
)
def test_midnight_is_utcs_unless_told_otherwise(path, monkeypatch, changed, utc, due):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        path.write_text("x")
        os.utime(path, (changed, changed))
        rule = Daily(utc=utc, clock=lambda: NOON)

        assert rule.is_due(path.stat(), 1) is due
    finally:
        monkeypatch.undo()
        time.tzset()


def write_many(path, worker: int, start) -> None:
    logger = make_logger(otelbridge.DailyFileHandler(path))
    start.wait()
    for number in range(200):
        logger.info("%d %d", worker, number)
        if worker == 0 and number % 50 == 25:
            age(path, 1)
    os._exit(0)


def test_processes_that_share_a_file_lose_and_double_nothing_at_midnight(path):
    context = multiprocessing.get_context("fork")
    start = context.Event()
    workers = [context.Process(target=write_many, args=(path, w, start)) for w in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(60)

    files = [*dated_files(path), path]
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(files) > 2
    assert sorted(lines) == sorted(f"{w} {n}" for w in range(4) for n in range(200))
