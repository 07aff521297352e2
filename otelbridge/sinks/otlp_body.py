"""OTLP requests as bytes: written, halved, turned into JSON, and their answers read.

A request is protobuf until it is sent, whatever it is sent by. Two requests put behind one another
are one request with the records of both (protocol buffers' encoding, "Last One Wins").
"""

from __future__ import annotations

import importlib
from base64 import b64decode
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import orjson

# For each signal: the encoder; the module and name of its request; the fields that lead to records.
_ENCODERS: Final = {
    "logs": ("_log_encoder", "encode_logs"),
    "traces": ("trace_encoder", "encode_spans"),
    "metrics": ("metrics_encoder", "encode_metrics"),
}
_MESSAGES: Final = {
    "logs": ("logs", "ExportLogsService"),
    "traces": ("trace", "ExportTraceService"),
    "metrics": ("metrics", "ExportMetricsService"),
}
PATHS: Final = {
    "logs": ("resource_logs", "scope_logs", "log_records"),
    "traces": ("resource_spans", "scope_spans", "spans"),
}
_REJECTED: Final = {
    "logs": "rejected_log_records",
    "traces": "rejected_spans",
    "metrics": "rejected_data_points",
}
# OTLP specification, "JSON Protobuf Encoding": ids are hexadecimal, other bytes base64.
_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


@cache
def load_encoder(signal: str) -> Any:
    """Import OpenTelemetry's own encoder of a signal."""
    module, name = _ENCODERS[signal]
    package = "opentelemetry.exporter.otlp.proto.common"
    return getattr(importlib.import_module(f"{package}.{module}"), name)


def split(signal: str, body: bytes) -> tuple[bytes, bytes]:
    """Halve a request of logs or traces by the number of its records."""
    whole = _message(signal, "Request").FromString(body)
    groups, scopes, items = PATHS[signal]
    left = sum(
        len(getattr(scope, items))
        for group in getattr(whole, groups)
        for scope in getattr(group, scopes)
    )
    left //= 2
    halves = _message(signal, "Request")(), _message(signal, "Request")()
    for group in getattr(whole, groups):
        for scope in getattr(group, scopes):
            records = getattr(scope, items)
            here = min(left, len(records))
            left -= here
            for half, part in zip(halves, (records[:here], records[here:]), strict=True):
                if part:
                    _copy(group, scope, part, half, PATHS[signal])
    return halves[0].SerializeToString(), halves[1].SerializeToString()


def to_json(signal: str, body: bytes) -> bytes:
    """Turn a request into OTLP/JSON."""
    json_format = importlib.import_module("google.protobuf.json_format")
    request = _message(signal, "Request").FromString(body)
    return orjson.dumps(
        _with_hex_ids(json_format.MessageToDict(request, use_integers_for_enums=True))
    )


def rejected(signal: str, answer: bytes, *, is_json: bool) -> tuple[int, str]:
    """Read the part of an answer that tells what was not taken ("Partial Success").

    Returns:
        How many records were rejected, and why.
    """
    if not answer:
        return 0, ""
    try:
        if is_json:
            json_format = importlib.import_module("google.protobuf.json_format")
            message = json_format.Parse(
                answer, _message(signal, "Response")(), ignore_unknown_fields=True
            )
        else:
            message = _message(signal, "Response").FromString(answer)
    except Exception:
        # Not every server that answers 200 writes what the specification asks for.
        return 0, ""
    partial = message.partial_success
    return int(getattr(partial, _REJECTED[signal])), str(partial.error_message)


def _copy(group: Any, scope: Any, records: Sequence[Any], target: Any, path: Any) -> None:
    groups, scopes, items = path
    found = getattr(target, groups)
    if not found or found[-1].resource != group.resource:
        copied = found.add(schema_url=group.schema_url)
        copied.resource.CopyFrom(group.resource)
    copied_scope = getattr(found[-1], scopes).add(schema_url=scope.schema_url)
    copied_scope.scope.CopyFrom(scope.scope)
    getattr(copied_scope, items).extend(records)


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: b64decode(member).hex() if key in _IDS else _with_hex_ids(member)
            for key, member in value.items()
        }
    return [_with_hex_ids(member) for member in value] if isinstance(value, list) else value


@cache
def _message(signal: str, kind: str) -> Any:
    name, prefix = _MESSAGES[signal]
    module = importlib.import_module(f"opentelemetry.proto.collector.{name}.v1.{name}_service_pb2")
    return getattr(module, f"{prefix}{kind}")
