"""The tables, and how an older file becomes one of this version.

Row ids are times. A row's id is its event time in microseconds, or the next number that is free:
ordering by id is ordering by time, a time range is an id range, and neither needs an index. Full-
text rows share the id, so that "newest first" reads the index backwards and stops at the limit.

Sets of attributes that repeat (resources, scopes, a call site's ``code.*``, a route's method, host
and status) are kept once in ``attribute_sets`` and named by number.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 4

# Seconds that one row of the roll-up tables covers: every record is counted in one row of each
# width, so that an hour's picture and a week's read about as many rows. Each divides the next.
ROLLUP_WIDTHS: Final = (10, 600, 3600)
ROLLUP_SECONDS: Final = ROLLUP_WIDTHS[0]

TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- kind: 'resource', 'scope' or 'origin'. service and instance are a resource's own names.
CREATE TABLE attribute_sets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- never given twice: readers remember what it names
    kind TEXT NOT NULL,
    attributes TEXT NOT NULL,          -- JSON object, keys sorted; a scope's has name and version
    service TEXT,
    instance TEXT,
    used INTEGER NOT NULL,             -- seconds since the epoch, to the hour: when last written
    UNIQUE (kind, attributes)
);

CREATE TABLE logs (
    id INTEGER PRIMARY KEY,            -- microseconds since the epoch, made unique
    time INTEGER NOT NULL,             -- nanoseconds since the epoch
    received INTEGER NOT NULL,         -- milliseconds since the epoch
    observed INTEGER,                  -- nanoseconds, 0 where not given, NULL where equal to time
    severity INTEGER NOT NULL,         -- OpenTelemetry's severity number
    severity_text TEXT,                -- NULL where it is the number's usual name
    body TEXT,                         -- text, or JSON where body_json
    body_json INTEGER,                 -- 1 or NULL
    resource INTEGER NOT NULL REFERENCES attribute_sets,
    scope INTEGER NOT NULL REFERENCES attribute_sets,
    origin INTEGER REFERENCES attribute_sets,
    trace_id BLOB,
    span_id BLOB,
    uid BLOB,
    flags INTEGER,
    event_name TEXT,
    attributes TEXT                    -- JSON object without the origin's; NULL where empty
);
CREATE UNIQUE INDEX logs_uid ON logs (uid) WHERE uid IS NOT NULL;
CREATE INDEX logs_trace ON logs (trace_id) WHERE trace_id IS NOT NULL;

CREATE TABLE spans (
    id INTEGER PRIMARY KEY,            -- start in microseconds, made unique
    time INTEGER NOT NULL,             -- start, nanoseconds since the epoch
    duration INTEGER NOT NULL,         -- nanoseconds
    received INTEGER NOT NULL,         -- milliseconds since the epoch
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    parent_span_id BLOB,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    status INTEGER NOT NULL,
    status_message TEXT,
    resource INTEGER NOT NULL REFERENCES attribute_sets,
    scope INTEGER NOT NULL REFERENCES attribute_sets,
    flags INTEGER,
    trace_state TEXT,
    attributes TEXT,                   -- JSON object without the origin's; NULL where empty
    events TEXT,                       -- JSON array of [time, name, attributes], NULL where empty
    links TEXT,                        -- JSON array of [trace id, span id, attributes]
    origin INTEGER REFERENCES attribute_sets
);
CREATE UNIQUE INDEX spans_trace ON spans (trace_id, span_id);

-- Words of a record, without their positions: a match here is a candidate, which the row confirms.
CREATE VIRTUAL TABLE logs_fts USING fts5 (
    words, content='', columnsize=0, detail=none,
    tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);
CREATE VIRTUAL TABLE spans_fts USING fts5 (
    words, content='', columnsize=0, detail=none,
    tokenize="unicode61 remove_diacritics 0 tokenchars '_'"
);

-- Counts that histograms and the services page read instead of the rows.
CREATE TABLE log_counts (
    width INTEGER NOT NULL,            -- seconds, one of ROLLUP_WIDTHS
    step INTEGER NOT NULL,             -- seconds since the epoch, a multiple of width
    resource INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (width, step, resource, severity)
) WITHOUT ROWID;
CREATE TABLE span_counts (             -- entry spans only
    width INTEGER NOT NULL,
    step INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    error INTEGER NOT NULL,            -- 0 or 1
    duration_step INTEGER NOT NULL,    -- floor(16 * log2(duration in ns)), 0 for 0
    count INTEGER NOT NULL,
    PRIMARY KEY (width, step, resource, error, duration_step)
) WITHOUT ROWID;

-- Which logs are the same error, for groups of errors: all that is asked of them but their texts.
CREATE TABLE errors (
    fingerprint TEXT NOT NULL,
    id INTEGER NOT NULL,               -- the log's
    resource INTEGER NOT NULL,
    users TEXT,                        -- who was touched, a line each; NULL where nobody is named
    PRIMARY KEY (fingerprint, id)
) WITHOUT ROWID;

-- How many rows arrived in which minute with ids of which minute: what retention by age reads to
-- find the rows of an arrival without an index on it, and what counting all rows reads.
CREATE TABLE arrival_counts (
    signal TEXT NOT NULL,              -- 'logs' or 'spans'; 'points' has one row, of zeros
    received INTEGER NOT NULL,         -- minutes since the epoch
    minute INTEGER NOT NULL,           -- of the ids, minutes since the epoch
    count INTEGER NOT NULL,
    PRIMARY KEY (signal, received, minute)
) WITHOUT ROWID;

CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    unit TEXT NOT NULL,
    type TEXT NOT NULL,
    temporality INTEGER NOT NULL,
    monotonic INTEGER NOT NULL,
    description TEXT NOT NULL,
    resource INTEGER NOT NULL REFERENCES attribute_sets,
    scope INTEGER NOT NULL REFERENCES attribute_sets,
    attributes TEXT NOT NULL,          -- JSON object, keys sorted
    UNIQUE (name, resource, scope, attributes, type, temporality, monotonic, unit)
);
CREATE TABLE points (
    series INTEGER NOT NULL REFERENCES series,
    time INTEGER NOT NULL,             -- nanoseconds since the epoch
    received INTEGER NOT NULL,         -- milliseconds since the epoch
    value REAL,
    count INTEGER,
    detail TEXT,                       -- JSON object
    PRIMARY KEY (series, time)
) WITHOUT ROWID;

-- Attribute names seen, for completion and facets.
CREATE TABLE field_names (
    signal TEXT NOT NULL,              -- 'logs' or 'spans'
    name TEXT NOT NULL,
    PRIMARY KEY (signal, name)
) WITHOUT ROWID;
"""


def statements() -> list[str]:
    """The statements that make the tables of a new file."""
    without_comments = "\n".join(line.split("--")[0].rstrip() for line in TABLES.splitlines())
    return [part.strip() for part in without_comments.split(";") if part.strip()]
