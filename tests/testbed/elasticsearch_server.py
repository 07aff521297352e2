"""A real Elasticsearch core; ``elasticsearch/README.md`` says what it has and what it lacks."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.testbed import processes

RUN = Path(__file__).parent / "elasticsearch" / "run"
# The first start builds it, which takes a minute where Maven has nothing yet.
START_SECONDS = 600.0


@contextmanager
def elasticsearch_server(folder: Path, port: int = 0, *options: str) -> Iterator[str]:
    """Run a server with its data and its log in ``folder``; yields its address."""
    process, url = start(folder, port, *options)
    try:
        yield url
    finally:
        processes.stop(process)


def start(folder: Path, port: int = 0, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server; returns it with its address once it answers."""
    command = [RUN, "--port", str(port), "--data", folder / "data", "--heap", "512m", *options]
    log, ready = folder / "elasticsearch.log", folder / "ready"
    with log.open("ab") as errors, ready.open("wb") as said:
        process = processes.start([str(part) for part in command], errors, stdout=said)
    deadline = time.monotonic() + START_SECONDS
    while not (line := ready.read_text()).endswith("\n"):
        if process.poll() is not None or time.monotonic() > deadline:
            processes.stop(process)
            pytest.fail(f"Elasticsearch does not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.05)
    return process, line.split()[1]
