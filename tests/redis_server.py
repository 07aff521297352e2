"""A real Redis, for tests of what speaks through one."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60.0


@contextmanager
def running_redis() -> Iterator[str]:
    """Run a Redis that keeps nothing and is reached by nobody else; yields the path of its socket.

    A socket of its own needs no port, which somebody else might take first.
    """
    server = shutil.which("redis-server")
    assert server is not None, "redis-server is missing: apt-get install redis-server"
    folder = tempfile.mkdtemp(prefix="redis-")  # pytest's own may be too long for a socket's path
    path = f"{folder}/socket"
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(path):
            assert process.poll() is None, f"redis-server ended with {process.returncode}"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)
        yield path
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        shutil.rmtree(Path(folder), ignore_errors=True)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
            client.sendall(b"PING\r\n")
            return client.recv(5) == b"+PONG"
        except OSError:
            return False
