"""What every destination that records are sent to over a connection has in common.

- The connection is made at the first sending, in the process that sends, and anew after a fork.
  So ``import otelbridge`` loads no client library, and no connection is shared by two processes.
- What the destination does not take is halved until only what is wrong is left out.
- At the end of the process nothing waits longer than allowed, and not at all for a destination
  that accepts no connection.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

from otelbridge.delivery.answer import TOO_LARGE, Answer
from otelbridge.delivery.queue import EncodedRecords
from otelbridge.delivery.redacted import redact_records
from otelbridge.sinks.otlp_exporters import accepts_connections
from otelbridge.sinks.otlp_trouble import TroubleReport, overheard

if TYPE_CHECKING:
    from otelbridge.delivery.payload import Payload
    from otelbridge.delivery.timing import Deadline
    from otelbridge.sinks.otlp_exporters import Signal

# What a sending that was interrupted gets to return.
_ABORT_SECONDS: Final = 0.3
# So many records refused one after the other, and the rest of what they came with is too: where
# everything is refused, each record of a batch must not become a request.
_REFUSED_IN_A_ROW: Final = 8


class Destination(ABC):
    """Where the records of one signal go.

    Attributes:
        sink: its name among the settings.
        signal: ``logs``, ``traces`` or ``metrics``.
        endpoint: its address, as messages name it.
        failing: whether the last attempt failed.
        batch_size: how many records are sent at once, unless the program's user says so.
        batch_bytes: the most bytes of records that are encoded together.
        takes_encoded: whether a record may be encoded by itself, before it is sent with others.
    """

    sink: ClassVar[str]
    takes_encoded: ClassVar[bool] = False
    batch_size: ClassVar[int] = 512
    batch_bytes: ClassVar[int] = sys.maxsize

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
        self.failing = False
        self._connection: Any = None
        self._pid = 0
        self._left_alone: list[Any] = []
        self._aborted = self._closed = False

    def encode(self, records: Any) -> bytes:
        """Encode records, without their secrets; what two calls return may be joined.

        Args:
            records: of the SDK, and :class:`EncodedRecords`, which hold none.
        """
        if self.signal == "metrics":
            return self._encode(records)
        plain = [record for record in records if type(record) is not EncodedRecords]
        if plain:
            redacted = iter(redact_records(self.signal, plain))
            records = [
                record if type(record) is EncodedRecords else next(redacted) for record in records
            ]
        return self._encode(records)

    def write(self, record: Any) -> bytes | None:
        """Encode a record on the thread that made it; ``None`` where that takes longer."""
        return None

    def encode_alone(self, record: Any) -> bytes:
        """Encode one record, on the thread that made it."""
        return self.encode([record])

    @abstractmethod
    def _encode(self, records: Any) -> bytes:
        """Encode what is to be sent."""

    @abstractmethod
    def _attempt(self, connection: Any, body: bytes) -> Answer:
        """Send encoded records once."""

    @abstractmethod
    def _split(self, body: bytes) -> tuple[bytes, bytes]:
        """Halve encoded records."""

    @abstractmethod
    def _connect(self) -> Any:
        """Make the connection, or what holds it."""

    @abstractmethod
    def _disconnect(self, connection: Any) -> None:
        """End what :meth:`_connect` made."""

    def deliver(self, payload: Payload) -> Answer:
        """Send records, on the thread that calls; never raises."""
        return self.send(payload.body, payload.count)

    def send(self, body: bytes, count: int) -> Answer:
        """Send ``count`` encoded records, on the thread that calls; never raises."""
        parts = [(body, count)]
        dropped = in_a_row = 0
        worst = Answer()
        while parts:
            body, count = parts.pop()
            answer = self._try(body)
            if answer.later:
                # Whatever was taken of it is recognised when it comes again.
                return answer
            if not answer.whole:
                dropped += answer.dropped
                in_a_row = 0
            elif count > 1 and in_a_row < _REFUSED_IN_A_ROW:
                first, second = self._split(body)
                parts += [(second, count - count // 2), (first, count // 2)]
                continue
            else:
                dropped += count
                in_a_row += answer.cause != TOO_LARGE
            worst = answer if answer.reason else worst
        return Answer(dropped=dropped, cause=worst.cause, reason=worst.reason)

    def waiting(self, answer: Answer) -> None:
        """Say that records wait, and why."""
        self.failing = True
        self.report.waiting(self.endpoint, answer.reason)

    def recovered(self) -> None:
        """Say that records are taken again."""
        if self.failing:
            self.failing = False
            self.report.recovered(self.endpoint)

    def dropped(self, count: int, reason: str) -> None:
        """Say that records were given up."""
        self.report.dropped(self.signal, count, self.endpoint, reason)

    def finish(self, deadline: Deadline, reachable: dict[str, bool]) -> None:
        """Look whether what is left can be sent at all.

        Args:
            deadline: until when that may take. A destination that accepts no connection is given
                up at once.
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

    def patience(self, deadline: Deadline) -> float:
        """Return the seconds that are worth waiting for this destination until ``deadline``."""
        remaining = deadline.remaining()
        return min(remaining, _ABORT_SECONDS) if self._aborted else remaining

    def abort(self) -> None:
        """Send no more."""
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

    def change_threading(self) -> None:
        """Make the connection anew, of whatever kind the process has at the next sending."""
        self._closed = False
        if self._connection is not None:
            # Not closed: the connection may be the parent process's, and gRPC must not tear that
            # down here.
            self._left_alone.append(self._connection)
            self._connection = None

    def _try(self, body: bytes) -> Answer:
        if self._aborted:
            return Answer(later=True, reason="it accepts no connection")
        with overheard():
            try:
                connection = self._connected()
                if connection is None:
                    return Answer(later=True, reason="it was closed")
                return self._attempt(connection, body)
            except Exception as error:
                # A wrong certificate, a library that is missing: a person can put that right.
                return Answer(later=True, reason=f"{type(error).__name__}: {error}")

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
