"""Inserting by statements of many rows."""

from __future__ import annotations

import sqlite3

import pytest

from otelbridge.store.sqlite.bulk import TOGETHER, BulkInsert
from tests.store.checks import assert_consistent
from tests.store.samples import EVER, NOON, log, span, with_uid


@pytest.mark.parametrize("count", [0, 1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER + 7])
def test_every_row_is_inserted_once(count):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE pairs (a, b)")
    rows = [(n, f"row {n}") for n in range(count)]
    BulkInsert("pairs", "a, b").run(connection, rows)
    assert connection.execute("SELECT a, b FROM pairs ORDER BY rowid").fetchall() == rows


def test_what_one_statement_cannot_hold_is_stored_and_a_resend_adds_nothing(store):
    logs = [with_uid(log(NOON + n, body=f"line {n}")) for n in range(2 * TOGETHER + 5)]
    spans = [span(NOON + n, span_id=n.to_bytes(8, "big")) for n in range(1, 2 * TOGETHER + 5)]
    store.put(*logs, *spans)
    assert store.put(*logs, *spans).duplicates == len(logs) + len(spans)
    assert store.count_logs(None, EVER) == len(logs)
    assert store.stats().spans == len(spans)
    assert_consistent(store.path)
