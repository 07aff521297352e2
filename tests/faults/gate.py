"""A gate between an app and where it sends to, that can do to a request what networks do.

It runs on a thread of its own. An HTTP gate reads each request whole and decides by its ``fault``
what becomes of it; a TCP gate passes bytes and knows nothing of what they mean, which suits gRPC.
Every fault applies to connections that are open already as well as to new ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

_STEP_SECONDS = 0.05
# An answer of a few bytes is through at once at any speed; this many more make a slow one slow.
_PADDING = 4096


@dataclass(frozen=True)
class Pass:
    """Nothing is wrong."""


@dataclass(frozen=True)
class Answer:
    """The request is answered here and not passed on."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """The request is taken, and nothing ever comes back."""


@dataclass(frozen=True)
class CloseHalfWay:
    """The request is passed on; its answer is cut off after some bytes, or before the first."""

    after: int = 0


@dataclass(frozen=True)
class Slow:
    """Answers come at so many bytes a second; with ``requests``, requests go so as well."""

    rate: int = 1024
    requests: bool = False


@dataclass(frozen=True)
class Reset:
    """The connection is reset when a request comes."""


@dataclass(frozen=True)
class Refuse:
    """Nobody listens."""


Fault = Pass | Answer | Hang | CloseHalfWay | Slow | Reset | Refuse


class _ClosedError(Exception):
    """A connection is to be closed."""


class Gate:
    """Listens on the loopback address while in a ``with`` block.

    Attributes:
        port: where it listens.
        requests: how many requests began to come to it, whatever became of them; of a TCP gate, how
            many connections and pieces of data.
    """

    def __init__(
        self,
        upstream: int,
        kind: Literal["http", "tcp"] = "http",
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Plan to listen.

        Args:
            upstream: the port of the real server, on this machine.
            kind: what is passed on: HTTP requests, or bytes.
            context: speaks TLS with it where given.
        """
        self.upstream = upstream
        self.port = 0
        self.requests = 0
        self._kind = kind
        self._context = context
        self._fault: Fault = Pass()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._changed = asyncio.Event()

    @property
    def fault(self) -> Fault:
        """What is wrong now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._run(self._change(fault))

    def __enter__(self) -> Gate:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *exception: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, sock=listener, ssl=self._context)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _change(self, fault: Fault) -> None:
        before, self._fault = self._fault, fault
        self._changed.set()
        self._changed = asyncio.Event()
        if isinstance(fault, Refuse):
            await self._close()
        elif isinstance(before, Refuse):
            await self._listen()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            reset(writer)  # it had not finished to open when listening ended
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        serve = self._serve_http if self._kind == "http" else self._serve_bytes
        # Cancelled, it ends as it would by itself: asyncio complains of one that does not.
        ended = (_ClosedError, OSError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.suppress(*ended):
            try:
                await serve(reader, writer)
            finally:
                reset(writer)

    # --- requests ---------------------------------------------------------------------------------

    async def _serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await self._read_request(reader)
            fault = self._fault
            if isinstance(fault, Reset):
                return
            if isinstance(fault, Hang):
                await self._wait_for_other(fault)
                return
            if isinstance(fault, Answer):
                writer.write(_written(fault))
                await writer.drain()
                continue
            answer = await self._ask_upstream(request)
            if isinstance(fault, CloseHalfWay):
                writer.write(answer[: fault.after])
                await writer.drain()
                return
            if isinstance(fault, Slow):
                await self._trickle(writer, _padded(answer), fault)
            else:
                writer.write(answer)
                await writer.drain()

    async def _read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        # On a slow line the rest may take longer than the fault lasts.
        self.requests += 1
        if b"expect: 100-continue" in head.lower():
            raise _ClosedError
        size = int(_header(head, b"content-length") or 0)
        assert b"chunked" not in (_header(head, b"transfer-encoding") or b"")
        body = b""
        while len(body) < size:
            fault = self._fault
            if isinstance(fault, Slow) and fault.requests:
                await asyncio.sleep(_STEP_SECONDS)
                part = await reader.read(max(1, int(fault.rate * _STEP_SECONDS)))
            else:
                part = await reader.read(size - len(body))
            if not part:
                raise _ClosedError
            body += part
        return head + body

    async def _ask_upstream(self, request: bytes) -> bytes:
        """Have a request answered by the real server, over a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if _header(head, b"transfer-encoding") == b"chunked":
                return head + await _read_chunks(reader)
            if (size := _header(head, b"content-length")) is not None:
                bodiless = request.startswith(b"HEAD ")
                return head + (b"" if bodiless else await reader.readexactly(int(size)))
            return head
        finally:
            writer.close()

    async def _trickle(self, writer: asyncio.StreamWriter, data: bytes, fault: Slow) -> None:
        step = max(1, int(fault.rate * _STEP_SECONDS))
        for start in range(0, len(data), step):
            if self._fault is not fault:
                step = len(data)
            writer.write(data[start : start + step])
            await writer.drain()
            if step == len(data):
                return
            await asyncio.sleep(_STEP_SECONDS)

    async def _wait_for_other(self, fault: Fault) -> None:
        while self._fault is fault:
            await self._changed.wait()

    # --- bytes ------------------------------------------------------------------------------------

    async def _serve_bytes(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.requests += 1
        if isinstance(self._fault, Reset):
            return
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            async with contextlib.AsyncExitStack() as stack:
                passing = [
                    asyncio.create_task(self._pass_on(reader, upstream_writer, answers=False)),
                    asyncio.create_task(self._pass_on(upstream_reader, writer, answers=True)),
                ]
                for task in passing:
                    stack.callback(task.cancel)
                await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            upstream_writer.close()

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while data := await source.read(65536):
            self.requests += not answers
            while isinstance(fault := self._fault, Hang):
                await self._wait_for_other(fault)
            if isinstance(fault, Reset):
                return
            if isinstance(fault, CloseHalfWay) and answers:
                # What the server has begun to answer, it has been asked; time for it to finish.
                await asyncio.sleep(0.5)
                return
            if isinstance(fault, Slow) and (answers or fault.requests):
                await self._trickle(target, data, fault)
                continue
            target.write(data)
            await target.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that the other side's next step fails, whatever waits to be sent."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().lower()
    return None


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        chunk = await reader.readexactly(int(line, 16) + 2)
        found += line + chunk
        if chunk == b"\r\n":
            return found


def _written(answer: Answer) -> bytes:
    headers = {"Content-Type": "application/x-protobuf", "Content-Length": "0", **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} Fault", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _padded(answer: bytes) -> bytes:
    head, _, rest = answer.partition(b"\r\n")
    return head + b"\r\nX-Padding: " + b"." * _PADDING + b"\r\n" + rest
