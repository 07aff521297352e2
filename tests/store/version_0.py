"""A store's file as version 0 wrote it: sets without ``used``, and no ``arrival_counts``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE attribute_sets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, attributes TEXT NOT NULL,
    service TEXT, instance TEXT, UNIQUE (kind, attributes)
);
CREATE TABLE logs (
    id INTEGER PRIMARY KEY, time INTEGER NOT NULL, received INTEGER NOT NULL, observed INTEGER,
    severity INTEGER NOT NULL, severity_text TEXT, body TEXT, body_json INTEGER,
    resource INTEGER NOT NULL REFERENCES attribute_sets,
    scope INTEGER NOT NULL REFERENCES attribute_sets,
    origin INTEGER REFERENCES attribute_sets, trace_id BLOB, span_id BLOB, uid BLOB,
    flags INTEGER, event_name TEXT, attributes TEXT
);
CREATE UNIQUE INDEX logs_uid ON logs (uid) WHERE uid IS NOT NULL;
CREATE INDEX logs_trace ON logs (trace_id) WHERE trace_id IS NOT NULL;
CREATE TABLE spans (
    id INTEGER PRIMARY KEY, time INTEGER NOT NULL, duration INTEGER NOT NULL,
    received INTEGER NOT NULL, trace_id BLOB NOT NULL, span_id BLOB NOT NULL, parent_span_id BLOB,
    name TEXT NOT NULL, kind INTEGER NOT NULL, status INTEGER NOT NULL, status_message TEXT,
    resource INTEGER NOT NULL REFERENCES attribute_sets,
    scope INTEGER NOT NULL REFERENCES attribute_sets, flags INTEGER, trace_state TEXT,
    attributes TEXT, events TEXT, links TEXT
);
CREATE UNIQUE INDEX spans_trace ON spans (trace_id, span_id);
CREATE VIRTUAL TABLE logs_fts USING fts5 (
    words, content='', columnsize=0, detail=none,
    tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
CREATE VIRTUAL TABLE spans_fts USING fts5 (
    words, content='', columnsize=0, detail=none,
    tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
CREATE TABLE log_counts (
    step INTEGER NOT NULL, resource INTEGER NOT NULL, severity INTEGER NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (step, resource, severity)
) WITHOUT ROWID;
CREATE TABLE span_counts (
    step INTEGER NOT NULL, resource INTEGER NOT NULL, error INTEGER NOT NULL,
    duration_step INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (step, resource, error, duration_step)
) WITHOUT ROWID;
CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, unit TEXT NOT NULL,
    type TEXT NOT NULL, temporality INTEGER NOT NULL, monotonic INTEGER NOT NULL,
    description TEXT NOT NULL, resource INTEGER NOT NULL REFERENCES attribute_sets,
    scope INTEGER NOT NULL REFERENCES attribute_sets, attributes TEXT NOT NULL,
    UNIQUE (name, resource, scope, attributes, type, temporality, monotonic, unit)
);
CREATE TABLE points (
    series INTEGER NOT NULL REFERENCES series, time INTEGER NOT NULL, received INTEGER NOT NULL,
    value REAL, count INTEGER, detail TEXT, PRIMARY KEY (series, time)
) WITHOUT ROWID;
CREATE TABLE field_names (
    signal TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (signal, name)
) WITHOUT ROWID;
INSERT INTO meta VALUES ('version', '0');
INSERT INTO attribute_sets VALUES
    (1, 'resource', '{"service.instance.id":"shop-1","service.name":"shop"}', 'shop', 'shop-1'),
    (2, 'scope', '{"name":"shop.views","version":""}', NULL, NULL);
INSERT INTO logs (id, time, received, severity, body, resource, scope, flags) VALUES
    (1795262400000000, 1795262400000000000, 1795262400500, 9, 'first', 1, 2, 0),
    (1795262401000000, 1795262401000000000, 1795262401500, 9, 'second', 1, 2, 0);
INSERT INTO logs_fts (rowid, words) VALUES
    (1795262400000000, '_severity_9 shop shop.views first'),
    (1795262401000000, '_severity_9 shop shop.views second');
INSERT INTO log_counts VALUES (1795262400, 1, 9, 2);
"""


def write(path: Path) -> None:
    """Make the file, with two logs in it."""
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")
    connection.executescript(_TABLES)
    connection.close()
