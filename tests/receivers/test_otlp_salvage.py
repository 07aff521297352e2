"""One broken record in a protobuf request does not cost the others."""

from __future__ import annotations

import pytest

from otelbridge.receivers import otlp
from otelbridge.receivers.decoded import DecodeError
from tests.receivers.messages import (
    gauge,
    log,
    log_request,
    metric_request,
    pairs,
    span,
    span_request,
)

NOT_UTF8 = b"\xff\xfe\xfd\xfc"


def broken(request: bytes) -> bytes:
    """Put bytes that are not UTF-8 in the place of the text ``MARK``."""
    assert b"MARK" in request
    return request.replace(b"MARK", NOT_UTF8)


def test_a_log_whose_text_is_not_utf8_is_rejected_alone():
    body = broken(log_request(log("a"), log("MARK"), log("b"), user="alice").SerializeToString())
    decoded = otlp.decode_logs_protobuf(body)
    assert [record.body for record in decoded.batch.logs] == ["a", "b"]
    assert decoded.batch.logs[0].resource == {"user": "alice"}
    assert decoded.batch.logs[0].scope.name == "shop"
    assert decoded.rejections["invalid_record"].count == 1
    assert decoded.summary().startswith("log record: a text is not valid UTF-8")


def test_spans_and_metrics_likewise():
    spans = broken(span_request(span("a"), span("MARK")).SerializeToString())
    metrics = broken(metric_request(gauge("MARK", {}), gauge("b", {})).SerializeToString())
    assert [one.name for one in otlp.decode_traces_protobuf(spans).batch.spans] == ["a"]
    assert [one.name for one in otlp.decode_metrics_protobuf(metrics).batch.points] == ["b"]


def field(number: int, content: bytes) -> bytes:
    """Write a length-delimited field: the message classes refuse to build what is this deep."""
    size, length = len(content), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_a_value_nested_too_deeply_costs_its_own_record():
    value = field(1, b"deep")
    for _ in range(60):
        value = field(5, field(1, value))
    deep = field(5, value)
    good = log("a").SerializeToString()
    body = field(1, field(2, field(2, good) + field(2, deep)))
    decoded = otlp.decode_logs_protobuf(body)
    assert [record.body for record in decoded.batch.logs] == ["a"]
    assert "nested too deeply" in decoded.summary()


def test_records_are_kept_without_a_resource_that_cannot_be_read():
    body = broken(log_request(log("a"), host="MARK").SerializeToString())
    decoded = otlp.decode_logs_protobuf(body)
    assert [(record.body, record.resource) for record in decoded.batch.logs] == [("a", {})]
    assert decoded.summary() == "log record: the resource is not readable"


def test_a_request_of_only_broken_records_is_refused_with_the_reason():
    body = broken(log_request(log("MARK")).SerializeToString())
    with pytest.raises(DecodeError, match="not valid UTF-8"):
        otlp.decode_logs_protobuf(body)


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_a_truncated_request_is_refused(cut):
    body = log_request(log("some text"), attributes="x").SerializeToString()[:-cut]
    with pytest.raises(DecodeError, match=r"bytes too early|middle of a field") as error:
        otlp.decode_logs_protobuf(body)
    assert error.value.reason == "invalid_protobuf"


@pytest.mark.parametrize("body", [b"garbage", b"\xff" * 40, b"{}", b"\x0a\xff\xff\xff\xff\x7f"])
def test_garbage_is_refused(body):
    with pytest.raises(DecodeError, match="not a valid request"):
        otlp.decode_logs_protobuf(body)


def test_a_request_of_another_signal_yields_no_records():
    body = log_request(log("x", attributes=pairs(a="b"))).SerializeToString()
    try:
        decoded = otlp.decode_traces_protobuf(body)
    except DecodeError:
        return
    assert len(decoded.batch) == 0
