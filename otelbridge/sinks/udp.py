"""Sending records as UDP datagrams: one record, one datagram, one JSON object."""

from __future__ import annotations

import itertools
import logging
import os
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

import orjson

from otelbridge.records.formatter import JsonFormatter
from otelbridge.schema import (
    EVENT_SEQUENCE,
    HOST_NAME,
    PROCESS_PID,
    SERVICE_NAME,
    SERVICE_NODE_NAME,
)
from otelbridge.settings import parse_address
from otelbridge.sinks.line import record_line
from otelbridge.sinks.parts import split_line
from otelbridge.sinks.resolver import Address, Resolver

# How much is kept while the destination's name is being looked up.
_MAX_WAITING_BYTES = 2**20

# How long closing may wait for that.
_CLOSE_SECONDS = 1.0

_SENDER_FIELDS = (SERVICE_NAME, SERVICE_NODE_NAME, HOST_NAME, PROCESS_PID)

# One sequence for each process and destination: two handlers of one process that send to the same
# bridge are one sender to it.
_sequences: dict[tuple[int, tuple[str, int]], Iterator[int]] = {}


class UDPHandler(logging.Handler):
    """Sends each record as one datagram.

    UDP cannot promise delivery, so it counts: every JSON line carries ``event.sequence``, from 1
    in each process, by which a receiver knows what was lost. A line longer than a datagram is
    sent as numbered parts (``otelbridge.part.*``), each with a sequence number of its own. A
    formatter that writes something else than JSON may be set; its lines carry no number.

    Nothing here waits or raises: the socket does not block, a host's name is looked up in a
    thread of its own, and what cannot be sent is counted.

    Args:
        address: host and port, or ``"host:port"``; IPv6 addresses too.
        max_bytes: the largest datagram, 512 to 65507.

    Attributes:
        sent: datagrams given to the network by this process.
        dropped: datagrams that could not be.

    Raises:
        ValueError: for an address or a size that is not allowed.
    """

    def __init__(
        self, address: tuple[str, int] | str = ("127.0.0.1", 4320), max_bytes: int = 8192
    ) -> None:
        super().__init__()
        if not 512 <= max_bytes <= 65507:
            raise ValueError(f"max_bytes is {max_bytes!r}; allowed: from 512 to 65507")
        host, port = parse_address(address) if isinstance(address, str) else address
        self.address = (str(host), int(port))
        self.max_bytes = max_bytes
        self.formatter = JsonFormatter()
        self._start()

    def _start(self) -> None:
        """Begin anew: at first, and in a forked child, whose datagrams are another sender's."""
        self.sent = 0
        self.dropped = 0
        self._pid = os.getpid()
        self._socket: socket.socket | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._sequence = _sequences.setdefault((self._pid, self.address), itertools.count(1))
        self._resolver = Resolver(*self.address, self._send_waiting)

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record; counts it as dropped where that is not possible."""
        try:
            line = record_line(self.format, record)
            if self._pid != os.getpid():
                self._start()
            for datagram in self._datagrams(line):
                self._send(datagram)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Send what waits for the destination's address, then close the socket."""
        if self._waiting and self._pid == os.getpid():
            self._resolver.wait(_CLOSE_SECONDS)
        self._send_waiting()
        self.acquire()
        try:
            self.dropped += len(self._waiting)
            self._waiting.clear()
            if self._socket is not None:
                self._socket.close()
                self._socket = None
        finally:
            self.release()
        super().close()

    def _datagrams(self, line: str) -> Iterator[bytes]:
        fields = self._json_fields(line)
        if fields is not None:
            number = next(self._sequence)
            numbered = f'{line.rstrip()[:-1]},"{EVENT_SEQUENCE}":{number}}}'.encode()
            if len(numbered) <= self.max_bytes:
                yield numbered
                return
            numbers: Iterator[int] = itertools.chain([number], self._sequence)
        else:
            plain = line.encode(errors="backslashreplace")
            if len(plain) <= self.max_bytes:
                yield plain
                return
            line, numbers = plain.decode(), self._sequence
        sender = {name: fields[name] for name in _SENDER_FIELDS if name in fields} if fields else {}
        for part in split_line(line, self.max_bytes, sender):
            part[EVENT_SEQUENCE] = next(numbers)
            yield orjson.dumps(part)

    def _json_fields(self, line: str) -> dict[str, Any] | None:
        """Return the line's fields if it is a JSON object that can take a sequence number."""
        if not line.startswith("{"):
            return None
        if type(self.formatter) is JsonFormatter and len(line) < self.max_bytes // 4:
            # Our own formatter's line, too short to be split: what is in it does not matter.
            return {}
        try:
            fields = orjson.loads(line)
        except ValueError:
            return None
        return fields if fields and EVENT_SEQUENCE not in fields else None

    def _send(self, datagram: bytes) -> None:
        address = self._resolver.address()
        if address is not None:
            self._send_waiting()
            self._send_to(address, datagram)
            return
        self._waiting.append(datagram)
        self._waiting_bytes += len(datagram)
        while self._waiting_bytes > _MAX_WAITING_BYTES:
            self._waiting_bytes -= len(self._waiting.popleft())
            self.dropped += 1

    def _send_waiting(self) -> None:
        """Send what waited for the address, if there is one now."""
        self.acquire()
        try:
            address = self._resolver.address() if self._waiting else None
            while address is not None and self._waiting:
                datagram = self._waiting.popleft()
                self._waiting_bytes -= len(datagram)
                self._send_to(address, datagram)
        finally:
            self.release()

    def _send_to(self, address: Address, datagram: bytes) -> None:
        try:
            if self._socket is None or self._socket.family != address.family:
                self._socket = socket.socket(address.family, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            self._socket.sendto(datagram, address.sockaddr)
        except OSError:
            # No route, no room in the socket's buffer, no file descriptor left: the datagram is
            # lost as UDP may lose any, and its sequence number tells the receiver so.
            self.dropped += 1
        else:
            self.sent += 1
