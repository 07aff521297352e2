"""A real bridge process, as commands and browsers see it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from otelbridge.commands.ask import BridgeClient

DEADLINE = 60.0


@dataclass
class ServedBridge:
    """A bridge process: where it is, and how to send it records."""

    process: subprocess.Popen[str]
    url: str
    http_port: int
    udp_port: int

    def send(self, *lines: dict) -> None:
        """Send JSON lines and wait until they are stored."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for line in lines:
                sender.sendto(json.dumps(line).encode(), ("127.0.0.1", self.udp_port))
        self.wait_for(f"batch: {lines[-1]['batch']}", len(lines))

    def wait_for(self, query: str, count: int) -> None:
        client = BridgeClient(self.url, None)
        deadline = time.monotonic() + DEADLINE
        while client.get("/logs.json", query=query, range="1h", limit=1)["total"] < count:
            assert time.monotonic() < deadline, f"{count} of {query} never came"
            time.sleep(0.02)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE)


def serve(folder: Path, *options: str) -> ServedBridge:
    """Start ``otelbridge serve`` on free ports unless told others, and read where it is."""
    ports = [f"--{name}-port=0" for name in ("grpc", "http", "web", "udp")]
    store = f"sqlite:///{folder}/store.db"
    process = subprocess.Popen(
        [sys.executable, "-m", "otelbridge", "serve", *ports, f"--store={store}", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    said = ""
    assert process.stdout is not None
    while not re.search(r"^ *send ", said, re.MULTILINE):
        line = process.stdout.readline()
        assert line, f"serve ended with {process.wait(5)} after {said!r}"
        said += line
    web = re.search(r"http://127\.0\.0\.1:\d+(?=/)", said)
    http = re.search(r"OTLP/HTTP +http://127\.0\.0\.1:(\d+)", said)
    udp = re.search(r"UDP lines +127\.0\.0\.1:(\d+)", said)
    assert web, said
    assert http, said
    assert udp, said
    return ServedBridge(process, web[0], int(http[1]), int(udp[1]))
