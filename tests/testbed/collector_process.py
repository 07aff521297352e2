"""A real OpenTelemetry Collector that runs the files a container would mount."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pytest

from tests.testbed import processes

BUILD = Path(__file__).parent / "collector" / "build"
CONFIG = Path(__file__).parents[2] / "deploy" / "collector" / "config.yaml"
START_SECONDS = 60.0


@dataclass
class Collector:
    """A Collector: its ports, its folder, and the process while there is one.

    Attributes:
        folder: holds what waits to be written (``storage``), its log, and the files it follows
            (``files/*.jsonl``).
        configs: its configuration; a later file changes what an earlier one says.
        environ: variables beside those of the ports and folders.
    """

    folder: Path
    configs: Sequence[Path] = (CONFIG,)
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.grpc, self.http, self.health = (processes.free_port() for _ in range(3))
        self.udp = processes.free_port(socket.SOCK_DGRAM)
        self.files = self.folder / "files"
        self.files.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "collector.log"

    def start(self) -> Collector:
        """Start it, with the same ports and folders as before, and wait until it takes records."""
        command = [program(), *(f"--config={path}" for path in self.configs)]
        environ = {
            **os.environ,
            "COLLECTOR_HOST": "127.0.0.1",
            "COLLECTOR_GRPC_PORT": str(self.grpc),
            "COLLECTOR_HTTP_PORT": str(self.http),
            "COLLECTOR_UDP_PORT": str(self.udp),
            "COLLECTOR_HEALTH_PORT": str(self.health),
            "COLLECTOR_STORAGE": str(self.folder / "storage"),
            "COLLECTOR_FILES": str(self.files / "*.jsonl"),
            **self.environ,
        }
        with self.log.open("ab") as output:
            self.process = processes.start(command, output, environ=environ)
        deadline = time.monotonic() + START_SECONDS
        while not self.healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"the Collector does not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """End it as ``docker stop`` does."""
        if self.process is not None:
            processes.stop(self.process, 15)
            self.process = None

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def discard(self) -> None:
        """End it at once, if it runs."""
        if self.process is not None:
            self.kill()

    def healthy(self) -> bool:
        """Whether its health endpoint says so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/", timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.HTTPError):
            return False


@lru_cache
def program() -> str:
    """Build the Collector where it is not built yet; returns the program's path."""
    done = subprocess.run([BUILD], capture_output=True, text=True, timeout=1200)
    if done.returncode:
        pytest.fail(f"the Collector cannot be built:\n{done.stderr[-3000:]}")
    return done.stdout.strip()
