"""The otlp sink: logs, spans and metrics by OTLP over gRPC, HTTP/protobuf or HTTP/JSON.

Records are encoded as OpenTelemetry's own encoder does it, byte for byte, and sent over the
connection that its exporters open by their standard variables (certificates, compression,
time-outs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelbridge.delivery.answer import Answer
from otelbridge.delivery.redacted import is_harmless_log
from otelbridge.sinks import otlp_exporters
from otelbridge.sinks.destination import Destination
from otelbridge.sinks.otlp_exporters import (
    Signal,
    build_exporter,
    endpoint_of,
    headers_of,
    protocol_of,
)
from otelbridge.sinks.otlp_plain_log import MOST_CHARS
from otelbridge.sinks.otlp_plain_span import write_plain_span
from otelbridge.sinks.otlp_request import RequestEncoder

if TYPE_CHECKING:
    from otelbridge.settings import Settings
    from otelbridge.sinks.otlp_trouble import TroubleReport


class OTLPDestination(Destination):
    """The connection for one signal."""

    sink = "otlp"
    takes_encoded = True
    batch_size = 2_048
    batch_bytes = 2 * 2**20

    def __init__(
        self,
        signal: Signal,
        settings: Settings,
        report: TroubleReport,
        protocol: str | None = None,
    ) -> None:
        """Remember where to send; nothing is opened yet.

        Args:
            signal: what is sent.
            settings: where to and how; the signal's own standard variables win.
            report: what goes wrong is told to it.
            protocol: ``grpc``, ``http/protobuf`` or ``http/json``; wins over all settings.
        """
        protocol = protocol or protocol_of(signal, settings)
        super().__init__(signal, endpoint_of(signal, settings, protocol), protocol, report)
        self._headers = headers_of(signal, settings)
        self._encoder = None if signal == "metrics" else RequestEncoder(signal, self._by_stock)

    def write(self, record: Any) -> bytes | None:
        """Encode a record, unless that takes longer or it may hold a secret."""
        try:
            if self.signal == "traces":
                return write_plain_span(record)
            if self._encoder is not None and is_harmless_log(record, MOST_CHARS):
                return self._encoder.write(record)
        except Exception:
            # Whatever it is, the thread that encodes others meets it again.
            return None
        return None

    def _encode(self, records: Any) -> bytes:
        """Encode records as an OTLP request."""
        if self._encoder is not None:
            return self._encoder.encode(records)
        if self._aborted:
            # Metrics are not kept, and an end that nobody listens to need not wait for imports.
            return b""
        return bytes(self._by_stock(records).SerializeToString())

    def _by_stock(self, records: Any) -> Any:
        # Imported only where it is needed: that takes a while, also for the last records of a
        # process that is about to end.
        with otlp_exporters.building:
            from otelbridge.sinks.otlp_body import load_encoder

            encode = load_encoder(self.signal)
        return encode(records)

    def _attempt(self, connection: Any, body: bytes) -> Answer:
        answer: Answer = connection.send(body)
        return answer

    def _split(self, body: bytes) -> tuple[bytes, bytes]:
        from otelbridge.sinks.otlp_body import split

        return split(self.signal, body)

    def _connect(self) -> Any:
        exporter = build_exporter(self.signal, self.protocol, self.endpoint, self._headers)
        with otlp_exporters.building:
            from otelbridge.sinks.otlp_connection import GRPCConnection, HTTPConnection

            if self.protocol == "grpc":
                return GRPCConnection(exporter, self.signal)
            return HTTPConnection(exporter, self.signal, self.protocol == "http/json")

    def _disconnect(self, connection: Any) -> None:
        connection.close()
