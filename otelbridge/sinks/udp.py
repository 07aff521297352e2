"""Sending records as UDP datagrams: one record, one datagram, one JSON object."""

from __future__ import annotations

import itertools
import logging
import os
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
from otelbridge.setting_values import parse_address
from otelbridge.sinks.line import record_line
from otelbridge.sinks.parts import split_line
from otelbridge.sinks.udp_sender import sender_to

# Of the field with the longest number there can be.
_NUMBER_CHARS = len(f',"{EVENT_SEQUENCE}":{2**64}')

_SENDER_FIELDS = (SERVICE_NAME, SERVICE_NODE_NAME, HOST_NAME, PROCESS_PID)


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
        self._closed = False
        self._sender = sender_to(self.address)
        self._sender.open()

    @property
    def sent(self) -> int:
        """Datagrams this process gave to the network for this address."""
        return self._sender.sent

    @property
    def dropped(self) -> int:
        """Datagrams of this process for this address that could not be sent."""
        return self._sender.dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record; counts it as dropped where that is not possible."""
        try:
            line = record_line(self.format, record)
            if self._sender.pid != os.getpid():
                self._sender = sender_to(self.address)
                self._sender.open()
            if type(self.formatter) is JsonFormatter and self._fits(line):
                number = next(self._sender.numbers)
                self._sender.send(f'{line[:-1]},"{EVENT_SEQUENCE}":{number}}}'.encode())
                return
            for datagram in self._datagrams(line, self._sender.numbers):
                self._sender.send(datagram)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Send what waits for the destination's address, then close the socket."""
        if not self._closed:
            self._closed = True
            self._sender.close()
        super().close()

    def _fits(self, line: str) -> bool:
        """Tell whether our own formatter's line is surely no longer than a datagram, numbered."""
        return 4 * len(line) < self.max_bytes - _NUMBER_CHARS and line[0] == "{"

    def _datagrams(self, line: str, numbers: Iterator[int]) -> Iterator[bytes]:
        fields = self._json_fields(line)
        if fields is not None:
            number = next(numbers)
            numbered = f'{line.rstrip()[:-1]},"{EVENT_SEQUENCE}":{number}}}'.encode()
            if len(numbered) <= self.max_bytes:
                yield numbered
                return
            numbers = itertools.chain([number], numbers)
        else:
            plain = line.encode(errors="backslashreplace")
            if len(plain) <= self.max_bytes:
                yield plain
                return
            line = plain.decode()
        sender = {name: fields[name] for name in _SENDER_FIELDS if name in fields} if fields else {}
        for part in split_line(line, self.max_bytes, sender):
            part[EVENT_SEQUENCE] = next(numbers)
            yield orjson.dumps(part)

    def _json_fields(self, line: str) -> dict[str, Any] | None:
        """Return the line's fields if it is a JSON object that can take a sequence number."""
        if not line.startswith("{"):
            return None
        try:
            fields = orjson.loads(line)
        except ValueError:
            return None
        return fields if fields and EVENT_SEQUENCE not in fields else None
