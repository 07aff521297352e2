"""What every destination that records are sent to over a connection has in common.

- The connection is made at the first sending, in the process that sends, and anew after a fork.
  So ``import otelbridge`` loads no client library, and no connection is shared by two processes.
- What is given up is counted, and the program's log says so.
- At the end of the process nothing waits longer than allowed, and not at all for a destination
  that accepts no connection.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from otelbridge.sinks.otlp_exporters import accepts_connections
from otelbridge.sinks.otlp_trouble import TroubleReport, overheard

if TYPE_CHECKING:
    from otelbridge.sinks.otlp_exporters import Signal
    from otelbridge.sinks.queue import Deadline

# What a sending that was interrupted gets to return.
_ABORT_SECONDS: Final = 0.3


class Destination(ABC):
    """Where the records of one signal go.

    Attributes:
        signal: ``logs``, ``traces`` or ``metrics``.
        endpoint: its address, as messages name it.
        delivered: how many records this process had accepted by the destination.
        dropped: how many it gave up.
        failing: whether the last attempt failed.
    """

    def __init__(self, signal: Signal, endpoint: str, protocol: str, report: TroubleReport) -> None:
        """Remember where to send; nothing is opened yet.

        Args:
            signal: what is sent.
            endpoint: where to.
            protocol: what is spoken there; ``grpc`` takes no proxy.
            report: what goes wrong is told to it.
        """
        self.signal = signal
        self.endpoint = endpoint
        self.protocol = protocol
        self.report = report
        self.delivered = 0
        self.dropped = 0
        self.failing = False
        self._connection: Any = None
        self._pid = 0
        self._left_alone: list[Any] = []
        self._aborted = self._closed = False
        self._finishing = threading.Event()

    @abstractmethod
    def send(self, batch: Any, count: int, success: Any, *, retry: bool) -> bool:
        """Send a batch, on the thread that calls.

        Args:
            batch: what the destination takes.
            count: how many records it holds.
            success: the result by which a stock exporter says that it took the batch.
            retry: whether to keep trying while the destination does not answer.

        Returns:
            Whether the destination accepted it.
        """

    @abstractmethod
    def _connect(self) -> Any:
        """Make the connection, or what holds it."""

    @abstractmethod
    def _disconnect(self, connection: Any) -> None:
        """End what :meth:`_connect` made."""

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
        """Send no more, and interrupt a sending that waits to try again."""
        self._finishing.set()
        self._aborted = True
        self.close()

    def close(self) -> None:
        """Close the connection."""
        connection, own = self._connection, self._pid == os.getpid()
        self._connection, self._closed = None, True
        if connection is not None and own:
            with overheard():
                self._disconnect(connection)

    def start_afresh(self) -> None:
        """Forget what belongs to the parent process, in the child after a fork."""
        self.change_threading()
        self.failing = False
        self.delivered = self.dropped = 0

    def change_threading(self) -> None:
        """Make connection and locks anew, of whatever kind the process has at the next sending."""
        self._finishing = threading.Event()
        self._closed = False
        if self._connection is not None:
            # Not closed: the connection may be the parent process's, and gRPC must not tear that
            # down here.
            self._left_alone.append(self._connection)
            self._connection = None

    def _connected(self) -> Any:
        """The connection of this process, made if need be; ``None`` after the end."""
        if self._pid != os.getpid() and self._connection is not None:
            self.start_afresh()
        if self._connection is None and not self._closed:
            connection = self._connect()
            if bool(self._closed):
                # The end came in the meantime.
                self._disconnect(connection)
                return None
            self._connection, self._pid = connection, os.getpid()
        return self._connection
