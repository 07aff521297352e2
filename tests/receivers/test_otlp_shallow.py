"""Attributes read from their bytes are what the generated classes make of them."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError as ProtobufError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2 as common

from otelbridge.receivers import otlp, otlp_protobuf
from otelbridge.receivers.decoded import Decoded
from otelbridge.receivers.otlp_shallow import Pairs, read_body, read_pair
from tests.receivers.messages import (
    ANY_VALUES,
    LOG_REQUESTS,
    TEXTS,
    TRACE_REQUESTS,
    log,
    log_request,
    text,
)

NOW = 1_800_000_000 * 10**9
# Lengths around those at which they take a byte more.
LONG_TEXTS = st.builds(
    lambda char, size: char * size,
    st.sampled_from(["a", "é", "€"]),
    st.sampled_from([0, 1, 61, 62, 63, 64, 65, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129])
    | st.sampled_from([16_378, 16_379, 16_380, 16_381, 16_382, 16_383, 16_384]),
)
VALUES = (
    ANY_VALUES
    | st.builds(common.AnyValue, string_value=LONG_TEXTS)
    | st.builds(
        common.AnyValue,
        int_value=st.sampled_from(
            [sign * 2**n + d for n in range(63) for sign in (1, -1) for d in (-1, 0)]
        ),
    )
)
PAIRS = st.builds(common.KeyValue, key=TEXTS | LONG_TEXTS, value=VALUES)


def plainly(raw: bytes) -> str | None:
    """What the generated classes say; ``None`` where they refuse it."""
    try:
        pair = common.KeyValue.FromString(raw)
    except ProtobufError:
        return None
    return repr((pair.key, otlp_protobuf.json_of(pair.value, pair.value.WhichOneof("value"), 0)))


def shallowly(raw: bytes) -> str | None:
    try:
        return repr(read_pair(raw))
    except (ProtobufError, UnicodeDecodeError):
        return None


@settings(max_examples=400, deadline=None)
@given(PAIRS)
def test_a_pair_is_what_the_generated_classes_read(pair):
    raw = pair.SerializeToString()
    assert shallowly(raw) == plainly(raw) is not None


@settings(max_examples=1_000, deadline=None)
@given(PAIRS, st.data())
def test_a_damaged_pair_is_read_or_refused_as_the_generated_classes_do(pair, data):
    raw = bytearray(pair.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw)))
        # The first bytes hold all that is said of the others.
        at = at if data.draw(st.booleans()) else at % 12
        byte = data.draw(st.sampled_from([0, 1, 2, 5, 10, 16, 18, 24, 33, 127, 128, 129, 255]))
        raw[at : at + data.draw(st.integers(0, 2))] = bytes([byte])
    assert shallowly(bytes(raw)) == plainly(bytes(raw))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=40))
@example(b"\n\x01k\x12\x05\n" + b"x" * 1200)
@example(b"\n\x01k\x12\x02\n\x80")
@example(b"\n\x01k\x12\x03\n\x01\xff")
@example(b"\n\x01\xff\x12\x02\x18\x01")
@example(b"\n\x01k\x12\x00")
@example(b"\n\x01k")
def test_any_bytes_are_read_or_refused_as_the_generated_classes_do(raw):
    assert shallowly(raw) == plainly(raw)


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, max_size=3))
def test_a_body_that_is_given_several_times_is_joined_as_the_parser_does(bodies):
    raws = [body.SerializeToString() for body in bodies]
    joined = common.AnyValue.FromString(b"".join(raws))
    plain = otlp_protobuf.json_of(joined, joined.WhichOneof("value"), 0)
    assert repr(read_body(raws)) == repr(plain)


@settings(max_examples=200, deadline=None)
@given(LOG_REQUESTS)
def test_logs_are_those_of_the_generated_classes(message):
    plain = Decoded()
    body = message.SerializeToString()
    otlp_protobuf.read_logs(ExportLogsServiceRequest.FromString(body), plain, NOW)
    assert repr(otlp.decode_logs_protobuf(body, NOW)) == repr(plain)


@settings(max_examples=200, deadline=None)
@given(TRACE_REQUESTS)
def test_spans_are_those_of_the_generated_classes(message):
    plain = Decoded()
    body = message.SerializeToString()
    otlp_protobuf.read_spans(ExportTraceServiceRequest.FromString(body), plain, NOW)
    assert repr(otlp.decode_traces_protobuf(body, NOW)) == repr(plain)


def test_records_share_no_list_that_one_of_them_could_change():
    values = common.ArrayValue(values=[text("a")])
    pair = common.KeyValue(key="k", value=common.AnyValue(array_value=values))
    request = log_request(log("x", attributes=[pair]), log("y", attributes=[pair]))
    first, second = otlp.decode_logs_protobuf(request.SerializeToString(), NOW).batch.logs
    assert first.attributes == second.attributes == {"k": ["a"]}
    first.attributes["k"].append("b")
    assert second.attributes == {"k": ["a"]}


def test_an_attribute_that_is_no_text_costs_its_record_and_not_the_others():
    good, bad = log("good"), log("bad", attributes=[common.KeyValue(key="k", value=text("QQQ"))])
    body = log_request(good, bad).SerializeToString().replace(b"QQQ", b"Q\xffQ")
    decoded = otlp.decode_logs_protobuf(body, NOW)
    assert [record.body for record in decoded.batch.logs] == ["good"]
    assert decoded.rejected == 1


# Few keys and lengths, so that one begins as another did; some are cut or go on behind their end.
ALIKE = st.builds(
    lambda key, value, damage: damage(
        common.KeyValue(key=key, value=text(value)).SerializeToString()
    ),
    st.sampled_from(["", "k", "kk", "a" * 120, "a" * 130]),
    st.sampled_from(["", "a", "b", "é", "ab", "x" * 124, "y" * 124, "x" * 125, "x" * 126]),
    st.sampled_from(
        [
            *3 * [bytes],
            lambda raw: raw[:-1],
            lambda raw: raw + b"a",
            lambda raw: raw[:-1] + b"\xff",
            lambda raw: raw.replace(b"\x0a", b"\x1a"),
        ]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ALIKE, max_size=30))
def test_an_attribute_that_begins_like_another_is_read_as_if_alone(raws):
    pairs = Pairs()
    for raw in raws:
        try:
            read = repr(next(iter(pairs.attributes([raw]).items())))
        except (ProtobufError, UnicodeDecodeError):
            read = None
        assert read == plainly(raw)


@pytest.mark.parametrize("again", [1, 500])
def test_pairs_are_read_once_however_often_they_come(again):
    raw = common.KeyValue(key="k", value=text("v")).SerializeToString()
    pairs = Pairs()
    assert [pairs.attributes([raw, raw]) for _ in range(again)] == [{"k": "v"}] * again
    assert list(pairs) == [raw]
