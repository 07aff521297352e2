"""The otlp sink: logs, spans and metrics by OTLP over gRPC, HTTP/protobuf or HTTP/JSON.

The sending itself is done by OpenTelemetry's own exporters, which read their standard variables
(certificates, compression, time-outs). While the destination does not answer, logs and spans stay
in their queue and are tried again; when it is full the oldest go first. The program's log says so
once a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otelbridge.sinks.destination import Destination
from otelbridge.sinks.otlp_exporters import (
    Signal,
    build_exporter,
    endpoint_of,
    headers_of,
    protocol_of,
)
from otelbridge.sinks.otlp_trouble import Trouble, TroubleReport, overheard

if TYPE_CHECKING:
    from otelbridge.settings import Settings

_PAUSE_SECONDS: Final = 1.0


class OTLPDestination(Destination):
    """The stock exporter of one signal, with what surrounds it."""

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

    def send(self, batch: Any, count: int, success: Any, *, retry: bool) -> bool:
        """Send a batch, on the thread that calls; see :meth:`Destination.send`."""
        while True:
            trouble = self._try(batch, success)
            if trouble is None:
                self.delivered += count
                if self.failing:
                    self.failing = False
                    self.report.recovered(self.endpoint)
                return True
            if trouble.too_large and isinstance(batch, list) and count > 1:
                # One large record must not take the others with it.
                halves = batch[: count // 2], batch[count // 2 :]
                sent = [self.send(half, len(half), success, retry=retry) for half in halves]
                return all(sent)
            self.failing = True
            if not retry or not trouble.transient or self._finishing.is_set():
                self.give_up(count, trouble.reason)
                return False
            self.report.waiting(self.endpoint, trouble.reason)
            self._finishing.wait(_PAUSE_SECONDS)

    def _try(self, batch: Any, success: Any) -> Trouble | None:
        if self._aborted:
            return Trouble("it accepts no connection", transient=False)
        with overheard() as said:
            try:
                exporter = self._connected()
                if exporter is not None and exporter.export(batch) is success:
                    return None
            except Exception as error:
                # A wrong certificate or compression, a library that is missing: not transient.
                return Trouble(f"{type(error).__name__}: {error}", transient=False)
        return Trouble.from_records(said)

    def _connect(self) -> Any:
        return build_exporter(self.signal, self.protocol, self.endpoint, self._headers)

    def _disconnect(self, connection: Any) -> None:
        connection.shutdown()
