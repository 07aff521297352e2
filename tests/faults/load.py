"""Asks the app for numbers at a steady rate, in a process of its own, until it is told to end.

    python -m tests.faults.load --rate 50 --records 10 --out FILE PORT [PORT ...]

Requests leave at their planned moments whether or not earlier ones were answered, as those of many
users do, unless very many wait already. Each request's line in the file is ``[first number, moment,
seconds, pid, seconds inside]``: the moment on the system's clock, the process that answered and how
long it was at it, and nothing of these two where there was no answer. What each process counts of
its own deliveries stands between them as ``{"pid": ..., "delivery": ...}``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import time
from pathlib import Path
from typing import IO, Any

ANSWER_SECONDS = 30.0
# An app that is slower than what it is asked has so many requests waiting; then some are left out.
MOST_UNDER_WAY = 64
ASK_SECONDS = 1.0


class Load:
    """What is asked for, and where the answers are written."""

    def __init__(self, ports: list[int], rate: float, records: int, out: IO[str]) -> None:
        self.ports = ports
        self.rate = rate
        self.records = records
        self.out = out
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Ask until ended, then wait for what is still to be answered."""
        running: set[asyncio.Task[None]] = set()
        asking = asyncio.create_task(self._ask_for_counts())
        begun = time.monotonic()
        count = 0
        while not self.ended.is_set():
            wait = begun + count / self.rate - time.monotonic()
            if wait > 0:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.ended.wait(), wait)
                if self.ended.is_set():
                    break
            if len(running) < MOST_UNDER_WAY:
                task = asyncio.create_task(self._ask(count))
                running.add(task)
                task.add_done_callback(running.discard)
            count += 1
        if running:
            await asyncio.wait(running)
        asking.cancel()

    async def _ask(self, count: int) -> None:
        first, began, at = count * self.records, time.monotonic(), time.time()
        answer = await ask(
            self.ports[count % len(self.ports)], f"/numbers/{first}/{self.records}", ANSWER_SECONDS
        )
        line = [first, at, time.monotonic() - began]
        line += [answer["pid"], answer["seconds"]] if answer else [None, None]
        self.out.write(json.dumps(line) + "\n")

    async def _ask_for_counts(self) -> None:
        while True:
            await asyncio.sleep(ASK_SECONDS)
            for port in self.ports:
                answer = await ask(port, "/delivery", ANSWER_SECONDS)
                if answer:
                    self.out.write(json.dumps(answer) + "\n")
            self.out.flush()


async def ask(port: int, path: str, seconds: float) -> dict[str, Any] | None:
    """Ask an app on this machine; nothing is returned where it does not answer with success."""
    try:
        answer = await asyncio.wait_for(_exchange(port, path), seconds)
    except (OSError, asyncio.TimeoutError):
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        return None
    try:
        found: dict[str, Any] = json.loads(body)
    except ValueError:
        return None  # the process was killed while it wrote
    _, _, seconds = head.partition(b"X-Seconds: ")
    return {**found, "seconds": float(seconds.split(b"\r\n")[0])}


async def _exchange(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n".encode())
        return await reader.read(-1)
    finally:
        writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--records", type=int, default=1, help="numbers a request")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("ports", type=int, nargs="+")
    given = parser.parse_args()
    with given.out.open("w") as out:
        load = Load(given.ports, given.rate, given.records, out)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, load.ended.set)
        await load.run()


if __name__ == "__main__":
    asyncio.run(main())
