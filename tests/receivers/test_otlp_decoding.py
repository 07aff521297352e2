"""OTLP requests become the store's records; one record is the same in either encoding."""

from __future__ import annotations

import orjson
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1 import common_pb2 as common

from otelbridge.receivers import otlp
from otelbridge.receivers.decoded import Decoded, DecodeError
from otelbridge.receivers.otlp_records import CUT
from tests.receivers.messages import (
    FUZZ_EXAMPLES_A_SIGNAL,
    LOG_REQUESTS,
    METRIC_REQUESTS,
    TRACE_REQUESTS,
    log,
    log_request,
    pairs,
    span,
    span_request,
    text,
    to_json,
)

NOW = 1_800_000_000 * 10**9
TOO_LATE = 2**63


def decode_logs(message: Message) -> Decoded:
    """Decode from protobuf, having seen that JSON gives the same."""
    decoded = otlp.decode_logs_protobuf(message.SerializeToString(), NOW)
    assert otlp.decode_logs_json(to_json(message), NOW) == decoded
    return decoded


def decode_spans(message: Message) -> Decoded:
    decoded = otlp.decode_traces_protobuf(message.SerializeToString(), NOW)
    assert otlp.decode_traces_json(to_json(message), NOW) == decoded
    return decoded


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("signal", ["logs", "traces", "metrics"])
@settings(max_examples=FUZZ_EXAMPLES_A_SIGNAL, deadline=None)
@given(data=st.data(), numbers=st.booleans(), upper=st.booleans())
def test_json_and_protobuf_decode_to_the_same_records(signal, data, numbers, upper):
    requests = {"logs": LOG_REQUESTS, "traces": TRACE_REQUESTS, "metrics": METRIC_REQUESTS}
    message = data.draw(requests[signal])
    from_protobuf = otlp.decode(signal, "protobuf", message.SerializeToString(), NOW)
    from_json = otlp.decode(signal, "json", to_json(message, numbers=numbers, upper=upper), NOW)
    assert from_json == from_protobuf


@pytest.mark.timeout(3_600)
@settings(max_examples=FUZZ_EXAMPLES_A_SIGNAL, deadline=None)
@given(LOG_REQUESTS)
def test_every_log_record_is_either_kept_or_counted_as_rejected(message):
    sent = sum(len(s.log_records) for r in message.resource_logs for s in r.scope_logs)
    decoded = otlp.decode_logs_protobuf(message.SerializeToString(), NOW)
    assert len(decoded.batch.logs) + decoded.rejected == sent


def test_a_log_record_keeps_every_field():
    record = log(
        "paid",
        time_unix_nano=5,
        observed_time_unix_nano=6,
        severity_number=17,
        severity_text="ERROR",
        attributes=pairs(user="alice"),
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        flags=1,
        event_name="payment",
    )
    (stored,) = decode_logs(log_request(record, **{"service.name": "shop"})).batch.logs
    assert (stored.time, stored.observed_time, stored.body) == (5, 6, "paid")
    assert (stored.severity_number, stored.severity_text) == (17, "ERROR")
    assert stored.attributes == {"user": "alice"}
    assert stored.resource == {"service.name": "shop"}
    assert stored.scope.name == "shop"
    assert (stored.trace_id, stored.span_id) == (b"t" * 16, b"s" * 8)
    assert (stored.flags, stored.event_name, stored.uid) == (1, "payment", None)


@pytest.mark.parametrize(
    ("time", "observed", "stored"), [(5, 6, 5), (0, 6, 6), (0, 0, NOW), (1, 0, 1)]
)
def test_a_log_without_a_time_has_the_observed_one_or_the_present(time, observed, stored):
    record = log("x", time_unix_nano=time, observed_time_unix_nano=observed)
    (log_record,) = decode_logs(log_request(record)).batch.logs
    assert log_record.time == stored


def test_a_time_after_2262_is_rejected_and_the_rest_of_the_batch_kept():
    decoded = decode_logs(log_request(log("early"), log("late", time_unix_nano=TOO_LATE), log("x")))
    assert [record.body for record in decoded.batch.logs] == ["early", "x"]
    assert decoded.rejections["invalid_time"].count == 1
    assert decoded.summary() == (
        "log record: time_unix_nano is 9223372036854775808, after 2262-04-11, "
        "the latest time that can be stored"
    )


def test_the_year_1970_is_a_time_like_any_other():
    (record,) = decode_logs(log_request(log("x", time_unix_nano=1))).batch.logs
    assert record.time == 1


@pytest.mark.parametrize(("field", "size"), [("trace_id", 16), ("span_id", 8)])
@pytest.mark.parametrize("wrong", [b"x", b"x" * 15, b"x" * 17])
def test_a_log_with_an_id_of_wrong_length_is_kept_without_the_id(field, size, wrong):
    decoded = decode_logs(log_request(log("x", **{field: wrong})))
    (record,) = decoded.batch.logs
    assert getattr(record, field) is None
    assert decoded.rejections == {}
    assert decoded.summary() == f"log record: {field} has {len(wrong)} bytes instead of {size}"


@pytest.mark.parametrize(("field", "value"), [("trace_id", bytes(16)), ("span_id", bytes(8))])
def test_zeros_are_no_id_of_a_log(field, value):
    decoded = decode_logs(log_request(log("x", **{field: value})))
    assert getattr(decoded.batch.logs[0], field) is None
    assert decoded.warnings == {}


@pytest.mark.parametrize(
    "written", ["0197c5b0abcd7000800000000000abcd", "0197C5B0-ABCD-7000-8000-00000000ABCD"]
)
def test_a_uid_that_is_a_uuid_leaves_the_attributes(written):
    record = log("x", attributes=pairs(**{"log.record.uid": written, "user": "alice"}))
    (stored,) = decode_logs(log_request(record)).batch.logs
    assert stored.uid == bytes.fromhex("0197c5b0abcd7000800000000000abcd")
    assert stored.attributes == {"user": "alice"}


def test_a_uid_of_another_kind_is_hashed_and_stays_an_attribute():
    one, same, other = (
        log("x", attributes=pairs(**{"log.record.uid": uid})) for uid in ("a-1", "a-1", "a-2")
    )
    first, second, third = decode_logs(log_request(one, same, other)).batch.logs
    assert first.uid == second.uid != third.uid
    assert len(first.uid) == 16
    assert first.attributes == {"log.record.uid": "a-1"}


@pytest.mark.parametrize(
    ("number", "name", "stored"),
    [(0, "warning", 13), (0, "", 0), (0, "odd", 0), (9, "ERROR", 9), (99, "", 24), (-1, "info", 9)],
)
def test_a_severity_out_of_range_is_taken_from_its_text_or_the_nearest(number, name, stored):
    record = log("x", severity_number=number, severity_text=name)
    (log_record,) = decode_logs(log_request(record)).batch.logs
    assert (log_record.severity_number, log_record.severity_text) == (stored, name)


def test_values_become_plain_json():
    def value(**kind):
        return common.AnyValue(**kind)

    nested = value(
        kvlist_value=common.KeyValueList(
            values=[
                common.KeyValue(
                    key="list",
                    value=value(array_value=common.ArrayValue(values=[text("a"), value()])),
                )
            ]
        )
    )
    given = {
        "bytes": value(bytes_value=b"\x00\xff"),
        "nan": value(double_value=float("nan")),
        "least": value(double_value=float("-inf")),
        "int": value(int_value=-(2**63)),
        "bool": value(bool_value=True),
        "nested": nested,
    }
    record = log("x", attributes=[common.KeyValue(key=k, value=v) for k, v in given.items()])
    (stored,) = decode_logs(log_request(record)).batch.logs
    assert stored.attributes == {
        "bytes": "AP8=",
        "nan": "NaN",
        "least": "-Infinity",
        "int": -(2**63),
        "bool": True,
        "nested": {"list": ["a", None]},
    }


def test_ten_thousand_attributes_are_kept():
    record = log("x", attributes=pairs(**{f"key{n}": str(n) for n in range(10_000)}))
    (stored,) = decode_logs(log_request(record)).batch.logs
    assert len(stored.attributes) == 10_000
    assert stored.attributes["key9999"] == "9999"


def nested_json(levels: int) -> bytes:
    value = b'{"arrayValue":{"values":[' * levels + b'{"stringValue":"deep"}' + b"]}}" * levels
    return (
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":'
        + value
        + b"}]}]}]}"
    )


def test_nesting_is_cut_with_a_mark_where_it_is_too_deep():
    (record,) = otlp.decode_logs_json(nested_json(100)).batch.logs
    body, depth = record.body, 0
    while isinstance(body, list):
        (body,), depth = body, depth + 1
    assert (body, depth) == (CUT, 64)


def test_nesting_beyond_what_the_json_parser_takes_is_refused():
    with pytest.raises(DecodeError, match="not valid JSON") as error:
        otlp.decode_logs_json(nested_json(5_000))
    assert error.value.reason == "invalid_json"


def test_a_span_keeps_every_field():
    given = span(
        "GET /",
        parent_span_id=b"p" * 8,
        kind=2,
        flags=257,
        trace_state="a=b",
        attributes=pairs(route="/"),
        status={"code": 2, "message": "broken"},
        events=[{"time_unix_nano": 15, "name": "exception", "attributes": pairs(type="E")}],
        links=[{"trace_id": b"l" * 16, "span_id": b"k" * 8, "attributes": pairs(why="retry")}],
    )
    (stored,) = decode_spans(span_request(given)).batch.spans
    assert (stored.time, stored.duration) == (10, 20)
    assert (stored.trace_id, stored.span_id, stored.parent_span_id) == (
        b"t" * 16,
        b"s" * 8,
        b"p" * 8,
    )
    assert (stored.name, stored.kind, stored.status_code) == ("GET /", 2, 2)
    assert (stored.status_message, stored.flags, stored.trace_state) == ("broken", 257, "a=b")
    assert stored.attributes == {"route": "/"}
    (event,), (link,) = stored.events, stored.links
    assert (event.time, event.name, event.attributes) == (15, "exception", {"type": "E"})
    assert (link.trace_id, link.span_id, link.attributes) == (
        b"l" * 16,
        b"k" * 8,
        {"why": "retry"},
    )


@pytest.mark.parametrize(
    ("field", "wrong", "message"),
    [
        ("trace_id", b"", "span 'bad': trace_id has 0 bytes instead of 16"),
        ("trace_id", b"x" * 15, "span 'bad': trace_id has 15 bytes instead of 16"),
        ("trace_id", bytes(16), "span 'bad': trace_id is all zeros"),
        ("span_id", b"x" * 9, "span 'bad': span_id has 9 bytes instead of 8"),
        ("span_id", bytes(8), "span 'bad': span_id is all zeros"),
    ],
)
def test_a_span_without_usable_ids_is_rejected_and_the_others_kept(field, wrong, message):
    decoded = decode_spans(span_request(span("good"), span("bad", **{field: wrong})))
    assert [one.name for one in decoded.batch.spans] == ["good"]
    assert (decoded.rejected, decoded.summary()) == (1, message)


def test_a_span_with_an_unusable_parent_becomes_a_root():
    decoded = decode_spans(span_request(span("a", parent_span_id=b"xy")))
    assert decoded.batch.spans[0].parent_span_id is None
    assert decoded.summary() == "span 'a': parent_span_id has 2 bytes instead of 8"


@pytest.mark.parametrize(
    ("start", "end", "time", "duration"),
    [(10, 30, 10, 20), (30, 10, 30, 0), (0, 30, 30, 0), (0, 0, NOW, 0), (10, 0, 10, 0)],
)
def test_a_span_that_ends_before_it_starts_has_no_duration(start, end, time, duration):
    given = span("a", start_time_unix_nano=start, end_time_unix_nano=end)
    (stored,) = decode_spans(span_request(given)).batch.spans
    assert (stored.time, stored.duration) == (time, duration)


@pytest.mark.parametrize("field", ["start_time_unix_nano", "end_time_unix_nano"])
def test_a_span_after_2262_is_rejected(field):
    decoded = decode_spans(span_request(span("late", **{field: TOO_LATE}), span("good")))
    assert [one.name for one in decoded.batch.spans] == ["good"]
    assert decoded.summary().startswith(f"span 'late': {field} is 9223372036854775808")


def test_an_unusable_event_or_link_does_not_cost_the_span():
    given = span(
        "a",
        events=[{"time_unix_nano": TOO_LATE, "name": "late"}, {"time_unix_nano": 1, "name": "ok"}],
        links=[{"trace_id": b"short", "span_id": b"k" * 8}],
    )
    decoded = decode_spans(span_request(given))
    (stored,) = decoded.batch.spans
    assert [event.name for event in stored.events] == ["ok"]
    assert stored.links == []
    assert decoded.warnings.keys() == {"invalid_time", "invalid_id"}


def test_unknown_fields_are_passed_over():
    body = orjson.dumps(
        {
            "newTopField": 1,
            "resourceLogs": [
                {
                    "resource": {"attributes": [], "entityRefs": [{"type": "x"}]},
                    "scopeLogs": [
                        {"logRecords": [{"body": {"stringValue": "x"}, "newField": {"a": []}}]}
                    ],
                }
            ],
        }
    )
    assert [record.body for record in otlp.decode_logs_json(body).batch.logs] == ["x"]


def test_json_takes_numbers_for_64_bit_integers_and_null_for_defaults():
    record = {
        "timeUnixNano": 1700000000000000001,
        "observedTimeUnixNano": None,
        "severityNumber": "SEVERITY_NUMBER_ERROR2",
        "severityText": None,
        "body": None,
        "traceId": None,
        "attributes": [{"key": "n", "value": {"intValue": 7}}, {"key": "none", "value": None}],
    }
    body = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
    (stored,) = otlp.decode_logs_json(body).batch.logs
    assert (stored.time, stored.severity_number) == (1700000000000000001, 18)
    assert stored.attributes == {"n": 7, "none": None}


def test_json_takes_the_field_names_of_the_protobuf_files_too():
    body = orjson.dumps(
        {
            "resource_logs": [
                {
                    "scope_logs": [
                        {"log_records": [{"time_unix_nano": "7", "severity_text": "snake_case"}]}
                    ]
                }
            ]
        }
    )
    (stored,) = otlp.decode_logs_json(body).batch.logs
    assert (stored.time, stored.severity_text) == (7, "snake_case")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("timeUnixNano", "soon", "timeUnixNano is not an integer"),
        ("timeUnixNano", -1, "timeUnixNano is -1, out of the field's range"),
        ("timeUnixNano", True, "timeUnixNano is not an integer"),
        ("severityText", 7, "severityText is not a string"),
        ("attributes", {"a": 1}, "attributes is not a list"),
        ("attributes", [1], "attributes holds something that is not an object"),
        ("body", "text", "value is not an object"),
        ("body", {"intValue": "9223372036854775808"}, "intValue is 9223372036854775808, out of"),
        ("body", {"boolValue": "yes"}, "boolValue is not true or false"),
        ("body", {"doubleValue": "wide"}, "doubleValue is not a number"),
        ("body", {"bytesValue": "*"}, "bytesValue is not base64"),
        ("traceId", 5, "traceId is not a string"),
    ],
)
def test_a_json_record_with_a_wrong_field_is_rejected_and_the_others_kept(field, value, message):
    good = {"body": {"stringValue": "good"}}
    body = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{field: value}, good]}]}]})
    decoded = otlp.decode_logs_json(body)
    assert [record.body for record in decoded.batch.logs] == ["good"]
    assert decoded.rejections["invalid_field"].count == 1
    assert decoded.summary().startswith(f"log record: {message}")


def test_an_id_that_is_not_hexadecimal_is_left_out_of_a_log():
    record = {"traceId": "dHR0dHR0dHR0dHR0dHR0dA=="}
    body = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
    decoded = otlp.decode_logs_json(body)
    assert decoded.batch.logs[0].trace_id is None
    assert decoded.summary() == "log record: trace_id is not 32 hexadecimal digits"


def test_a_broken_resource_costs_only_its_own_records():
    records = {"logRecords": [{}, {}]}
    groups = [
        {"resource": {"attributes": 7}, "scopeLogs": [records, records]},
        {"scopeLogs": [{"scope": 7, **records}, {"logRecords": [{"body": {"stringValue": "x"}}]}]},
    ]
    decoded = otlp.decode_logs_json(orjson.dumps({"resourceLogs": groups}))
    assert [record.body for record in decoded.batch.logs] == ["x"]
    assert decoded.rejected == 6
    assert decoded.summary() == "resource: attributes is not a list (and 5 more)"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not valid JSON"),
        (b"{", "the body is not valid JSON"),
        (b'{"resourceLogs": "\xff"}', "the body is not valid JSON"),
        (b"[]", "the body is not a JSON object"),
        (b'{"resourceLogs": 7}', "resourceLogs is not a list"),
        (b'{"resourceLogs": [7]}', "resourceLogs holds something that is not an object"),
    ],
)
def test_a_body_that_is_no_request_is_refused(body, message):
    with pytest.raises(DecodeError, match=message) as error:
        otlp.decode_logs_json(body)
    assert error.value.reason == "invalid_json"


def test_an_empty_request_is_fine():
    assert len(otlp.decode_logs_protobuf(b"").batch) == 0
    assert len(otlp.decode_logs_json(b"{}").batch) == 0


def test_a_resource_and_a_scope_are_decoded_once_for_all_their_records():
    first, second = decode_logs(log_request(log("a"), log("b"))).batch.logs
    assert first.resource is second.resource
    assert first.scope is second.scope
