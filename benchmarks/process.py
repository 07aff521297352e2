"""A real ``otelbridge serve`` of its own: free ports, a temporary store, its memory watched."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.memory import peak_memory


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class BridgeProcess:
    """A running bridge.

    Attributes:
        start_seconds: from starting the interpreter to the first answers of page and receivers.
        peak: largest resident memory seen, in bytes, of the process and its children.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    grpc: int
    http: int
    web: int
    udp: int
    start_seconds: float = 0.0
    _watched: list[psutil.Process] = field(default_factory=list)

    @property
    def store(self) -> Path:
        """The store's file."""
        return self.folder / "bench.db"

    def address(self, protocol: str) -> str:
        """``host:port`` of the receiver that speaks a protocol."""
        return f"127.0.0.1:{self.grpc if protocol == 'grpc' else self.http}"

    def _processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def peak(self) -> int:
        """Largest resident memory since the start, in bytes (the kernel's own high-water mark)."""
        return sum(peak_memory(process.pid) for process in self._processes())

    def cpu(self) -> float:
        """Seconds of processor taken so far."""
        return sum(p.cpu_times().user + p.cpu_times().system for p in self._processes())

    def disk(self) -> int:
        """Bytes of the store's files, the write-ahead log included."""
        return sum(path.stat().st_size for path in self.folder.glob("bench.db*"))

    def log(self) -> str:
        """What it printed."""
        return (self.folder / "serve.log").read_text(errors="replace")

    def get(self, path: str, timeout: float = 60.0) -> tuple[int, bytes]:
        """Ask the page's server for ``path``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.web, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def running_bridge(
    *, store_from: Path | None = None, wait: float = 30.0, **settings: str
) -> Iterator[BridgeProcess]:
    """Start ``otelbridge serve``, and end it afterwards.

    Args:
        store_from: a folder whose store to start with, instead of an empty one; it is used in
            place and kept.
        wait: seconds to wait for its first answers.
        settings: variables by name, such as ``OTELBRIDGE_RETENTION="1d"``.

    Raises:
        RuntimeError: it ended or did not answer; the text holds what it printed.
    """
    folder = store_from or Path(tempfile.mkdtemp(prefix="otelbridge-bench-"))
    ports = {"grpc": free_port(), "http": free_port(), "web": free_port()}
    ports["udp"] = free_port(socket.SOCK_DGRAM)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE_"))}
    environ |= {f"OTELBRIDGE_{name.upper()}_PORT": str(port) for name, port in ports.items()}
    environ |= {"OTELBRIDGE_STORE": f"sqlite:///{folder / 'bench.db'}", "PYTHONUNBUFFERED": "1"}
    environ |= settings
    with (folder / "serve.log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "otelbridge", "serve"],
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    bridge = BridgeProcess(process, folder, **ports)
    try:
        _await_answers(bridge, began + wait)
        bridge.start_seconds = time.monotonic() - began
        yield bridge
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if store_from is None:
            shutil.rmtree(folder, ignore_errors=True)


def _await_answers(bridge: BridgeProcess, deadline: float) -> None:
    """Wait until page, OTLP/HTTP and OTLP/gRPC have answered, each with its own protocol."""
    from benchmarks.load import RetryLaterError, connect

    waiting = ["grpc", "http/protobuf", "web"]
    while waiting:
        if bridge.process.poll() is not None:
            raise RuntimeError(
                f"the bridge ended with {bridge.process.returncode}:\n{bridge.log()}"
            )
        if time.monotonic() > deadline:
            raise RuntimeError(f"no answer from {', '.join(waiting)}:\n{bridge.log()}")
        try:
            if waiting[0] == "web":
                if bridge.get("/logs")[0] >= 500:
                    raise OSError("not ready")
            else:
                # An empty export is a valid request.
                connect(waiting[0], bridge.address(waiting[0]), "logs").send(b"")
            waiting.pop(0)
        except (OSError, RetryLaterError):
            time.sleep(0.01)


def count_rows(store: Path, table: str) -> int:
    """Count a table's rows that were sent, beside the running bridge and without its help."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30)
    # Errors that stand only on spans are listed as logs, which nobody sent.
    sent = "WHERE event_name IS NOT 'exception'" if table == "logs" else ""
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table} {sent}").fetchone()[0])
    finally:
        connection.close()


def weigh(bridge: BridgeProcess) -> int:
    """Bytes of the store once its write-ahead log, which does not grow with it, is written back."""
    settle(bridge)
    connection = sqlite3.connect(bridge.store, timeout=30)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return bridge.disk()


def settle(bridge: BridgeProcess, quiet: float = 3.0) -> None:
    """Wait until the files have not changed for ``quiet`` seconds, at most a minute."""
    size, since, end = bridge.disk(), time.monotonic(), time.monotonic() + 60
    while time.monotonic() < end and time.monotonic() - since < quiet:
        time.sleep(0.25)
        if bridge.disk() != size:
            size, since = bridge.disk(), time.monotonic()
