"""Every line obeys the ECS logging specification (version 1 of its ``spec.json``).

The specification says, of the fields below: which are required and at which position, their type,
and that ``log.level`` is one dotted key, never an object. It also asks for one object a line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

import otelbridge
from otelbridge.records.formatter import JsonFormatter
from otelbridge.records.values import json_key

FIRST = ["@timestamp", "log.level", "message"]
REQUIRED = [*FIRST, "ecs.version"]
# From ECS itself: integers; everything else a line holds of its own is text.
INTEGERS = {"log.origin.file.line", "process.pid", "process.thread.id"}
STRINGS = {
    "log.level", "message", "ecs.version", "service.name", "service.version",
    "service.environment", "service.node.name", "host.name", "log.logger",
    "log.origin.file.name", "log.origin.function", "process.name", "process.thread.name",
    "error.type", "error.message", "error.stack_trace", "trace.id", "span.id",
    "event.dataset", "transaction.id",
}  # fmt: skip
FORMATTER = JsonFormatter()


def check(text: str) -> dict:
    """Check a line as the specification's own validators do, and return its fields."""
    assert "\n" not in text
    assert "\r" not in text
    text.encode()
    pairs = json.loads(text, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), "no field twice"
    fields = json.loads(text)
    assert names[:3] == FIRST
    assert set(REQUIRED) <= fields.keys()
    assert fields["@timestamp"].endswith("Z")
    datetime.strptime(fields["@timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert not isinstance(fields.get("log"), dict) or "level" not in fields["log"]
    for name in INTEGERS & fields.keys():
        assert type(fields[name]) is int, name
    for name in STRINGS & fields.keys():
        assert type(fields[name]) is str, name
    # The last two are never the line's own.
    own = fields.keys() & {*REQUIRED, *STRINGS, *INTEGERS} - {"event.dataset", "transaction.id"}
    for name in own:
        others = {key: value for key, value in fields.items() if key != name}
        for path in leaves(others):
            assert not f"{path}.".startswith(f"{name}."), f"{path} within {name}"
            assert not name.startswith(f"{path}."), f"{name} within {path}"
    return fields


def leaves(value: object, path: str = "") -> Iterator[str]:
    """Name every value as Elasticsearch does, which reads dots in keys as nesting."""
    if isinstance(value, dict) and value:
        for key, member in value.items():
            yield from leaves(member, f"{path}.{key}" if path else key)
    else:
        yield path


def make_record(level=logging.INFO, message="hello", args=(), extra=None, exc_info=None):
    logger = logging.Logger("shop")
    return logger.makeRecord("shop", level, __file__, 1, message, args, exc_info, "f", extra)


@pytest.mark.parametrize("level", [5, 10, 20, 25, 30, 40, 50])
def test_lines_of_every_level(level):
    check(FORMATTER.format(make_record(level, "order %s", ("A1",), {"user": "alice"})))


def test_a_line_with_span_exception_and_line_breaks_everywhere():
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("request"):
        try:
            raise ValueError("line\nbreak\r\u2028")
        except ValueError:
            record = make_record(message="a\nb\u2029", extra={"k\ney": "v\nalue"},
                                 exc_info=sys.exc_info())  # fmt: skip
        fields = check(FORMATTER.format(record))

    assert {"trace.id", "span.id", "error.type", "error.message", "error.stack_trace"} <= set(
        fields
    )


class Bad:
    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


REFUSED = {*make_record().__dict__, "message", "asctime"}
# A loaded machine is no fault of what is tested.
patient = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
names = st.one_of(
    st.sampled_from(sorted({*REQUIRED, *STRINGS, *INTEGERS, "log.record.uid", "event.sequence"})),
    st.sampled_from(
        ["log", "log.origin", "service", "host", "process.thread", "error", "trace", "span", "ecs",
         "message.id", "log.level.number", "code", "error.code", "event", "user"]
    ),
    st.text(st.characters(), max_size=8).filter(
        lambda name: name not in REFUSED
    ),
)  # fmt: skip
anything = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters()),
        st.binary(), st.datetimes(), st.builds(Bad), st.sets(st.integers()),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)  # fmt: skip


@patient
@given(
    st.sampled_from([10, 20, 30, 40, 50]),
    st.one_of(st.text(st.characters()), st.builds(Bad), st.dictionaries(names, anything)),
    st.lists(anything, max_size=2).map(tuple),
    st.dictionaries(names, anything, max_size=5),
)
def test_any_call_gives_a_line_that_obeys_and_holds_every_extra_key(level, message, args, extra):
    # logging itself refuses this one.
    extra.pop("message", None)

    fields = check(FORMATTER.format(make_record(level, message, args, extra)))

    for key in extra:
        name = json_key(key)
        assert name in fields or f"extra.{name}" in fields


@pytest.mark.parametrize("name", ["error", "service", "log", "host", "trace", "message.id"])
@pytest.mark.parametrize("value", ["text", {"name": "nested", "level": 1, "id": 2}])
def test_a_key_that_cannot_stand_beside_the_lines_fields_is_kept_as_extra(name, value):
    fields = check(FORMATTER.format(make_record(extra={name: value})))

    assert fields[f"extra.{name}"] == value
    assert name not in fields


def test_a_code_keeps_its_name_also_beside_a_stack():
    record = make_record(extra={"code": 500})
    record.stack_info = "Stack:\n  a"
    fields = json.loads(FORMATTER.format(record))
    assert (fields["code"], fields["code.stacktrace"]) == (500, record.stack_info)


@patient
@given(
    st.dictionaries(names | st.sampled_from(["process", "name", "message"]), anything, max_size=5),
    st.dictionaries(names, anything, max_size=5),
)
def test_fields_of_a_scope_obey_too(scope, extra):
    extra.pop("message", None)
    with otelbridge.fields(**{json_key(key): value for key, value in scope.items()}):
        fields = check(FORMATTER.format(make_record(extra=extra)))

    for key in {*scope, *extra}:
        assert {json_key(key), f"extra.{json_key(key)}"} & fields.keys()
