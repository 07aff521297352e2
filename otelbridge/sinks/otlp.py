"""The otlp sink: logs, spans and metrics by OTLP over gRPC, HTTP/protobuf or HTTP/JSON.

The sending itself is done by OpenTelemetry's own exporters, which read their standard variables
(certificates, compression, time-outs). Around them, this module adds what a host program needs:

- An exporter is made at the first export, in the process that exports, and anew after a fork. So
  ``import otelbridge`` loads neither grpc nor requests, and no connection is shared by two
  processes.
- While the destination does not answer, logs and spans stay in their queue and are tried again;
  when it is full the oldest go first. The program's log says so once a minute.
- At the end of the process nothing waits longer than allowed, and not at all for a destination
  that accepts no connection.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

from otelbridge.sinks.otlp_exporters import (
    Signal,
    accepts_connections,
    build_exporter,
    endpoint_of,
    headers_of,
    protocol_of,
)
from otelbridge.sinks.otlp_trouble import Trouble, TroubleReport, overheard

if TYPE_CHECKING:
    from otelbridge.settings import Settings
    from otelbridge.sinks.queue import Deadline

_PAUSE_SECONDS: Final = 1.0
# What an exporter that was interrupted gets to return.
_ABORT_SECONDS: Final = 0.3


class Destination:
    """The stock exporter of one signal, with what surrounds it.

    Attributes:
        signal: ``logs``, ``traces`` or ``metrics``.
        delivered: how many records this process had accepted by the destination.
        dropped: how many it gave up.
    """

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
        self.signal = signal
        self.protocol = protocol or protocol_of(signal, settings)
        self.endpoint = endpoint_of(signal, settings, self.protocol)
        self.report = report
        self.delivered = 0
        self.dropped = 0
        self._headers = headers_of(signal, settings)
        self._exporter: Any = None
        self._pid = 0
        self._failing = False
        self._left_alone: list[Any] = []
        self._aborted = False
        self._finishing = threading.Event()

    def send(self, batch: Any, count: int, success: Any, *, retry: bool) -> bool:
        """Send a batch, on the thread that calls.

        Args:
            batch: what the stock exporter takes.
            count: how many records it holds.
            success: the stock exporter's result for success.
            retry: whether to keep trying while the destination does not answer.

        Returns:
            Whether the destination accepted it.
        """
        while True:
            trouble = self._try(batch, success)
            if trouble is None:
                self.delivered += count
                if self._failing:
                    self._failing = False
                    self.report.recovered(self.endpoint)
                return True
            if trouble.too_large and isinstance(batch, list) and count > 1:
                # One large record must not take the others with it.
                halves = batch[: count // 2], batch[count // 2 :]
                sent = [self.send(half, len(half), success, retry=retry) for half in halves]
                return all(sent)
            self._failing = True
            if not retry or not trouble.transient or self._finishing.is_set():
                self.give_up(count, trouble.reason)
                return False
            self.report.waiting(self.endpoint, trouble.reason)
            self._finishing.wait(_PAUSE_SECONDS)

    def give_up(self, count: int, reason: str) -> None:
        """Count records that will not be sent, and say so."""
        self.dropped += count
        if self.signal == "metrics" and self._finishing.is_set():
            return  # the last reading of a process is not worth a line
        self.report.dropped(self.signal, count, self.endpoint, reason)

    def finish(self, deadline: Deadline, reachable: dict[str, bool]) -> None:
        """Have what is left sent without further patience.

        Args:
            deadline: until when an answer may take. A destination that accepts no connection is
                given up at once.
            reachable: what is known already of hosts and ports; what is found out is added.
        """
        # Asked for even where the last batch was accepted: the destination may have gone since.
        place = self.endpoint.removesuffix(f"/v1/{self.signal}")
        if place not in reachable:
            reachable[place] = accepts_connections(
                self.endpoint, self.protocol, deadline.remaining()
            )
        if not reachable[place]:
            self.abort()
        self._finishing.set()

    def patience(self, deadline: Deadline) -> float:
        """Return the seconds that are worth waiting for this destination until ``deadline``."""
        remaining = deadline.remaining()
        return min(remaining, _ABORT_SECONDS) if self._aborted else remaining

    def abort(self) -> None:
        """Send no more, and interrupt the exporter where it waits to try again."""
        self._finishing.set()
        self._aborted = True
        self.close()

    def close(self) -> None:
        """Close the connection."""
        exporter, own = self._exporter, self._pid == os.getpid()
        self._exporter, self._pid = _Closed(), os.getpid()
        if exporter is not None and own:
            with overheard():
                exporter.shutdown()

    def start_afresh(self) -> None:
        """Forget what belongs to the parent process, in the child after a fork."""
        self.change_threading()
        self._failing = False
        self.delivered = self.dropped = 0

    def change_threading(self) -> None:
        """Make connection and locks anew, of whatever kind the process has at the next export."""
        self._finishing = threading.Event()
        if self._exporter is not None:
            # Not closed: the connection may be the parent process's, and gRPC must not tear that
            # down here.
            self._left_alone.append(self._exporter)
            self._exporter = None

    def _try(self, batch: Any, success: Any) -> Trouble | None:
        if self._aborted:
            return Trouble("it accepts no connection", transient=False)
        with overheard() as said:
            try:
                if self._exporter is None or self._pid != os.getpid():
                    self._make_exporter()
                if self._exporter.export(batch) is success:
                    return None
            except Exception as error:
                # A wrong certificate or compression, a library that is missing: not transient.
                return Trouble(f"{type(error).__name__}: {error}", transient=False)
        return Trouble.from_records(said)

    def _make_exporter(self) -> None:
        if self._exporter is not None:
            self.start_afresh()
        exporter = build_exporter(self.signal, self.protocol, self.endpoint, self._headers)
        self._exporter, self._pid = exporter, os.getpid()


class _Closed:
    """Stands where an exporter was after the end; accepts nothing."""

    def export(self, batch: Any) -> None:
        return None

    def shutdown(self) -> None:
        return None
