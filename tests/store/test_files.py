"""Opening: what is there, what is made, and what is said when it cannot be."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otelbridge.search import parse
from otelbridge.settings import read_settings
from otelbridge.store import open_store
from otelbridge.store.protocol import StoreError
from otelbridge.store.sqlite import SQLiteStore, tables
from tests.store import version_0
from tests.store.checks import assert_consistent
from tests.store.samples import EVER, RESOURCE, log, opened, span

HERE = Path(__file__).parent


def refusal(path) -> str:
    with pytest.raises(StoreError) as caught, opened(path):
        pass
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_folder_and_file_are_made(tmp_path):
    path = tmp_path / "not" / "there" / "yet.db"
    with opened(path) as store:
        store.put(log())
    assert path.exists()
    with opened(path) as store:
        assert store.count_logs(None, EVER) == 1


def test_settings_name_the_file(tmp_path):
    settings = read_settings({"OTELBRIDGE_STORE": f"sqlite:///{tmp_path}/a.db"})
    store = open_store(settings)
    assert isinstance(store, SQLiteStore)
    assert store.path == tmp_path / "a.db"
    relative = open_store(read_settings({"OTELBRIDGE_STORE": "sqlite:///data/a.db"}))
    assert relative.path == Path("data/a.db")


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    text = refusal(blocked / "store.db")
    assert str(blocked) in text
    assert "OTELBRIDGE_STORE" in text
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    text = refusal(tmp_path / "store.db")
    assert f"cannot write {tmp_path}" in text
    assert "OTELBRIDGE_STORE" in text


def test_a_folder_in_the_files_place_is_named(tmp_path):
    assert f"{tmp_path} is a folder" in refusal(tmp_path)


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, this is not a database.")
    assert "is not a database" in refusal(path)
    assert path.read_text() == "Dear reader, this is not a database."


def test_a_database_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE albums (title)")
    assert "database of something else" in refusal(path)
    with sqlite3.connect(path) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == [("albums",)]


def test_an_empty_file_becomes_a_store(tmp_path):
    path = tmp_path / "touched.db"
    path.touch()
    with opened(path) as store:
        store.put(log())
        assert store.count_logs(None, EVER) == 1


def test_a_file_of_a_newer_version_is_left_alone(tmp_path):
    path = tmp_path / "s.db"
    with opened(path) as store:
        store.put(log())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'version'", (tables.VERSION + 1,))
    text = refusal(path)
    assert "newer otelbridge" in text
    assert str(tables.VERSION + 1) in text


def test_a_file_of_an_older_version_is_upgraded_with_a_copy_kept(tmp_path, caplog):
    path = tmp_path / "s.db"
    version_0.write(path)
    caplog.set_level(logging.WARNING)
    with opened(path) as store:
        bodies = [stored.record.body for stored in store.logs(None, EVER)]
        assert bodies == ["second", "first"]
        assert store.logs(None, EVER)[0].record.resource == RESOURCE
        assert store.stats().logs == 2
        store.put(log(body="third"), span())
        assert store.count_logs(None, EVER) == 3
    assert_consistent(path)
    copy = tmp_path / "s.db.version-0"
    assert str(copy) in caplog.text
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT value FROM meta").fetchone() == ("0",)
        assert connection.execute("SELECT count(*) FROM logs").fetchone() == (2,)


def test_a_real_file_of_version_2_is_upgraded_and_written_on(tmp_path, caplog):
    path = tmp_path / "s.db"
    path.write_bytes(gzip.decompress((HERE / "version_2.db.gz").read_bytes()))
    before = path.read_bytes()
    with opened(path) as store:
        stats = store.stats()
        assert (stats.logs, stats.spans, stats.points) == (30, 30, 30)
        whole = store.trace((10).to_bytes(16, "big"))
        assert whole.spans[0].span.attributes["http.route"] == "/orders"
        assert whole.spans[0].span.events[0].name == "exception"
        for _ in range(30):
            store.put(span(name="POST /orders", attributes=whole.spans[0].span.attributes))
        # Those of both formats are found the same way.
        for query in ("http.route: /orders", "http.response.status_code >= 500", "POST"):
            found = store.traces(parse(query), EVER, limit=100)
            assert len(found) == (33 if "500" in query else 60), query
        assert {summary.http_status for summary in found} == {201, 500}
        assert len(store.logs(parse("code.function.name: place"), EVER)) == 30
    assert_consistent(path)
    copy = tmp_path / "s.db.version-2"
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"from format 2 to {tables.VERSION}; a copy of the old one is {copy}" in line
    assert len(copy.read_bytes()) == len(before)
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT value FROM meta").fetchone() == ("2",)
        assert connection.execute("SELECT count(*) FROM spans").fetchone() == (30,)


def test_a_damaged_file_of_version_2_is_brought_over_into_a_new_one(tmp_path):
    path = tmp_path / "s.db"
    path.write_bytes(b"?" * 100 + gzip.decompress((HERE / "version_2.db.gz").read_bytes())[100:])
    (tmp_path / "s.db.lock").touch()
    with opened(path) as store:
        deadline = time.monotonic() + 20
        while store.stats().spans < 30:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert len(store.traces(parse("http.route: /orders"), EVER)) == 30
    assert_consistent(path)


def test_without_room_for_a_copy_the_file_is_upgraded_all_the_same(tmp_path, caplog, monkeypatch):
    path = tmp_path / "s.db"
    version_0.write(path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    with opened(path) as store:
        assert store.count_logs(None, EVER) == 2
    assert [file.name for file in tmp_path.iterdir() if "version" in file.name] == []
    (line,) = [record.getMessage() for record in caplog.records]
    assert "no room to keep a copy" in line
    assert_consistent(path)


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "s.db"
    version_0.write(path)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE arrival_counts (in_the_way)")
    refusal(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT value FROM meta").fetchone() == ("0",)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(attribute_sets)")]
        assert "used" not in columns


def test_an_upgraded_file_has_the_tables_of_a_new_one(tmp_path):
    version_0.write(tmp_path / "old.db")
    for name in ("old.db", "new.db"):
        with opened(tmp_path / name):
            pass
    described = []
    for name in ("old.db", "new.db"):
        with sqlite3.connect(tmp_path / name) as connection:
            described.append(
                {
                    table: sorted(
                        column[1:3] for column in connection.execute(f"PRAGMA table_info({table})")
                    )
                    for (table,) in connection.execute(
                        "SELECT name FROM sqlite_master WHERE type = 'table'"
                    )
                }
            )
    assert described[0] == described[1]


def test_a_store_is_open_in_one_process_at_a_time(tmp_path):
    path = tmp_path / "s.db"
    with opened(path) as store:
        code = (
            "import asyncio, sys\n"
            "from otelbridge.store.sqlite import SQLiteStore\n"
            "from otelbridge.store.protocol import StoreError\n"
            "store = SQLiteStore(sys.argv[1], retention=60, retention_bytes=2**30)\n"
            "try:\n    asyncio.run(store.open())\n"
            "except StoreError as error:\n    sys.exit(str(error))\n"
        )
        second = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60
        )
        assert second.returncode == 1
        assert f"already open in process {os.getpid()}" in second.stderr
        assert second.stderr.count("\n") == 1
        store.put(log())
    with opened(path) as store:
        assert store.count_logs(None, EVER) == 1


def test_a_closed_store_says_so(tmp_path):
    with opened(tmp_path / "s.db") as store:
        store.run(store.close())
        with pytest.raises(StoreError, match="not open"):
            store.put(log())
        with pytest.raises(StoreError, match="not open"):
            store.logs(None, EVER)
