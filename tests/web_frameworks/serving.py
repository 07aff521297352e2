"""A real server of somebody's app, beside a real bridge: what requests leave there."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from programs import environment
from running_bridge import running_bridge

from otelbridge.search import parse
from otelbridge.serve import Bridge
from otelbridge.store.protocol import StoredLog, TimeRange

BIN = Path(sys.executable).parent
ALWAYS = TimeRange(0, 2**62)
# Nothing is awaited for longer; a machine may be slow.
PATIENCE = 90.0


@dataclass
class Server:
    """A server that answers, and the bridge that it sends to."""

    process: subprocess.Popen[bytes]
    port: int
    bridge: Bridge
    output: Path

    @property
    def printed(self) -> str:
        """What the server has written to its terminal."""
        return self.output.read_text("utf-8")

    def url(self, path: str) -> str:
        """Write the address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, path: str, method: str = "GET", host: str | None = None) -> tuple[int, bytes]:
        """Send a request; return the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers={} if host is None else {"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask_many(self, paths: list[str]) -> None:
        """Send requests, some at a time; all must be answered with 200."""
        with ThreadPoolExecutor(8) as pool:
            assert {status for status, _ in pool.map(self.ask, paths)} == {200}

    def stop(self) -> int:
        """End the server as its operator would; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def wait_for(self, query: str, count: int) -> list[StoredLog]:
        """Wait until so many log records are found, and return all that are."""
        deadline = time.monotonic() + PATIENCE
        while len(found := self.logs(query)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count}: {query}\n{self.printed}"
            time.sleep(0.05)
        return found

    def wait_until_printed(self, text: str) -> None:
        """Wait until the server has written a text to its terminal."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.printed:
            assert time.monotonic() < deadline, f"not printed: {text}\n{self.printed}"
            time.sleep(0.05)

    def logs(self, query: str) -> list[StoredLog]:
        """Return the log records that a search finds, oldest first."""
        found = self.bridge.store.logs(parse(query), ALWAYS, limit=10_000)
        return list(reversed(found))

    def request(self, path: str) -> Trace:
        """Wait until a request has been answered, and return its trace."""
        self.wait_for(f'message: Response and url.full: "{self.url(path)}"', 1)
        return self.trace_of(f'message: Request and url.full: "{self.url(path)}"')

    def trace_of(self, query: str) -> Trace:
        """Wait for the record that a search finds, and return all of its trace."""
        [found] = self.wait_for(query, 1)
        assert found.record.trace_id, found
        return Trace(self, found.record.trace_id)


@dataclass
class Trace:
    """All log records and spans of one request."""

    server: Server
    trace_id: bytes

    @property
    def logs(self) -> list[Any]:
        """Its log records, oldest first."""
        found = self.server.logs(f'trace.id: "{self.trace_id.hex()}"')
        return [stored.record for stored in found]

    @property
    def messages(self) -> list[str]:
        """What they say, but for the server's access line."""
        access = ("uvicorn.access", "gunicorn.access", "django.server")
        return [record.body for record in self.logs if record.scope.name not in access]

    def spans(self, count: int = 1) -> dict[str, Any]:
        """Wait for so many spans, and return all that there are by their names."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.server.bridge.store.trace(self.trace_id)
            spans = [stored.span for stored in found.spans] if found else []
            if len(spans) >= count:
                assert len({span.name for span in spans}) == len(spans), spans
                return {span.name: span for span in spans}
            assert time.monotonic() < deadline, spans
            time.sleep(0.05)


@contextmanager
def serving(command: list[str], app: Path, folder: Path, **environ: str) -> Iterator[Server]:
    """Serve an app until the block is left.

    Args:
        command: the command line, where ``{port}`` stands for the port, of this environment's
            programs.
        app: the folder that the app is in.
        folder: for what the bridge and the server write.
        environ: variables besides the process's own.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    output = folder / "server.log"
    with running_bridge(folder) as bridge, output.open("wb") as printed:
        host, receiver = bridge.addresses["http"]
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{host}:{receiver}",
            "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",
            "PYTHONPATH": os.pathsep.join(
                [str(app), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
            "PYTHONUNBUFFERED": "1",
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
            **environ,
        }
        program = BIN / command[0]
        process = subprocess.Popen(
            [str(program), *(part.format(port=port) for part in command[1:])],
            cwd=app,
            env=environment(variables),
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        server = Server(process, port, bridge, output)
        try:
            yield server
        finally:
            _end_group(process.pid)
            process.wait(PATIENCE)


def wait_until_up(server: Server) -> Server:
    """Wait until a server takes connections."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
            return server
        except OSError:
            assert server.process.poll() is None, server.printed
            assert time.monotonic() < deadline, server.printed
            time.sleep(0.05)


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
