"""Work must not grow with what is stored: no statement of a write reads a whole table."""

from __future__ import annotations

import re

from otelbridge.search import parse
from tests.store.samples import EVER, NOON, batch, log, point, span, with_uid

LARGE = ("logs", "spans", "points", "log_counts", "span_counts")


def scans(connection, statements):
    """The large tables that a statement reads from end to end."""
    found = []
    for statement in statements:
        if not re.match(r"(WITH|SELECT|INSERT|UPDATE|DELETE)", statement.strip()):
            continue
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall():
            words = row[-1].split()
            if words[0] == "SCAN" and words[1] in LARGE:
                found.append((words[1], statement))
    return found


def test_writing_looks_everything_up_by_index(store):
    connection = store._writer._connection
    records = [
        *(with_uid(log(NOON, body=str(n))) for n in range(5)),
        *(span(NOON, trace_id=b"t" * 16) for _ in range(5)),
        point(),
    ]
    store.put(*records)
    statements = []
    connection.set_trace_callback(statements.append)
    store.run(store.write(batch(*records, log(NOON), span(NOON), point(value=2.0))))
    connection.set_trace_callback(None)
    assert any("FROM wanted" in statement for statement in statements)
    assert any("WHERE uid IN" in statement for statement in statements)
    assert scans(connection, statements) == []


def test_reading_by_identity_looks_up_by_index(store):
    store.put(log(trace_id=b"t" * 16), span(trace_id=b"t" * 16))
    statements = []
    with store._reading() as (connection, _):
        connection.set_trace_callback(statements.append)
    store.trace(b"t" * 16)
    store.log(1)
    store.logs(parse(f"trace.id: {(b't' * 16).hex()}"), EVER)
    store.logs(None, EVER, ids=[1, 2])
    store.traces(None, EVER)
    store.stats()
    with store._reading() as (connection, _):
        connection.set_trace_callback(None)
        assert len(statements) > 5
        # The list of traces walks the newest spans until it has enough.
        walk = "ORDER BY r.id DESC"
        assert [found for found in scans(connection, statements) if walk not in found[1]] == []
