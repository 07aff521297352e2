"""Where records are sent to in a drill: real servers that can be killed, and read afterwards."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from tests.testbed import elasticsearch_server, processes
from tests.testbed.collector_process import Collector

Signal = Literal["logs", "spans"]
SIGNALS: tuple[Signal, ...] = ("logs", "spans")
START_SECONDS = 60.0
_NAMESPACE = "drill"


@dataclass(frozen=True)
class Stored:
    """One record of ours that is stored.

    Attributes:
        number: the number it was made for.
        pid: the process that made it; of log records only.
        order: its place among the log records of that process.
        arrival: grows with the moment it was stored; equal for what was stored together.
        service: the name of the service that made it.
    """

    number: int
    pid: int | None
    order: int | None
    arrival: int
    service: str


class Destination(Protocol):
    """A real server, at the same ports for as long as the drill lasts."""

    @property
    def port(self) -> int:
        """Where HTTP requests are sent to."""

    @property
    def grpc(self) -> int | None:
        """Where gRPC is spoken, if it is."""

    def environ(self, port: int) -> dict[str, str]:
        """Variables of an app that sends here, by way of a port."""

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""

    def kill(self) -> None:
        """End it as a power cut does."""

    def stop(self) -> None:
        """End it for good, if it runs."""

    def stored(self, signal: Signal) -> Iterator[Stored]:
        """Read what it holds of the drilled app."""


class BridgeDestination:
    """``otelbridge serve``, with its database in a folder.

    Attributes:
        process: the running one.
    """

    def __init__(self, folder: Path, **environ: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.store = folder / "bridge.db"
        self.log = folder / "bridge.log"
        self.port, self.grpc, self.web = (processes.free_port() for _ in range(3))
        self.udp = processes.free_port(socket.SOCK_DGRAM)
        self.process: subprocess.Popen[bytes] | None = None
        self._environ = environ

    def environ(self, port: int) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}

    def start(self) -> None:
        command = [sys.executable, "-m", "otelbridge", "serve", f"--store=sqlite:///{self.store}"]
        command += [f"--http-port={self.port}", f"--grpc-port={self.grpc}"]
        command += [f"--web-port={self.web}", f"--udp-port={self.udp}"]
        with self.log.open("ab") as output:
            self.process = processes.start(
                command, output, environ={**without_telemetry(), **self._environ}
            )
        deadline = time.monotonic() + START_SECONDS
        while not all(is_open(port) for port in (self.port, self.grpc, self.web)):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def kill_amid_commit(self, seconds: float = 10.0) -> None:
        """Kill it at the moment its write-ahead log changes: written to, and not yet answered."""
        log = Path(f"{self.store}-wal")
        before = _changed(log)
        deadline = time.monotonic() + seconds
        while _changed(log) == before and time.monotonic() < deadline:
            pass
        self.kill()

    def stop(self) -> None:
        if self.process is not None:
            processes.stop(self.process)
            self.process = None

    def stored(self, signal: Signal) -> Iterator[Stored]:
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30)) as store:
            columns = ", ".join(
                f"json_extract(r.attributes, '$.{name}')" for name in ("number", "pid", "order")
            )
            rows = store.execute(
                f"SELECT {columns}, r.received, s.service FROM {signal} r"
                " JOIN attribute_sets s ON s.id = r.resource"
                " WHERE json_extract(r.attributes, '$.number') IS NOT NULL"
            )
            for row in rows:
                yield Stored(*row)


class ElasticsearchDestination:
    """A real Elasticsearch core with our templates, which the app writes to directly."""

    grpc = None

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = processes.free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environ(self, port: int) -> dict[str, str]:
        return {
            "OTELBRIDGE_SINKS": "elasticsearch",
            "OTELBRIDGE_ELASTICSEARCH_URL": f"http://127.0.0.1:{port}",
            "OTELBRIDGE_ELASTICSEARCH_NAMESPACE": _NAMESPACE,
        }

    def start(self) -> None:
        from otelbridge.elasticsearch.install import install_templates
        from otelbridge.elasticsearch.templates import MAY_LACK, TemplateOptions

        self.process, _ = elasticsearch_server.start(self.folder, self.port)
        with self._client() as client:
            options = TemplateOptions(retention=86_400, without=MAY_LACK)
            list(install_templates(client, self.url, options))

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        if self.process is not None:
            processes.stop(self.process)
            self.process = None

    def stored(self, signal: Signal) -> Iterator[Stored]:
        from otelbridge.elasticsearch.names import data_stream

        stream = data_stream("logs" if signal == "logs" else "traces", _NAMESPACE)
        with self._client() as client:
            client = client.options(ignore_status=[404, 503], max_retries=0)
            client.indices.refresh(index=stream)
            after: list[Any] | None = None
            while True:
                answer = client.search(
                    index=stream,
                    size=10_000,
                    query={"exists": {"field": "attributes.number"}},
                    sort=["_seq_no"],
                    search_after=after,
                    seq_no_primary_term=True,
                )
                hits = answer.get("hits", {}).get("hits", [])
                for hit in hits:
                    yield _document(hit)
                if len(hits) < 10_000:
                    return
                after = hits[-1]["sort"]

    def _client(self) -> Any:
        from elasticsearch import Elasticsearch

        return Elasticsearch(self.url, request_timeout=60)


class CollectorDestination:
    """A real Collector that writes into a real Elasticsearch; ``kill`` ends the Collector."""

    def __init__(self, folder: Path) -> None:
        self.elasticsearch = ElasticsearchDestination(folder / "elasticsearch")
        self.collector = Collector(
            folder / "collector",
            environ={
                "ELASTICSEARCH_URL": self.elasticsearch.url,
                "OTELBRIDGE_ELASTICSEARCH_NAMESPACE": _NAMESPACE,
            },
        )

    @property
    def port(self) -> int:
        return self.collector.http

    @property
    def grpc(self) -> int | None:
        return self.collector.grpc

    def environ(self, port: int) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}

    def start(self) -> None:
        if self.elasticsearch.process is None:
            self.elasticsearch.start()
        if self.collector.process is None:
            self.collector.start()

    def kill(self) -> None:
        self.collector.kill()

    def kill_elasticsearch(self) -> None:
        """End the store behind the Collector as a power cut does."""
        self.elasticsearch.kill()

    def stop(self) -> None:
        self.collector.stop()
        self.elasticsearch.stop()

    def stored(self, signal: Signal) -> Iterator[Stored]:
        return self.elasticsearch.stored(signal)


def is_open(port: int) -> bool:
    """Tell whether somebody listens at a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def without_telemetry() -> dict[str, str]:
    """The environment, without what would set telemetry up in another way than a drill does."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "OTELBRIDGE_", "FLASK_", "PYTHONPATH"))
        # They would win over the authority that a drill names.
        and name not in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
    }


def _changed(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _document(hit: dict[str, Any]) -> Stored:
    source = hit["_source"]
    attributes = source["attributes"]
    return Stored(
        attributes["number"],
        attributes.get("pid"),
        attributes.get("order"),
        hit["_seq_no"],
        source["resource"]["attributes"]["service.name"],
    )
