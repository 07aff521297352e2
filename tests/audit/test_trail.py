"""Writing an audit trail: from several processes, across days, and after a crash."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from pathlib import Path

import pytest

from otelbridge.audit.verify import Verification, trail_files, verify
from otelbridge.sinks.audit import AuditHandler

DAY = 86_400


def verified(path: Path, key: bytes | None = None) -> Verification:
    *_, result = verify(trail_files(path), key)
    return result


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def age(path: Path, days: int) -> None:
    """Make a file look as if its last line were some days old."""
    changed = path.stat().st_mtime - days * DAY
    os.utime(path, (changed, changed))


def test_each_record_is_a_json_line_bound_to_the_one_before(path, make_logger):
    logger = make_logger()

    logger.warning("перевод %d", 7, extra={"user": "alice", "amount": 12.5})
    logger.error("refused")

    first, second = lines_of(path)
    assert first["message"] == "перевод 7"
    assert (first["user"], first["amount"]) == ("alice", 12.5)
    assert first["otelbridge.audit.sequence"] == 1
    assert second["otelbridge.audit.sequence"] == 2
    assert second["otelbridge.audit.previous"] == first["otelbridge.audit.hash"]
    assert verified(path).broken is None


def test_a_trail_is_continued_by_the_next_process(path, make_logger):
    make_logger().info("yesterday's process")
    make_logger().info("today's")

    assert [line["otelbridge.audit.sequence"] for line in lines_of(path)] == [1, 2]
    assert verified(path).lines == 2


def write_many(path: Path, start) -> None:
    logger = logging.Logger("payments")
    logger.addHandler(AuditHandler(path))
    start.wait()
    for number in range(200):
        logger.info("%d %s", number, "x" * (number % 90))
    os._exit(0)


def test_processes_that_share_a_trail_make_one_chain(path):
    context = multiprocessing.get_context("fork")
    start = context.Event()
    workers = [context.Process(target=write_many, args=(path, start)) for _ in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(60)

    result = verified(path)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert (result.broken, result.lines, result.head.sequence) == (None, 800, 800)


def test_a_new_day_has_a_new_file_and_the_same_chain(path, make_logger):
    logger = make_logger()
    for days in (2, 1, 0):
        logger.info("%d days ago", days)
        if days:
            age(path, days)

    files = trail_files(path)
    assert len(files) == 3
    assert [lines_of(file)[0]["otelbridge.audit.sequence"] for file in files] == [1, 2, 3]
    assert verified(path).broken is None


def test_after_a_crash_between_two_days_the_chain_goes_on(path, make_logger):
    make_logger().info("before")
    age(path, 1)
    path.rename(path.with_name(f"{path.name}.2020-01-01"))

    make_logger().info("after")

    assert lines_of(path)[0]["otelbridge.audit.sequence"] == 2
    assert verified(path).lines == 2


@pytest.mark.parametrize("missing", range(2, 60, 7))
def test_a_line_that_a_killed_process_left_unfinished_stays_and_is_told_of(
    path, make_logger, missing
):
    logger = make_logger()
    logger.info("whole")
    logger.info("cut short")
    path.write_bytes(path.read_bytes()[:-missing])

    assert verified(path).torn == 1
    make_logger().info("next")

    result = verified(path)
    assert (result.broken, result.lines, result.torn) == (None, 2, 1)
    assert len(path.read_bytes().splitlines()) == 3


def test_a_line_that_lacks_only_its_line_feed_is_whole(path, make_logger):
    make_logger().info("whole")
    path.write_bytes(path.read_bytes().rstrip())

    assert verified(path).lines == 1
    make_logger().info("next")

    result = verified(path)
    assert (result.broken, result.lines, result.torn) == (None, 2, 0)


def test_a_line_left_unfinished_on_another_day_stays_in_that_days_file(path, make_logger):
    logger = make_logger()
    logger.info("whole")
    logger.info("cut short")
    path.write_bytes(path.read_bytes()[:-30])
    age(path, 1)

    make_logger().info("next")

    old, new = trail_files(path)
    assert (len(old.read_bytes().splitlines()), len(lines_of(new))) == (2, 1)
    assert (verified(path).broken, verified(path).lines) == (None, 2)


def test_a_trail_that_begins_with_an_unfinished_line_can_be_continued(path, make_logger):
    path.parent.mkdir()
    path.write_bytes(b'{"message": "half a li')

    make_logger().info("first")

    result = verified(path)
    assert (result.broken, result.lines, result.torn) == (None, 1, 1)


def test_a_line_longer_than_what_is_read_at_once_is_found(path, make_logger):
    make_logger().info("x" * 60_000, extra={f"k{n}": "y" * 60_000 for n in range(5)})
    make_logger().info("next")

    assert verified(path).lines == 2


def test_without_the_lock_a_record_is_counted_and_told_and_the_chain_stays_whole(
    path, make_logger, monkeypatch, capsys
):
    import fcntl

    monkeypatch.setattr("otelbridge.sinks.shared_file.LOCK_SECONDS", 0.01)
    logger = make_logger()
    logger.info("one")
    with path.with_name(".audit.jsonl.lock").open("a") as stuck:
        fcntl.flock(stuck, fcntl.LOCK_EX)
        logger.info("cannot be bound")

    assert logger.handlers[0].dropped == 1
    assert "held by another process" in capsys.readouterr().err
    assert verified(path).lines == 1


def test_a_formatter_that_makes_no_json_is_refused(path, make_logger):
    (handler,) = make_logger().handlers

    with pytest.raises(ValueError, match="JSON objects"):
        handler.setFormatter(logging.Formatter("%(message)s"))


def test_the_key_comes_from_the_environment(path, make_logger, monkeypatch):
    monkeypatch.setenv("OTELBRIDGE_AUDIT_KEY", "secret")
    make_logger().info("keyed")

    assert verified(path, b"secret").broken is None
    assert verified(path).broken is not None
