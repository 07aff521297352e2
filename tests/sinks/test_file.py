"""The file handler: rotation by size, and several processes that share one file."""

from __future__ import annotations

import fcntl
import json
import logging
import multiprocessing
import os
import resource
import shutil
from collections import Counter
from pathlib import Path

import pytest

import otelbridge
from otelbridge.sinks import shared_file


def make_logger(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("shop", logging.DEBUG)
    logger.addHandler(handler)
    return logger


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "shop.jsonl"


@pytest.fixture
def make_handler(path):
    made = []

    def make(**options) -> otelbridge.FileHandler:
        made.append(otelbridge.FileHandler(path, **options))
        return made[-1]

    yield make
    for handler in made:
        handler.close()


def test_makes_the_folder_and_writes_one_json_line_a_record(path, make_handler):
    logger = make_logger(make_handler())

    logger.info("première ligne\nsuite", extra={"user": "алиса"})
    logger.error("second")

    first, second = lines_of(path)
    assert first["message"] == "première ligne\nsuite"
    assert first["user"] == "алиса"
    assert second["log.level"] == "ERROR"


def test_appends_to_what_is_there(path, make_handler):
    path.parent.mkdir()
    path.write_text('{"message": "from before"}\n')

    make_logger(make_handler()).info("new")

    assert [line["message"] for line in lines_of(path)] == ["from before", "new"]


def test_writes_what_a_formatter_of_the_user_says(path, make_handler):
    handler = make_handler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))

    make_logger(handler).warning("low stock \udc80")

    assert path.read_text("utf-8") == "WARNING low stock \\udc80\n"


def test_rotates_by_size_and_keeps_as_many_backups_as_told(path, make_handler):
    handler = make_handler(max_bytes=400, backups=2)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = make_logger(handler)

    for number in range(40):
        logger.info("%-99d", number)

    kept = sorted(file.name for file in path.parent.glob("shop*"))
    assert kept == ["shop.jsonl", "shop.jsonl.1", "shop.jsonl.2"]
    numbers = [
        [int(line) for line in (path.parent / name).read_text().splitlines()] for name in kept
    ]
    assert numbers == [[36, 37, 38, 39], [32, 33, 34, 35], [28, 29, 30, 31]]


def test_a_line_longer_than_the_limit_has_a_file_of_its_own(path, make_handler):
    handler = make_handler(max_bytes=50, backups=3)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = make_logger(handler)

    for text in ("a", "b" * 100, "c"):
        logger.info(text)

    assert path.read_text() == "c\n"
    assert path.with_name("shop.jsonl.1").read_text() == "b" * 100 + "\n"
    assert path.with_name("shop.jsonl.2").read_text() == "a\n"


def test_without_backups_the_file_begins_anew(path, make_handler):
    handler = make_handler(max_bytes=10, backups=0)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = make_logger(handler)

    logger.info("12345678")
    logger.info("87654321")

    assert path.read_text() == "87654321\n"
    assert [file.name for file in path.parent.glob("shop*")] == ["shop.jsonl"]


def test_where_the_file_cannot_be_renamed_it_grows_on(path, make_handler):
    handler = make_handler(max_bytes=10, backups=1)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = make_logger(handler)
    # A file cannot take the place of a folder.
    path.with_name("shop.jsonl.1").mkdir()

    logger.info("12345678")
    logger.info("87654321")

    assert path.read_text() == "12345678\n87654321\n"
    assert handler.dropped == 0


def test_follows_when_another_program_moves_the_file(path, make_handler):
    logger = make_logger(make_handler())
    logger.info("before")
    path.rename(path.with_suffix(".old"))

    logger.info("after")

    assert [line["message"] for line in lines_of(path)] == ["after"]
    assert [line["message"] for line in lines_of(path.with_suffix(".old"))] == ["before"]


def test_makes_the_folder_again_when_it_is_removed(path, make_handler):
    logger = make_logger(make_handler())
    logger.info("before")
    shutil.rmtree(path.parent)

    logger.info("after")

    assert [line["message"] for line in lines_of(path)] == ["after"]


def test_keeps_its_path_when_the_working_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    handler = otelbridge.FileHandler("app.jsonl")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "app.jsonl").unlink()

    make_logger(handler).info("here")
    handler.close()

    assert [line["message"] for line in lines_of(tmp_path / "app.jsonl")] == ["here"]


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OSError, match="file"):
        otelbridge.FileHandler(tmp_path / "file" / "app.jsonl")


def test_a_write_that_fails_is_counted_told_once_and_leaves_no_half_line(
    path, make_handler, capsys
):
    handler = make_handler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = make_logger(handler)
    logger.info("whole")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        logger.info("x" * 100)
        logger.info("y" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    logger.info("works again")

    assert path.read_text() == "whole\nworks again\n"
    assert handler.dropped == 2
    assert capsys.readouterr().err.count("Logging error") == 1


def test_a_lock_somebody_never_gives_back_delays_one_write_and_loses_none(
    path, make_handler, monkeypatch
):
    monkeypatch.setattr(shared_file, "LOCK_SECONDS", 0.01)
    logger = make_logger(make_handler())
    with path.with_name(".shop.jsonl.lock").open("a") as stuck:
        fcntl.flock(stuck, fcntl.LOCK_EX)
        logger.info("one")
        logger.info("two")

    assert [line["message"] for line in lines_of(path)] == ["one", "two"]


def write_many(handler: otelbridge.FileHandler | None, path: Path, worker: int, start) -> None:
    logger = make_logger(handler or otelbridge.FileHandler(path, 20_000, 1000))
    start.wait()
    for number in range(500):
        logger.info("%d %d %s", worker, number, "x" * (number % 97))
    os._exit(0)


@pytest.mark.parametrize("opened", ["before forking", "by each process"])
def test_processes_that_share_a_file_lose_mix_and_double_nothing(path, make_handler, opened):
    context = multiprocessing.get_context("fork")
    start = context.Event()
    handler = make_handler(max_bytes=20_000, backups=1000)
    if opened == "before forking":
        make_logger(handler).info("parent 0")
    given = handler if opened == "before forking" else None
    workers = [
        context.Process(target=write_many, args=(given, path, worker, start)) for worker in range(4)
    ]
    for process in workers:
        process.start()
    start.set()
    for process in workers:
        process.join(60)

    assert [process.exitcode for process in workers] == [0, 0, 0, 0]
    files = sorted(path.parent.glob("shop.jsonl*"))
    assert len(files) > 20
    assert all(file.stat().st_size <= 20_000 for file in files)
    found = Counter(tuple(line["message"].split()[:2]) for file in files for line in lines_of(file))
    found.pop(("parent", "0"), None)
    assert found == Counter((str(w), str(n)) for w in range(4) for n in range(500))
