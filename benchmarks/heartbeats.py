"""Many small programs with a heartbeat each; prints how long every one of them took.

python -m benchmarks.heartbeats --address 127.0.0.1:4318 --projects 200 --seconds 300
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from websockets.asyncio.client import connect

# Sends a message and returns once it is answered.
Say: TypeAlias = "Callable[[dict[str, Any]], Any]"

MEGABYTE = 2**20


async def by_post(host: str, port: int) -> Say:
    """Open a connection that is kept, and post on it."""
    reader, writer = await asyncio.open_connection(host, port)

    async def say(message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        head = f"POST /v1/lifecycle HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}"
        writer.write(f"{head}\r\n\r\n".encode() + body)
        await writer.drain()
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        (size,) = (line[15:] for line in lines if line.startswith(b"content-length:"))
        answer = await reader.readexactly(int(size))
        if b" 200 " not in status:
            raise RuntimeError(answer.decode())

    return say


async def by_websocket(host: str, port: int) -> Say:
    """Open a WebSocket."""
    socket = await connect(f"ws://{host}:{port}/v1/lifecycle")

    async def say(message: dict[str, Any]) -> None:
        await socket.send(json.dumps(message))
        answer = json.loads(await socket.recv())
        if answer.get("status") != "ok":
            raise RuntimeError(answer["error"])

    return say


WAYS = {"post": by_post, "websocket": by_websocket}


async def live(say: Say, number: int, seconds: float, took: list[float]) -> int:
    """Be one program: announce, then beat once a second; returns how many heartbeats were sent."""
    who = {"project": f"project-{number:03}", "process": f"process-{number:03}"}
    await say({"event": "start", "interval": 1, **who})
    # Not all in one moment.
    due = time.monotonic() + (number % 100) / 100
    end = due + seconds
    sent = 0
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        began = time.monotonic()
        await say({"event": "heartbeat", "cpu": 0.1, "memory": 50 * MEGABYTE, **who})
        took.append(time.monotonic() - began)
        sent += 1
        due += 1.0
    return sent


async def live_all(host: str, port: int, way: str, projects: int, seconds: float) -> dict[str, Any]:
    """Be all of them."""
    said = [await WAYS[way](host, port) for _ in range(projects)]
    took: list[float] = []
    sent = await asyncio.gather(
        *(live(say, number, seconds, took) for number, say in enumerate(said))
    )
    return {"sent": sum(sent), "took": took}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", required=True)
    parser.add_argument("--way", choices=sorted(WAYS), default="post")
    parser.add_argument("--projects", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300)
    given = parser.parse_args()
    host, _, port = given.address.rpartition(":")
    outcome = live_all(host, int(port), given.way, given.projects, given.seconds)
    print(json.dumps(asyncio.run(outcome)))


if __name__ == "__main__":
    main()
