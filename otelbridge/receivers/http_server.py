"""A uvicorn server on a socket that is already bound, in the event loop that is already running."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp

# Exporters send every 5, 10 or 60 s over one connection; it must not close just as they do.
KEEP_ALIVE_SECONDS = 75


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the process that runs it has its own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class HttpServer:
    """Serves one ASGI application.

    Args:
        shutdown_timeout: seconds that requests get to finish in :meth:`stop`.
        largest_message: bytes of a WebSocket's message; 0 where the application takes none.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        shutdown_timeout: int = 3,
        *,
        largest_message: int = 0,
    ) -> None:
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="auto",
                ws="websockets-sansio" if largest_message else "none",
                ws_max_size=largest_message,
                # Small programs answer a ping when they come to it; silence is told by heartbeats.
                ws_ping_interval=None,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=shutdown_timeout,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve; returns once connections are answered."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        serving = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait({self._task, serving}, return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        if self._task.done():
            self._task.result()
            raise RuntimeError("the web server ended while it was starting")

    async def stop(self) -> None:
        """Close the socket and let requests finish, within the time allowed."""
        if self._task is None:
            self._listener.close()
            return
        self._server.should_exit = True
        await self._task
        self._task = None
