"""One process's datagrams to one address: numbered together, from one socket."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections import deque
from collections.abc import Iterator

from otelbridge.sinks.resolver import Address, Resolver

# How much is kept while the destination's name is being looked up.
_MAX_WAITING_BYTES = 2**20

# How long closing may wait for that.
_CLOSE_SECONDS = 1.0


class UDPSender:
    """Sends datagrams to one address, and counts; never waits and never raises.

    A receiver tells senders apart by process and source address, so all handlers of a process that
    send to one address share a sender; :func:`sender_to` finds it.

    Attributes:
        pid: the process it belongs to; a forked child needs one of its own.
        numbers: the sequence numbers of this process's datagrams to this address.
        sent: datagrams given to the network.
        dropped: datagrams that could not be.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.pid = os.getpid()
        self.address = address
        self.numbers: Iterator[int] = itertools.count(1)
        self.sent = 0
        self.dropped = 0
        self._users = 0
        self._lock = threading.RLock()
        self._socket: socket.socket | None = None
        # Its own property makes an enumeration's member each time.
        self._family = 0
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._resolver = Resolver(*address, self._send_waiting)

    def open(self) -> None:
        """Note one more handler that uses it."""
        with self._lock:
            self._users += 1

    def close(self) -> None:
        """Send what waits for the address; close the socket if this was the last user."""
        if self._waiting and self.pid == os.getpid():
            self._resolver.wait(_CLOSE_SECONDS)
            self._send_waiting()
        with self._lock:
            self._users -= 1
            if self._users > 0:
                return
            _senders.pop((self.pid, self.address), None)
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def send(self, datagram: bytes) -> None:
        """Send a datagram, or keep it until the address is known, or count it as dropped."""
        with self._lock:
            address = self._resolver.address()
            if address is not None:
                if self._waiting:
                    self._send_waiting()
                self._send_to(address, datagram)
                return
            self._waiting.append(datagram)
            self._waiting_bytes += len(datagram)
            while self._waiting_bytes > _MAX_WAITING_BYTES:
                self._waiting_bytes -= len(self._waiting.popleft())
                self.dropped += 1

    def _send_waiting(self) -> None:
        with self._lock:
            address = self._resolver.address() if self._waiting else None
            while address is not None and self._waiting:
                datagram = self._waiting.popleft()
                self._waiting_bytes -= len(datagram)
                self._send_to(address, datagram)

    def _send_to(self, address: Address, datagram: bytes) -> None:
        try:
            if self._socket is None or self._family != address.family:
                self._socket = socket.socket(address.family, socket.SOCK_DGRAM)
                self._family = address.family
                self._socket.setblocking(False)
            self._socket.sendto(datagram, address.sockaddr)
        except OSError:
            # No route, no room in the socket's buffer, no file descriptor left: the datagram is
            # lost as UDP may lose any, and its sequence number tells the receiver so.
            self.dropped += 1
        else:
            self.sent += 1


# Only for the handlers of one process to find each other.
_senders: dict[tuple[int, tuple[str, int]], UDPSender] = {}


def sender_to(address: tuple[str, int]) -> UDPSender:
    """Return this process's sender to an address."""
    key = (os.getpid(), address)
    return _senders.get(key) or _senders.setdefault(key, UDPSender(address))
