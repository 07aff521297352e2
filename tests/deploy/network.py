"""A network between a UDP sender and its receiver that is no faster than the receiver reads."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

BYTES_A_SECOND = 4e6
_RCVBUFFORCE = 33


@contextmanager
def paced(port: int) -> Iterator[int]:
    """Pass datagrams on to a local port at a bounded rate; yields the port to send to.

    The Collector cannot ask the system for a larger buffer than its default, 200 kB on Linux, which
    a burst of a few dozen datagrams fills while the machine is busy with something else.
    """
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as entry,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way_out,
    ):
        for option in (_RCVBUFFORCE, socket.SO_RCVBUF):
            try:
                entry.setsockopt(socket.SOL_SOCKET, option, 32 * 2**20)
            except OSError:
                continue
            break
        entry.bind(("127.0.0.1", 0))
        entry.settimeout(0.2)
        ended = threading.Event()

        def pass_on() -> None:
            while True:
                try:
                    datagram = entry.recv(65_535)
                except TimeoutError:
                    if ended.is_set():
                        return
                    continue
                way_out.sendto(datagram, ("127.0.0.1", port))
                time.sleep(len(datagram) / BYTES_A_SECOND)

        thread = threading.Thread(target=pass_on)
        thread.start()
        try:
            yield entry.getsockname()[1]
        finally:
            ended.set()
            thread.join()
