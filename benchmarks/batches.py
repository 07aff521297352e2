"""OTLP requests that cost almost nothing to send: built once, then only patched.

A load generator that encodes each record in Python takes as much CPU as the bridge under test, and
on two cores measures itself. Here a request of some hundred records is encoded once per variant;
before each send the bytes that must differ (times, ids, order numbers), which all have a fixed
width, are overwritten in place.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

SERVICES = ("gateway", "orders", "payments")
VARIANTS = 12

# One trace covers this many consecutive records of either signal.
LOGS_PER_TRACE = 5
SPANS_PER_TRACE = 4

_MASK = 2**64 - 1


def _scattered(number: int) -> int:
    """Spread consecutive numbers over 64 bits, as random ids are (a bijection)."""
    number = (number * 0x9E3779B97F4A7C15) & _MASK
    number ^= number >> 29
    return (number * 0xBF58476D1CE4E5B9) & _MASK


@dataclass(frozen=True)
class Ids:
    """The ids of the n-th record of a run; runs with different seeds share none."""

    seed: int

    def trace(self, number: int) -> bytes:
        return struct.pack(">QQ", _scattered(number ^ (self.seed << 40)), self.seed)

    def span(self, number: int) -> bytes:
        return struct.pack(">Q", _scattered(number + (self.seed << 36)) or 1)

    def log_trace(self, number: int) -> bytes:
        return self.trace(number // LOGS_PER_TRACE)

    def span_trace(self, number: int) -> bytes:
        return self.trace(number // SPANS_PER_TRACE)

    def uid(self, number: int, time: int) -> str:
        """A UUIDv7's layout: milliseconds, a counter, the rest as if random."""
        tail = _scattered(number + (self.seed << 36)) & (2**62 - 1) | 2**63
        return f"{time // 1_000_000:012x}7{number & 0xFFF:03x}{tail:016x}"


def order_number(number: int) -> str:
    """The order that the n-th record speaks of."""
    return f"A-{number % 10**8:08d}"


class Template:
    """One encoded request and the places in it that change.

    Attributes:
        records: how many records the request holds.
    """

    def __init__(self, body: bytes, text_ids: bool, markers: list[dict[str, bytes]]) -> None:
        self.records = len(markers)
        self._body = body
        self._text_ids = text_ids
        self._places: list[list[tuple[str, int, int]]] = []
        for marker in markers:
            places = []
            for kind, value in marker.items():
                start = body.find(value)
                if start < 0:
                    raise ValueError(f"marker of {kind} is not in the encoded request")
                while start >= 0:
                    places.append((kind, start, start + len(value)))
                    start = body.find(value, start + 1)
            self._places.append(places)

    def fill(self, ids: Ids, first: int, times: Callable[[int], int], *, spans: bool) -> bytes:
        """Encode the records numbered from ``first`` on.

        Args:
            times: nanoseconds since the epoch of the n-th record.
        """
        body = bytearray(self._body)
        text = self._text_ids
        for index, places in enumerate(self._places):
            number = first + index
            time = times(number)
            for kind, start, end in places:
                if kind == "time":
                    value = b"%019d" % time if text else struct.pack("<Q", time)
                elif kind == "end":
                    later = time + 1_000_000 + (_scattered(number) & 0x3FFFFFF)
                    value = b"%019d" % later if text else struct.pack("<Q", later)
                elif kind == "uid":
                    value = ids.uid(number, time).encode()
                elif kind == "order":
                    value = order_number(number).encode()
                elif kind == "trace":
                    raw = ids.span_trace(number) if spans else ids.log_trace(number)
                    value = raw.hex().encode() if text else raw
                elif kind == "span":
                    value = ids.span(number)
                    value = value.hex().encode() if text else value
                else:  # the parent: the trace's first span
                    value = ids.span(number - number % SPANS_PER_TRACE)
                    value = value.hex().encode() if text else value
                body[start:end] = value
        return bytes(body)


def _put(attributes: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        item: KeyValue = attributes.add(key=key)
        if isinstance(value, bool):
            item.value.bool_value = value
        elif isinstance(value, int):
            item.value.int_value = value
        elif isinstance(value, float):
            item.value.double_value = value
        else:
            item.value.string_value = value


def _resource(service: str, instance: int) -> dict[str, Any]:
    return {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.1",
        "service.name": service,
        "service.version": "2.4.1",
        "service.instance.id": f"{service}-{instance}",
        "deployment.environment.name": "production",
        "host.name": f"node-{instance}",
        "process.pid": 4000 + instance,
        "process.runtime.name": "cpython",
        "process.runtime.version": "3.11.9",
    }


# (logger, level, number, message, extras, source line); {order} has a fixed width.
_LOGS: tuple[tuple[str, str, int, str, dict[str, Any], int], ...] = (
    (
        "shop.cart",
        "INFO",
        9,
        "Order {order} accepted for {user}, {items} items in basket",
        {"status": "success", "code": 200},
        41,
    ),
    (
        "shop.stock",
        "INFO",
        9,
        "Reserved {items} units of item for order {order} in warehouse",
        {"status": "success", "code": 200},
        88,
    ),
    (
        "shop.payment",
        "INFO",
        9,
        "Payment for order {order} authorised after {ms} milliseconds",
        {"status": "success", "code": 201},
        132,
    ),
    (
        "shop.mail",
        "DEBUG",
        5,
        "Confirmation for order {order} queued for delivery to {user}",
        {"status": "queued", "code": 202},
        27,
    ),
    (
        "shop.payment",
        "WARN",
        13,
        "Payment for order {order} is slow: {ms} milliseconds so far",
        {"status": "slow", "code": 200},
        151,
    ),
    (
        "shop.payment",
        "ERROR",
        17,
        "Payment for order {order} declined by the bank, giving up",
        {"status": "critical", "code": 402},
        160,
    ),
)
_LEVEL_WEIGHTS = (40, 20, 20, 12, 5, 3)


def _log_request(rng: random.Random, records: int, variant: int) -> tuple[Any, list[dict]]:
    request = ExportLogsServiceRequest()
    service = SERVICES[variant % len(SERVICES)]
    resource = request.resource_logs.add()
    _put(resource.resource.attributes, _resource(service, 1 + variant // len(SERVICES) % 2))
    scopes: dict[str, Any] = {}
    markers = []
    for _ in range(records):
        logger, level, severity, message, extras, line = rng.choices(_LOGS, _LEVEL_WEIGHTS)[0]
        if logger not in scopes:
            scopes[logger] = resource.scope_logs.add()
            scopes[logger].scope.name = logger
        user = f"user{rng.randrange(5000):04d}"
        order = f"M-{rng.randrange(10**8):08d}"
        uid = f"{rng.getrandbits(128):032x}"
        time, trace, span = rng.randrange(10**18, 2 * 10**18), rng.randbytes(16), rng.randbytes(8)
        record = scopes[logger].log_records.add(
            time_unix_nano=time,
            observed_time_unix_nano=time,
            severity_number=severity,
            severity_text=level,
            trace_id=trace,
            span_id=span,
            flags=1,
        )
        record.body.string_value = message.format(
            order=order, user=user, items=rng.randrange(1, 9), ms=rng.randrange(20, 900)
        )
        values = {"user": user, "order_id": order, "amount": rng.randrange(100, 9999) / 100}
        values |= extras
        if severity >= 17:
            values["error_code"] = f"PAY-{rng.randrange(40):03d}"
        values |= {
            "code.file.path": f"/srv/app/{logger.replace('.', '/')}.py",
            "code.line.number": line,
            "code.function.name": f"handle_{logger.partition('.')[2]}",
            "thread.id": 140000000000000 + rng.randrange(4),
            "thread.name": "MainThread",
            "log.record.uid": uid,
        }
        _put(record.attributes, values)
        markers.append({"time": time, "trace": trace, "span": span, "uid": uid, "order": order})
    return request, markers


def _span_request(rng: random.Random, records: int, variant: int) -> tuple[Any, list[dict]]:
    request = ExportTraceServiceRequest()
    service = SERVICES[variant % len(SERVICES)]
    resource = request.resource_spans.add()
    _put(resource.resource.attributes, _resource(service, 1 + variant // len(SERVICES) % 2))
    server = resource.scope_spans.add()
    server.scope.name = "opentelemetry.instrumentation.flask"
    server.scope.version = "0.66b1"
    client = resource.scope_spans.add()
    client.scope.name = "opentelemetry.instrumentation.requests"
    client.scope.version = "0.66b1"
    markers = []
    for index in range(records):
        root = index % SPANS_PER_TRACE == 0
        time, end = rng.randrange(10**18, 2 * 10**18), rng.randrange(10**18, 2 * 10**18)
        trace, span, parent = rng.randbytes(16), rng.randbytes(8), rng.randbytes(8)
        status = 500 if rng.random() < 0.03 else 200
        host = f"{rng.choice(SERVICES)}.internal"
        marker = {"time": time, "end": end, "trace": trace, "span": span}
        item = (server if root else client).spans.add(
            trace_id=trace,
            span_id=span,
            name="POST /orders/<order>" if root else "POST",
            kind=2 if root else 3,
            start_time_unix_nano=time,
            end_time_unix_nano=end,
            flags=0x100 | 1,
        )
        if not root:
            item.parent_span_id = parent
            marker["parent"] = parent
        order = f"M-{rng.randrange(10**8):08d}"
        values: dict[str, Any] = {"http.request.method": "POST"}
        if root:
            values |= {
                "url.scheme": "http",
                "url.path": f"/orders/{order}",
                "http.route": "/orders/<order>",
                "server.address": host,
                "server.port": 8000,
                "client.address": f"10.0.3.{rng.randrange(250)}",
                "user_agent.original": "python-requests/2.34.2",
                "network.protocol.version": "1.1",
            }
        else:
            values |= {
                "url.full": f"http://{host}:8000/orders/{order}/pay",
                "server.address": host,
                "server.port": 8000,
                "network.peer.address": f"10.0.3.{rng.randrange(250)}",
                "network.protocol.version": "1.1",
            }
        marker["order"] = order
        values["http.response.status_code"] = status
        _put(item.attributes, values)
        if status >= 500:
            item.status.code = 2
            item.status.message = "PaymentDeclined"
            event = item.events.add(time_unix_nano=time, name="exception")
            _put(
                event.attributes,
                {
                    "exception.type": "shop.errors.PaymentDeclined",
                    "exception.message": f"order {order} declined",
                    "exception.stacktrace": _TRACEBACK,
                    "exception.escaped": "False",
                },
            )
        markers.append(marker)
    return request, markers


_TRACEBACK = "Traceback (most recent call last):\n" + "".join(
    f'  File "/srv/app/shop/{name}.py", line {line}, in {name}\n    return {call}(order)\n'
    for name, line, call in (
        ("dispatch", 880, "view"),
        ("checkout", 61, "pay"),
        ("pay", 160, "decline"),
        ("decline", 12, "fail"),
    )
)


def _json_request(request: Any) -> bytes:
    """Encode by OTLP's JSON mapping: ids as hex, enums as numbers, 64-bit numbers as text."""

    def with_hex_ids(message: Any, plain: Any) -> None:
        for key, value in plain.items():
            if key in {"traceId", "spanId", "parentSpanId"}:
                name = {"traceId": "trace_id", "spanId": "span_id"}.get(key, "parent_span_id")
                plain[key] = getattr(message, name).hex()
            elif isinstance(value, list) and key in {
                "resourceLogs", "scopeLogs", "logRecords", "resourceSpans", "scopeSpans", "spans",
            }:  # fmt: skip
                name = "".join(f"_{c.lower()}" if c.isupper() else c for c in key)
                for child, plain_child in zip(getattr(message, name), value, strict=True):
                    with_hex_ids(child, plain_child)

    plain = MessageToDict(request, use_integers_for_enums=True)
    with_hex_ids(request, plain)
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode()


def _marker_bytes(marker: dict[str, Any], text: bool) -> dict[str, bytes]:
    encoded = {}
    for kind, value in marker.items():
        if isinstance(value, int):
            encoded[kind] = b"%019d" % value if text else struct.pack("<Q", value)
        elif isinstance(value, bytes):
            encoded[kind] = value.hex().encode() if text else value
        else:
            encoded[kind] = value.encode()
    return encoded


def templates(signal: str, records: int, *, text: bool, seed: int = 1) -> list[Template]:
    """Encode the variants of one signal's request.

    Args:
        signal: ``logs`` or ``spans``.
        records: per request; for spans a multiple of :data:`SPANS_PER_TRACE`.
        text: OTLP's JSON encoding rather than protobuf.
    """
    rng = random.Random(seed)
    build = _log_request if signal == "logs" else _span_request
    made = []
    for variant in range(VARIANTS):
        request, markers = build(rng, records, variant)
        body = _json_request(request) if text else request.SerializeToString()
        made.append(Template(body, text, [_marker_bytes(marker, text) for marker in markers]))
    return made
