"""Small programs run in a process of their own: what is instrumented once, stays so."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass


@dataclass
class Ended:
    """How a program ended."""

    code: int
    out: str
    err: str
    seconds: float


def run_program(program: str, timeout: float = 60.0, **environ: str) -> Ended:
    """Run a program to its end, in an environment without any of OpenTelemetry's variables.

    Args:
        program: Python source.
        timeout: seconds after which it counts as hanging.
        environ: variables besides the process's own.
    """
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment(environ),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


def finish(program: str, timeout: float = 60.0, **environ: str) -> Ended:
    """Run a program that must succeed."""
    ended = run_program(program, timeout, **environ)
    assert ended.code == 0, ended.err
    return ended


def start_program(program: str, **environ: str) -> subprocess.Popen[str]:
    """Start a program that is spoken with through its standard input and output."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


_COLOUR = ("NO_COLOR", "FORCE_COLOR")


def environment(environ: dict[str, str]) -> dict[str, str]:
    """Return this process's variables but OpenTelemetry's, ours and colours, and ``environ``."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        # Each test's own folder; and no announcements among the records that tests count.
        if name in {"OTELBRIDGE_SPOOL_DIR", "OTELBRIDGE_HEARTBEAT"}
        or not name.startswith(("OTEL_", "OTELBRIDGE_", "FLASK_", "PYTHONWARNINGS", *_COLOUR))
    }
    # The time that a busy machine takes to send the last records.
    return {**inherited, "OTELBRIDGE_SHUTDOWN_TIMEOUT": "30s", **environ}
