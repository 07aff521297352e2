"""Looking up a host's address without making the caller wait."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

# A name is looked up again so that a service that moved is followed, and one that could not be
# found is found once it is there.
REFRESH_SECONDS = 30.0


class Address(NamedTuple):
    """Where datagrams go, as the socket module takes it."""

    family: int
    sockaddr: tuple[Any, ...]


class Resolver:
    """Knows the address of one host and port.

    A numeric address is known at once. A name is looked up in a thread of its own, because that
    can take seconds; until it is found, :meth:`address` returns ``None``.

    Args:
        host: a name, or an IPv4 or IPv6 address.
        port: the UDP port.
        on_found: called from the looking thread once there is an address.
    """

    def __init__(self, host: str, port: int, on_found: Callable[[], None]) -> None:
        self._host, self._port, self._on_found = host, port, on_found
        self._idle = threading.Event()
        self._idle.set()
        try:
            self._found: Address | None = _look_up(host, port, socket.AI_NUMERICHOST)
            self._numeric = True
        except (OSError, UnicodeError):
            self._found = None
            self._numeric = False
        self._next_look = 0.0

    def address(self) -> Address | None:
        """Return the address, if it is known by now; looks it up anew from time to time."""
        if self._numeric:
            return self._found
        now = time.monotonic()
        if now >= self._next_look and self._idle.is_set():
            self._next_look = now + REFRESH_SECONDS
            self._idle.clear()
            try:
                threading.Thread(target=self._look, name="otelbridge-resolver", daemon=True).start()
            except RuntimeError:
                # No thread can be started while the interpreter ends.
                self._idle.set()
        return self._found

    def wait(self, timeout: float) -> None:
        """Wait until no look-up is under way, at most ``timeout`` seconds."""
        self._idle.wait(timeout)

    def _look(self) -> None:
        try:
            self._found = _look_up(self._host, self._port)
        except (OSError, UnicodeError):
            # Unknown for now. An address known before is kept: it may well still be right.
            pass
        finally:
            self._idle.set()
        if self._found is not None:
            self._on_found()


def _look_up(host: str, port: int, flags: int = 0) -> Address:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)
    # Nothing tells whether a datagram arrived, so one family must do; a name such as localhost
    # has both, and most receivers listen on IPv4.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, _, _, _, sockaddr = found[0]
    return Address(family, sockaddr)
