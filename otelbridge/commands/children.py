"""Child processes that end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# Long enough for a service to hand over its last records.
STOP_SECONDS = 10.0


class Child:
    """A process in a session of its own, so that Ctrl-C reaches it through us, in our order.

    Args:
        name: what to call it in messages; also its output's file name.
        arguments: the command line.
        folder: where its output is kept.
        environ: its environment.
        keep: file descriptors to hand down.
        own_output: keep its output in a file; else it writes where we do.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        *,
        keep: Sequence[int] = (),
        own_output: bool = True,
    ) -> None:
        self.name = name
        self._path = folder / f"{name.replace(' ', '-')}.log"
        with self._path.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 (our own command lines)
                arguments,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output if own_output else None,
                stderr=subprocess.STDOUT if own_output else None,
                pass_fds=keep,
                start_new_session=True,
            )

    def output(self) -> str:
        """What it has written."""
        return self._path.read_text(errors="replace")

    def last_words(self) -> str:
        """The end of what it has written."""
        return "\n".join("  " + line for line in self.output().splitlines()[-20:])

    def ask_to_stop(self) -> None:
        """Send SIGTERM; a service then hands over its last records."""
        if self.process.poll() is None:
            self.process.terminate()

    def end(self) -> None:
        """Wait for its end, and end what remains of its session by force."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            # Workers whose master was killed, or died, are still in its session.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def stop_all(*groups: Sequence[Child]) -> None:
    """Stop one group after the other, the members of each at the same time."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C changes nothing
    try:
        for group in groups:
            for child in group:
                child.ask_to_stop()
            for child in group:
                child.end()
    finally:
        signal.signal(signal.SIGINT, previous)
