"""``otelbridge serve`` as a process that can be killed, started again, and given a small disk."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.mounts import Mounts, can_mount

NAMES = ("grpc", "http", "web", "udp")


@dataclass
class BridgeProcess:
    """A running bridge: where it is, and what it said on standard error."""

    process: subprocess.Popen[str]
    ports: dict[str, int]
    errors: Path

    def url(self, name: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def kill(self) -> None:
        """Kill it with -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def said(self) -> list[str]:
        return self.errors.read_text().splitlines()


def free_ports() -> dict[str, int]:
    """Ports that nobody uses now, for a bridge that is to come back at the same place."""
    found = {}
    with ExitStack() as stack:
        for name in NAMES:
            kind = socket.SOCK_DGRAM if name == "udp" else socket.SOCK_STREAM
            one = stack.enter_context(socket.socket(socket.AF_INET, kind))
            one.bind(("127.0.0.1", 0))
            found[name] = one.getsockname()[1]
    return found


def start_bridge(
    folder: Path,
    *,
    ports: dict[str, int] | None = None,
    wrap: Sequence[str] = (),
    **variables: str,
) -> BridgeProcess:
    """Start a bridge with its store in ``folder``; returns once everything answers."""
    environ = {
        **os.environ,
        **{f"OTELBRIDGE_{name.upper()}_PORT": str(ports[name] if ports else 0) for name in NAMES},
        "OTELBRIDGE_STORE": f"sqlite:///{folder}/bridge.db",
        **variables,
    }
    # Beside the folder: that one may be a disk of its own, or full.
    errors = folder.with_name(folder.name + ".errors")
    with errors.open("a") as file:
        process = subprocess.Popen(
            [*wrap, sys.executable, "-m", "otelbridge", "serve"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    said = ""
    assert process.stdout is not None
    while "OTEL_EXPORTER_OTLP_ENDPOINT" not in said:
        line = process.stdout.readline()
        assert line, f"serve ended with {process.wait(5)}: {errors.read_text()}"
        said += line
    found = dict(
        zip(
            ("web", "grpc", "http", "udp"),
            (int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", said)),
            strict=False,
        )
    )
    return BridgeProcess(process, found, errors)


@contextmanager
def running(folder: Path, **chosen: object) -> Iterator[BridgeProcess]:
    """A bridge for the length of a block; killed at its end."""
    folder.mkdir(exist_ok=True)
    bridge = start_bridge(folder, **chosen)  # type: ignore[arg-type]
    try:
        yield bridge
    finally:
        bridge.kill()
        assert bridge.process.stdout is not None
        bridge.process.stdout.close()


@contextmanager
def on_small_disk(folder: Path, size: int) -> Iterator[tuple[BridgeProcess, SmallDisk]]:
    """A bridge whose store is on a disk of ``size`` bytes.

    Where a program may not have mounts of its own, its files are limited instead.
    """
    folder.mkdir()
    mounts = Mounts()
    if can_mount():
        mounts.small(folder, size)
    with running(folder, wrap=mounts.command([])) as bridge:
        disk = SmallDisk(bridge.process.pid, folder, size if not mounts.commands else 0)
        yield bridge, disk


class SmallDisk:
    """A disk that a test fills and clears."""

    def __init__(self, pid: int, folder: Path, limit: int) -> None:
        self._pid = pid
        self._limit = limit
        # What the bridge says of it: SQLite knows a full disk from a file that may not grow.
        self.complaint = "cannot be written" if limit else "no room to store records"
        # Another process's mounts are reached by way of its root.
        self._ballast = Path(f"/proc/{pid}/root{folder}/ballast")

    def fill(self) -> None:
        """Leave no room for another page."""
        if self._limit:
            resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (self._limit, -1))
            return
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass

    def clear(self) -> None:
        """Make room again."""
        if self._limit:
            resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (-1, -1))
        else:
            self._ballast.unlink()
