"""Compose's services as processes: started, waited for and ended as the compose file says.

Commands, variables, mounted files, the order of starting and the health checks are read from what
compose makes of the file. Only places differ: a host name and port becomes an address here, a
container's folder one of this machine's. Elasticsearch is the test bed's and runs already; Kibana
is a stand-in.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.testbed import processes
from tests.testbed.collector_process import program

ROOT = Path(__file__).parents[2]
COLLECTOR_PORTS = {"GRPC": 4317, "HTTP": 4318, "UDP": 4320, "HEALTH": 13133}


@dataclass
class Stack:
    """The services of a compose file.

    Attributes:
        services: as ``docker-compose config`` gives them.
        folder: for volumes and logs.
        outside: the addresses of what is not started here, by ``service:port``.
        more: arguments that a service's command gets besides, by service.
        say: told of each thing that is done.
    """

    services: Mapping[str, Any]
    folder: Path
    outside: Mapping[str, str]
    more: Mapping[str, list[str]] = field(default_factory=dict)
    say: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self.addresses = dict(self.outside)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def up(self) -> None:
        """Start every service when what it depends on is there, and wait until it is healthy."""
        done: set[str] = set()
        while left := self.services.keys() - done:
            ready = sorted(
                name for name in left if self.services[name].get("depends_on", {}).keys() <= done
            )
            assert ready, f"{left} wait for one another"
            for name in ready:
                self._start(name)
                done.add(name)

    def down(self) -> None:
        """End what runs, the last one first."""
        for process in reversed(self._running.values()):
            processes.stop(process, 15)

    def ended(self) -> list[str]:
        """The services that should run and do not."""
        return [name for name, one in self._running.items() if one.poll() is not None]

    def path(self, service: str, inside: str) -> Path:
        """Where a service's folder or file lies on this machine."""
        for volume in self.services[service].get("volumes", []):
            source, target, _ = str(volume).split(":")
            if inside == target or inside.startswith(f"{target}/"):
                there = Path(source) if source.startswith("/") else self.folder / source
                there.mkdir(parents=True, exist_ok=True)
                return there / inside[len(target) :].lstrip("/")
        return ROOT / "examples" / inside.removeprefix("/app/")

    def output(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()

    # --- one service ----------------------------------------------------------------------------

    def _start(self, name: str) -> None:
        service = self.services[name]
        if not any(key.startswith(f"{name}:") for key in self.outside):
            self._run(name, service)
        if "healthcheck" in service:
            self._wait_until_healthy(name, service["healthcheck"]["test"])

    def _run(self, name: str, service: Mapping[str, Any]) -> None:
        environ = self._environ(name, service)
        command = [*self._command(name, service), *self.more.get(name, [])]
        shown = " ".join(service["command"])
        with (self.folder / f"{name}.log").open("wb") as output:
            process = processes.start(command, output, environ=environ)
        if any(
            waiting.get("depends_on", {}).get(name, {}).get("condition")
            == "service_completed_successfully"
            for waiting in self.services.values()
        ):
            code = process.wait(120)
            assert code == 0, f"{name} ended with {code}:\n{self.output(name)}"
            self.say(f"{name}: `{shown}` ended with 0")
            return
        self._running[name] = process
        self.say(f"{name}: `{shown}` runs as process {process.pid}")

    def _command(self, name: str, service: Mapping[str, Any]) -> Iterator[str]:
        if "otelcol" in service["command"][0] or "opentelemetry-collector" in service["image"]:
            yield program()
        for part in service["command"]:
            option, equals, value = part.partition("=")
            if part == service.get("user") or part == self.services["collector"]["user"]:
                # Who runs the tests may not be able to give files away.
                yield f"{os.getuid()}:{os.getgid()}"
            elif part.startswith("/"):
                yield str(self.path(name, part))
            elif equals and value.startswith("/") and value != "/tmp":
                yield f"{option}={self.path(name, value)}"
            elif value.startswith("0.0.0.0:"):
                yield f"{option}={self._own(name, value.removeprefix('0.0.0.0:'))}"
            else:
                yield self._here(part)

    def _environ(self, name: str, service: Mapping[str, Any]) -> dict[str, str]:
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("OTEL", "SHOP", "COLLECTOR", "ELASTICSEARCH"))
        }
        given = {
            key: self._here(str(value)) for key, value in service.get("environment", {}).items()
        }
        if "opentelemetry-collector" in service["image"]:
            given |= self._places_of_the_collector(name)
        if "SHOP_DATA" in given:
            given["SHOP_DATA"] = str(self.folder)
            given["OTELBRIDGE_SPOOL_DIR"] = str(self.folder / "spool")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**inherited, **given, "PATH": path}

    def _places_of_the_collector(self, name: str) -> dict[str, str]:
        """The variables by which the Collector's file tells a process from a container."""
        places = {
            "COLLECTOR_HOST": "127.0.0.1",
            "COLLECTOR_STORAGE": str(self.path(name, "/var/lib/otelcol")),
            "COLLECTOR_FILES": str(self.path(name, "/var/log/otelbridge") / "*.jsonl"),
        }
        for variable, port in COLLECTOR_PORTS.items():
            kind = socket.SOCK_DGRAM if variable == "UDP" else socket.SOCK_STREAM
            here = self._own(name, str(port), kind)
            places[f"COLLECTOR_{variable}_PORT"] = here.rpartition(":")[2]
        return places

    def _own(self, name: str, port: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> str:
        """The address here of a port that a service listens on."""
        key = f"{name}:{port}"
        if key not in self.addresses:
            self.addresses[key] = f"127.0.0.1:{processes.free_port(kind)}"
        return self.addresses[key]

    def _here(self, text: str) -> str:
        """The same text with the addresses of this machine."""
        if text.startswith("http") or "=http" in text:
            before, _, url = text.rpartition("http://")
            where = urlsplit(f"http://{url}").netloc
            service, _, port = where.partition(":")
            if service in self.services:
                return f"{before}http://{url.replace(where, self._own(service, port), 1)}"
        return text

    def _wait_until_healthy(self, name: str, test: list[str]) -> None:
        kind, *check = test
        ports = {
            key.partition(":")[2]: address
            for key, address in self.addresses.items()
            if key.startswith(f"{name}:")
        }
        for port, address in ports.items():
            host, _, here = address.partition(":")
            check = [
                part.replace(f"localhost:{port}", address).replace(
                    f"('127.0.0.1', {port})", f"('{host}', {here})"
                )
                for part in check
            ]
        command = ["sh", "-c", *check] if kind == "CMD-SHELL" else check
        path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        deadline = time.monotonic() + 60
        while subprocess.run(command, capture_output=True, env=os.environ | path).returncode:
            assert time.monotonic() < deadline, f"{name} does not become healthy: {command}"
            time.sleep(0.2)
        self.say(f"{name}: healthy by `{test[-1]}`")
