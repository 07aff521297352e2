"""Sending bytes over the connection that a stock exporter has made, and what comes back.

The stock exporter reads the standard variables (certificates, headers, compression, time-outs,
credentials) and opens the connection; of the answer it says only whether it was a success. This is
the one place that reaches into it: OpenTelemetry's release is pinned, and a test notices when what
is used here changes.
"""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import dataclass
from typing import Any, Final

from otelbridge.delivery.answer import REFUSED, REJECTED, TAKEN, TOO_LARGE, Answer
from otelbridge.sinks.otlp_body import rejected, to_json

_SERVICES: Final = {
    "logs": "logs.v1.LogsService",
    "traces": "trace.v1.TraceService",
    "metrics": "metrics.v1.MetricsService",
}
# What the request holds is wrong, so that the same request will never be taken. Everything else
# that is no success may be put right: by time, by a restart, or by a person (a token, an address).
_REFUSALS: Final = frozenset({400, 422})
_GRPC_REFUSALS: Final = frozenset({"INVALID_ARGUMENT"})
# The server's or the client's limit; gRPC has no status of its own for it.
_GRPC_TOO_LARGE: Final = re.compile(r"larger than max|exceeds max")
_CAUSE: Final = re.compile(
    r"(certificate verify failed: [^'\"()]+)|\[Errno -?\d+\] ([^'\"()]+)"
    r"|(Connection refused|timed out|Name or service not known)"
)
# Upstream's other transport: a third of the time for each request.
_LEAN: Final = "opentelemetry.exporter.http.transport._urllib3"
_SESSIONS: Final = re.compile(r"OTEL_PYTHON_EXPORTER_OTLP_HTTP_(\w+_)?CREDENTIAL_PROVIDER")
_UNALLOWED_HINT: Final = "; the token goes into OTEL_EXPORTER_OTLP_HEADERS"
_UNALLOWED: Final = frozenset({401, 403})


@dataclass(slots=True)
class HTTPConnection:
    """Sends by the HTTP client of a stock exporter.

    Attributes:
        exporter: the stock exporter.
        signal: what is sent.
        is_json: whether it is sent as OTLP/JSON.
    """

    exporter: Any
    signal: str
    is_json: bool

    def __post_init__(self) -> None:
        client = self.exporter._client
        session = getattr(client._transport, "_session", None)
        if session is None:
            return
        if isinstance(session.verify, str):
            _let_certificate_win(session)
        elif _is_plain(client._endpoint):
            client._transport.close()
            client._transport = importlib.import_module(_LEAN).Urllib3HTTPTransport()

    def send(self, body: bytes) -> Answer:
        """Send a request once; protocol buffers in, whatever is spoken."""
        limit = getattr(self.exporter, "_max_request_size", 0)
        if 0 < limit < len(body):
            return Answer(cause=TOO_LARGE, reason="larger than 64 MB", whole=True)
        client = self.exporter._client
        data = client._compress(to_json(self.signal, body) if self.is_json else body)
        result = client._submit(data, client._timeout)
        if result.error is not None:
            return Answer(later=True, reason=first_cause(result.error))
        status = result.status_code
        if 200 <= status < 300:
            count, reason = rejected(self.signal, result.content(), is_json=self.is_json)
            return Answer(dropped=count, cause=REJECTED, reason=reason) if count else TAKEN
        reason = f"HTTP {status} {result.reason or ''}".rstrip()
        if status == 413:
            return Answer(cause=TOO_LARGE, reason=reason, whole=True)
        if status in _REFUSALS:
            return Answer(cause=REFUSED, reason=reason, whole=True)
        if status in _UNALLOWED:
            reason += _UNALLOWED_HINT
        pause = importlib.import_module("opentelemetry.exporter.otlp.common.http")
        return Answer(later=True, pause=pause._extract_retry_after(result), reason=reason)

    def close(self) -> None:
        """Close the connection."""
        self.exporter.shutdown()


@dataclass(slots=True)
class GRPCConnection:
    """Sends over the channel of a stock exporter.

    Attributes:
        exporter: the stock exporter.
        signal: what is sent.
    """

    exporter: Any
    signal: str

    def send(self, body: bytes) -> Answer:
        """Send a request once."""
        method = f"/opentelemetry.proto.collector.{_SERVICES[self.signal]}/Export"
        # No serializers: bytes go out as they are, and come in so.
        call = self.exporter._channel.unary_unary(method)
        try:
            content = call(body, metadata=self.exporter._headers, timeout=self.exporter._timeout)
        except importlib.import_module("grpc").RpcError as error:
            return self._failure(error)
        count, reason = rejected(self.signal, content, is_json=False)
        return Answer(dropped=count, cause=REJECTED, reason=reason) if count else TAKEN

    def close(self) -> None:
        """Close the channel, which ends a sending that is under way."""
        self.exporter.shutdown()

    def _failure(self, error: Any) -> Answer:
        code, details = error.code().name, error.details() or ""
        reason = f"{code}: {first_cause(details)}"
        if code == "RESOURCE_EXHAUSTED" and _GRPC_TOO_LARGE.search(details):
            return Answer(cause=TOO_LARGE, reason=reason, whole=True)
        if code in _GRPC_REFUSALS:
            return Answer(cause=REFUSED, reason=reason, whole=True)
        if code == "UNAVAILABLE" and not self.exporter._shutdown:
            # The channel's own pauses between attempts to connect grow to two minutes.
            self.exporter._channel.close()
            self.exporter._initialize_channel_and_stub()
        if code in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
            reason += _UNALLOWED_HINT
        return Answer(later=True, pause=_retry_delay(error), reason=reason)


def _is_plain(endpoint: str) -> bool:
    """Tell whether nothing of what ``requests`` does for a request is needed.

    That is certificates and their variables, proxies, passwords from ``.netrc``, and whatever a
    session does that the program brings.
    """
    if not endpoint.startswith("http://") or any(
        value and _SESSIONS.fullmatch(name) for name, value in os.environ.items()
    ):
        return False
    asked = importlib.import_module("requests.utils")
    return not asked.get_environ_proxies(endpoint) and asked.get_netrc_auth(endpoint) is None


def _let_certificate_win(session: Any) -> None:
    """Trust the authority that OpenTelemetry's variable names.

    Without this, ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE`` would win over it.
    """
    merge = session.merge_environment_settings

    def merged(*args: Any) -> Any:
        return {**merge(*args), "verify": session.verify}

    session.merge_environment_settings = merged


def first_cause(error: Any) -> str:
    """Find the operating system's words in an exception's or a message's long text."""
    text = str(error)
    found = _CAUSE.search(text)
    return found[found.lastindex or 0].strip() if found else text[:200]


def _retry_delay(error: Any) -> float | None:
    """Read how long a gRPC server asks to be left alone (OTLP specification, "Throttling")."""
    details = importlib.import_module("google.rpc.error_details_pb2")
    status_messages = importlib.import_module("google.rpc.status_pb2")
    info = details.RetryInfo()
    for key, value in error.trailing_metadata() or ():
        if key == "google.rpc.retryinfo-bin":
            info.ParseFromString(value)
            break
        if key == "grpc-status-details-bin":
            status = status_messages.Status.FromString(value)
            if any(detail.Unpack(info) for detail in status.details):
                break
    else:
        return None
    return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
