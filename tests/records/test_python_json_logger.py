"""python-json-logger's options do what they do there, beside the line's own fields.

python-json-logger's formatter is the oracle: what it writes for the same options and record stands
in our line too, and nothing else but our own fields.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

from otelbridge.records.extras import STANDARD_ATTRIBUTES
from otelbridge.records.formatter import JsonFormatter

# Written by upstream for a key of ``extra`` too, but not by default.
ATTRIBUTES = ["levelname", "levelno", "name", "lineno", "module", "funcName", "asctime", "absent"]
KEYS = ["user", "order", "status", "code2", "region", "user.name", "ключ"]
values = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=8))
fields = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
STYLES = {
    "%": lambda names: " ".join(f"%({name})s" for name in names),
    "{": lambda names: " ".join(f"{{{name}}}" for name in names),
    "$": lambda names: " ".join(f"${{{name}}}" for name in names),
    ",": lambda names: ", ".join(names),
    "sequence": list,
}


@st.composite
def options(draw) -> tuple[list, dict]:
    style = draw(st.sampled_from(sorted(STYLES)))
    names = draw(st.lists(st.sampled_from([*ATTRIBUTES, "user"]), min_size=1, unique=True))
    args = [STYLES[style](names), draw(st.sampled_from([None, "%H:%M"]))]
    if style != "sequence":
        args.append(style)
    renamed = draw(st.lists(st.sampled_from([*ATTRIBUTES, *KEYS, "timestamp"]), unique=True))
    reserved = draw(st.sets(st.sampled_from(KEYS)))
    return args, {
        "rename_fields": {name: f"renamed.{number}" for number, name in enumerate(renamed)},
        "rename_fields_keep_missing": draw(st.booleans()),
        "static_fields": draw(fields),
        "defaults": draw(fields),
        "timestamp": draw(st.sampled_from([False, True, "at"])),
        "prefix": draw(st.sampled_from(["", "@cee:"])),
        **({"reserved_attrs": [*RESERVED_ATTRS, *reserved]} if reserved else {}),
    }


def make_record(extra: dict | None = None, **more) -> logging.LogRecord:
    return logging.Logger("shop").makeRecord(
        "shop", logging.INFO, "/srv/shop/orders.py", 12, "paid %s", ("A1",), None, "place", extra
    )


def line_of(formatter: logging.Formatter, record: logging.LogRecord) -> dict:
    return json.loads(formatter.format(record).removeprefix(getattr(formatter, "prefix", "")))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(options(), fields)
def test_what_python_json_logger_writes_stands_in_the_line_and_nothing_else(given_options, extra):
    args, keywords = given_options
    record = make_record(extra)
    own = line_of(JsonFormatter(), make_record()).keys()

    ours = JsonFormatter(*args, **keywords)
    line = line_of(ours, record)
    expected = line_of(OrjsonFormatter(*args, **keywords), record)

    assert ours.format(record).startswith(keywords["prefix"] + "{")
    renamed = keywords["rename_fields"]
    stamp = {True: "timestamp", "at": "at"}.get(keywords["timestamp"])
    if stamp is not None:
        moment = line.pop(renamed.get(stamp, stamp))
        expected_moment = expected.pop(renamed.get(stamp, stamp))
        assert datetime.fromisoformat(moment.replace("Z", "+00:00")) == (
            datetime.fromisoformat(expected_moment)
        )
    written = {name: value for name, value in line.items() if name not in own or name in expected}
    assert written == expected


def test_the_standard_attributes_are_those_of_python_json_logger():
    assert set(RESERVED_ATTRS) == STANDARD_ATTRIBUTES


@pytest.mark.parametrize("as_array", [False, True])
def test_tracebacks_and_stacks_are_the_same_text_or_lines(as_array):
    try:
        raise ValueError("oh")
    except ValueError as error:
        record = make_record()
        record.exc_info = (type(error), error, error.__traceback__)
    record.stack_info = "Stack (most recent call last):\n  a"
    options = {"exc_info_as_array": as_array, "stack_info_as_array": as_array}

    line = line_of(JsonFormatter(**options), record)
    expected = line_of(OrjsonFormatter(**options), record)

    assert line["error.stack_trace"] == expected["exc_info"]
    assert line["code.stacktrace"] == expected["stack_info"]


def test_a_default_function_gets_what_json_has_no_type_for():
    def default(value):
        if isinstance(value, Decimal):
            return {"decimal": str(value)}
        raise TypeError

    record = make_record({"price": Decimal("1.50"), "items": [Decimal("2")]})

    line = line_of(JsonFormatter(json_default=default), record)
    expected = line_of(OrjsonFormatter(json_default=default), record)

    assert {key: line[key] for key in expected.keys() - {"message"}} == {
        key: value for key, value in expected.items() if key != "message"
    }


def test_lines_are_indented_alike():
    ours = JsonFormatter(json_indent=True).format(make_record())
    upstream = OrjsonFormatter(json_indent=True).format(make_record())

    assert ours.splitlines()[1].startswith('  "') == upstream.splitlines()[1].startswith('  "')
    assert ours.splitlines()[0] == upstream.splitlines()[0] == "{"


def test_a_style_of_ones_own_is_parsed_by_ones_own_method():
    class Own(JsonFormatter):
        def parse(self):
            return [name for name in self._fmt.split("|") if name]

    line = line_of(Own("levelname|lineno", style="|", validate=False), make_record())

    assert (line["levelname"], line["lineno"]) == ("INFO", 12)
    with pytest.raises(ValueError, match="Style must be one of"):
        JsonFormatter("a", style="|")
    with pytest.raises(ValueError, match="format"):
        JsonFormatter("no field", style="%")


def test_a_timestamp_is_the_records_time():
    record = make_record({"timestamp": "the caller's"})
    record.created = 1_700_000_000.25

    line = line_of(JsonFormatter(timestamp=True), record)

    assert line["timestamp"] == "2023-11-14T22:13:20.250000Z"
    assert datetime.fromisoformat(
        line_of(OrjsonFormatter(timestamp=True), record)["timestamp"]
    ) == datetime.fromtimestamp(record.created, timezone.utc)
    assert line["extra.timestamp"] == "the caller's"
