"""Programs that tests start, ended with the tests whatever becomes of these."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1


def start(
    command: Sequence[str | Path],
    output: IO[bytes],
    *,
    environ: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that the system ends should the tests be killed.

    Args:
        output: where its output goes, or its errors alone if ``stdout`` is given.
    """
    return subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=output if stdout is None else stdout,
        stderr=output,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )


def stop(process: subprocess.Popen[bytes], timeout: float = 20) -> None:
    """End a program gently, and after ``timeout`` seconds otherwise."""
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Find a port that nobody listens on."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
