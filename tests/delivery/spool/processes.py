"""Programs that use a spool, and are killed while they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent.parent.parent

PREAMBLE = """
import os, sys, time
from pathlib import Path
from tests.delivery.spool.payloads import *
folder = Path(sys.argv[1])
losses = Losses()
spool = spool_in(folder, losses, max_bytes=int(sys.argv[2]))
def say(text):
    # One write: nothing of it is lost when the process is killed.
    os.write(1, f"{text}\\n".encode())
"""


class Program:
    """A process, and the lines it says."""

    def __init__(
        self,
        code: str,
        folder: Path,
        *arguments: object,
        max_bytes: int = 2**20,
        within: Sequence[str] = (),
    ) -> None:
        """Run code after the preamble, by the command ``within`` if there is one."""
        command = [sys.executable, "-c", PREAMBLE + code, str(folder), str(max_bytes)]
        self.process = subprocess.Popen(
            [*within, *command, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT}"},
        )

    @property
    def output(self) -> IO[str]:
        """What it says."""
        assert self.process.stdout is not None
        return self.process.stdout

    def line(self) -> str:
        """Wait for its next line."""
        line = self.output.readline()
        assert line, f"it ended with {self.process.wait()}"
        return line.strip()

    def kill(self) -> list[str]:
        """Kill it with -9; return what it had said that was not read yet."""
        self.process.send_signal(signal.SIGKILL)
        return self.end(-signal.SIGKILL)

    def end(self, code: int = 0) -> list[str]:
        """Let it end, if it waits for that; return what it said that was not read yet."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        said = self.output.read().split()
        assert self.process.wait(60) == code
        return said


@contextmanager
def running(
    code: str,
    folder: Path,
    *arguments: object,
    max_bytes: int = 2**20,
    within: Sequence[str] = (),
) -> Iterator[Program]:
    """Run a program; it does not outlive the test."""
    program = Program(code, folder, *arguments, max_bytes=max_bytes, within=within)
    try:
        yield program
    finally:
        program.process.kill()
        if program.process.stdin is not None:
            program.process.stdin.close()
        program.process.wait()
        program.output.close()


def finished(code: str, folder: Path, *arguments: object, max_bytes: int = 2**20) -> list[str]:
    """Run a program to its end; return what it said."""
    with running(code, folder, *arguments, max_bytes=max_bytes) as program:
        return program.end()
