"""Runs the receiver that counts (:mod:`benchmarks.sink`) in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Sink:
    """Where it listens: ``http`` and ``grpc`` are addresses with their scheme."""

    http: str
    grpc: str

    def counts(self) -> dict[str, int]:
        """Ask what came since it was asked last."""
        with urllib.request.urlopen(f"{self.http}/counts") as answer:
            found: dict[str, int] = json.load(answer)
        return found


@contextmanager
def counting_sink() -> Iterator[Sink]:
    """Run it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield Sink(*(f"http://127.0.0.1:{int(port)}" for port in process.stdout.readline().split()))
    finally:
        process.stdin.close()
        process.wait(10)
