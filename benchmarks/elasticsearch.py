"""What Elasticsearch gets, how fast and how large: ``python -m benchmarks.elasticsearch``.

Every number is of a real Elasticsearch core and a real Collector, started by ``tests/testbed`` with
the project's own templates and configuration.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import elasticsearch
from elasticsearch import Elasticsearch

from benchmarks import direct_sink, document_sizes
from benchmarks.load import Outcome
from benchmarks.table import Table, machine
from otelbridge.elasticsearch.install import install_templates
from otelbridge.elasticsearch.names import data_stream
from otelbridge.elasticsearch.templates import MAY_LACK, TemplateOptions
from tests.testbed.collector_process import BUILD, Collector
from tests.testbed.elasticsearch_server import RUN, elasticsearch_server

REPOSITORY = Path(__file__).parents[1]
DELAY_RATE = 1000
DELAY_TARGET = 3.0
ROAD_RATE = 5000
# Documents the sink and the helper store in one round each.
ROUND_DOCUMENTS = 20_000
SINK_TARGET = 0.8
_UID = "attributes.log.record.uid"


@dataclass
class Server:
    """A running Elasticsearch that has the templates."""

    url: str
    client: Elasticsearch

    @contextmanager
    def namespace(self) -> Iterator[str]:
        """A namespace of one's own, removed afterwards."""
        name = f"bench{uuid4().hex[:8]}"
        yield name
        self.client.options(ignore_status=404).indices.delete_data_stream(name=f"*-{name}")

    def count(self, stream: str, field: str) -> int:
        """The documents with a field that a search finds now, without asking for a refresh."""
        has_field = {"exists": {"field": field}}
        try:
            answer = self.client.count(index=stream, query=has_field, ignore_unavailable=True)
            return int(answer["count"])
        except Exception as error:
            if getattr(error, "status_code", None) in {404, 503}:
                return 0  # the first document is only just creating it
            raise


@contextmanager
def server() -> Iterator[Server]:
    """Run an Elasticsearch and install the templates."""
    with (
        tempfile.TemporaryDirectory(prefix="otelbridge-bench-") as folder,
        elasticsearch_server(Path(folder)) as url,
        Elasticsearch(url, request_timeout=120) as client,
    ):
        told = client.info()["version"]
        print(f"Elasticsearch {told['number']}, its client {elasticsearch.__versionstr__}")
        list(install_templates(client, url, TemplateOptions(86_400, without=MAY_LACK)))
        yield Server(url, client)


@contextmanager
def collector(running: Server, namespace: str, *configs: Path) -> Iterator[Collector]:
    """Run a Collector that writes into a namespace."""
    with tempfile.TemporaryDirectory(prefix="otelbridge-bench-") as folder:
        environ = {
            "ELASTICSEARCH_URL": running.url,
            "OTELBRIDGE_ELASTICSEARCH_NAMESPACE": namespace,
        }
        made = Collector(Path(folder), environ=environ)
        made.start()
        try:
            yield made
        finally:
            made.stop()


# --- the direct sink ----------------------------------------------------------------------------


def sink(table: Table, running: Server, rounds: int, documents: int) -> None:
    """Store the same documents by the sink and by the client's helper, in turn."""
    ways: dict[str, direct_sink.Way] = {
        "sink": direct_sink.store_by_sink,
        "helper": direct_sink.store_by_helper,
        "helper, compressed": direct_sink.store_by_helper_compressed,
        "logger": direct_sink.store_by_logger,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    spooled = dict.fromkeys(ways, 0)
    order = list(ways)
    for number in range(rounds + 1):
        for name in order if number % 2 else reversed(order):
            with running.namespace() as namespace:
                gc.collect()
                cost = ways[name](running.url, namespace, documents)
                stream = data_stream("logs", namespace)
                running.client.indices.refresh(index=stream)
                found = running.count(stream, _UID)
            if found != documents:
                raise RuntimeError(f"{name}: {found} of {documents} documents")
            if number:  # the first round warms both up
                rates[name].append(documents / cost.seconds)
                cpu[name].append(cost.own / documents * 1e6)
                spooled[name] += cost.spooled
        if number:
            print("   ", ", ".join(f"{name} {rates[name][-1]:,.0f}/s" for name in ways), flush=True)
    for name in ways:
        table.add(
            f"documents a second, {name}",
            "",
            f"{spread(rates[name])}; own processor {statistics.median(cpu[name]):.0f} µs each"
            + (f"; {spooled[name] / rounds / documents:.0%} by the spool" if spooled[name] else ""),
        )
    for name in ("sink", "logger"):
        for peer in ("helper", "helper, compressed"):
            ratios = [a / b for a, b in zip(rates[name], rates[peer], strict=True)]
            is_target = name == "sink" and peer == "helper"
            table.add(
                f"{name} beside {peer}, by round",
                f">= {SINK_TARGET}" if is_target else "",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                statistics.median(ratios) >= SINK_TARGET if is_target else None,
            )


def spread(values: list[float]) -> str:
    """The median, the least and the most."""
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


# --- from the application to a document that a search finds --------------------------------------


def delay(table: Table, running: Server, seconds: float) -> None:
    """Let an application log at a steady rate through the Collector, and search all the while."""
    # A server that has just started has yet to compile most of what it does.
    total = int(min(seconds, 5.0) * DELAY_RATE)
    table.add(f"{_DELAY}, the first into a new server", "", delayed(running, total)[0])
    total = int(seconds * DELAY_RATE)
    measured, most = delayed(running, total)
    table.add(_DELAY, f"< {DELAY_TARGET:g} s, all", measured, most < DELAY_TARGET)


_DELAY = f"logger called, until a search finds it, {DELAY_RATE:,}/s through the Collector"


def delayed(running: Server, total: int) -> tuple[str, float]:
    """Log so many records; returns what is to be said, and the longest delay in seconds."""
    with running.namespace() as namespace, collector(running, namespace) as road:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE"))}
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{road.http}"
        environ["OTELBRIDGE_SPOOL_DIR"] = str(road.folder / "spool")
        app = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.shop_records"),
                *("--rate", str(DELAY_RATE), "--total", str(total)),
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            cwd=REPOSITORY,
        )
        stream = data_stream("logs", namespace)
        ordered = sorted(watch(running, stream, total, total / DELAY_RATE + 60).values())
        output, _ = app.communicate(timeout=60)
        told = json.loads(output.splitlines()[-1])

    def at(share: float) -> float:
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    text = (
        f"p50 {at(0.5):.2f} s, p99 {at(0.99):.2f} s, most {ordered[-1]:.2f} s,"
        f" {len(ordered):,} of {total:,}"
    )
    if told["late"] > 0.1:
        text += f"; the application was {told['late']:.1f} s late"
    return text, ordered[-1] if len(ordered) == total else float("inf")


def watch(running: Server, stream: str, total: int, patience: float) -> dict[int, float]:
    """Search again and again for what has not been seen yet.

    Returns:
        By each record's number the seconds from its making to the search that found it.
    """
    delays: dict[int, float] = {}
    lowest = 0
    deadline = time.monotonic() + patience
    while len(delays) < total and time.monotonic() < deadline:
        try:
            answer = running.client.search(
                index=stream,
                ignore_unavailable=True,
                size=10_000,
                source=False,
                track_total_hits=False,
                sort=["_doc"],
                query={"range": {"attributes.number": {"gte": lowest}}},
                docvalue_fields=["attributes.number", "attributes.sent"],
            )
        except Exception as error:
            if getattr(error, "status_code", None) not in {404, 503}:
                raise
            time.sleep(0.05)
            continue
        now = time.time()
        for hit in answer["hits"]["hits"]:
            fields = hit["fields"]
            number = int(fields["attributes.number"][0])
            delays.setdefault(number, now - fields["attributes.sent"][0])
        while lowest in delays:
            lowest += 1
        time.sleep(0.05)
    return delays


def road(table: Table, running: Server, seconds: float, signals: tuple[str, ...]) -> None:
    """Offer the Collector's road its rate, and count what a search then finds."""
    for signal in signals:
        with running.namespace() as namespace, collector(running, namespace) as way:
            stream = data_stream("logs" if signal == "logs" else "traces", namespace)
            # The Collector's own records, which come the same way, have no id.
            field = _UID if signal == "logs" else "span_id"
            offered = start_load(f"127.0.0.1:{way.grpc}", signal, seconds)
            output, _ = offered.communicate()
            ended = time.monotonic()
            outcome = Outcome(**json.loads(output))
            found = running.count(stream, field)
            waiting = outcome.sent - found
            while found < outcome.sent and time.monotonic() < ended + 120:
                time.sleep(0.1)
                found = running.count(stream, field)
            took = time.monotonic() - ended
            distinct, twice = tally(running.client, stream, field)
            log = way.log.read_text(errors="replace")
            refused = log.count("failed to index document")
        met = distinct == outcome.sent and twice == 0 and outcome.rate >= 0.98 * ROAD_RATE
        table.add(
            f"{ROAD_RATE:,} {signal}/s through the Collector for {seconds:.0f} s",
            "kept up, all found",
            f"{outcome.acknowledged:,} of {outcome.sent:,} acknowledged at {outcome.rate:,.0f}/s"
            f" (answer p99 {outcome.latency(0.99) * 1e3:.0f} ms), {distinct:,} found,"
            f" {twice} twice;"
            f" {waiting:,} not yet when the last was sent, after {took:.1f} s {found:,}"
            + (f"; {refused} refused" if refused else "")
            + (f"; {outcome.late:.1f} s late" if outcome.late >= 1 else "")
            + (f"; {outcome.errors[0]}" if outcome.errors else ""),
            met,
        )


def start_load(address: str, signal: str, seconds: float) -> subprocess.Popen[str]:
    """Start the sender, in a process of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.load", "--json", "--address", address),
            *("--signal", signal, "--rate", str(ROAD_RATE), "--seconds", str(seconds)),
            *("--connections", "8"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def tally(client: Elasticsearch, stream: str, field: str) -> tuple[int, int]:
    """Count the different values of a field, and those that are there more than once."""
    distinct = twice = 0
    after: dict[str, Any] = {}
    while True:
        answer = client.search(
            index=stream,
            size=0,
            aggregations={
                "ids": {
                    "composite": {
                        "size": 10_000,
                        "sources": [{"id": {"terms": {"field": field}}}],
                        **after,
                    }
                }
            },
        )
        found = answer["aggregations"]["ids"]
        distinct += len(found["buckets"])
        twice += sum(1 for bucket in found["buckets"] if bucket["doc_count"] > 1)
        if "after_key" not in found:
            return distinct, twice
        after = {"after": found["after_key"]}


# --- sizes --------------------------------------------------------------------------------------


def sizes(table: Table, running: Server, documents: int) -> None:
    """Weigh the same documents under the project's templates and others."""
    for signal in ("logs", "spans"):
        kind = "logs" if signal == "logs" else "traces"
        for name, template in document_sizes.ways(signal).items():
            with running.namespace() as namespace:
                document_sizes.install(running.client, signal, namespace, template)
                document_sizes.store(running.client, running.url, signal, namespace, documents)
                count, size = document_sizes.weigh(running.client, data_stream(kind, namespace))
                if count != documents:
                    raise RuntimeError(f"{name}: {count} of {documents} documents")
            table.add(f"bytes on disk a {signal[:-1]}, {name}", "", f"{size / count:.0f}")


PARTS = ("sink", "delay", "road", "size")


def missing() -> str | None:
    """What this machine lacks for the servers; ``None`` if it lacks nothing."""
    for program in (RUN, BUILD):
        asked = subprocess.run([program, "--check"], capture_output=True, text=True)
        if asked.returncode:
            return asked.stderr.strip()
    return None


def measure(
    table: Table, parts: tuple[str, ...], *, rounds: int, documents: int, seconds: float
) -> None:
    """Run the chosen parts and add their rows."""
    with server() as running:
        if "sink" in parts:
            sink(table, running, rounds, documents)
        if "delay" in parts:
            delay(table, running, min(seconds, 30.0))
        if "road" in parts:
            road(table, running, seconds, ("logs", "spans"))
        if "size" in parts:
            sizes(table, running, 5 * documents)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", default=",".join(PARTS), help=f"a comma list of {PARTS}")
    parser.add_argument("--rounds", type=int, default=7, help="of the sink and the helper")
    parser.add_argument("--documents", type=int, default=ROUND_DOCUMENTS, help="of each round")
    parser.add_argument("--seconds", type=float, default=60, help="of each sustained run")
    given = parser.parse_args()
    print(machine())
    table = Table()
    measure(
        table,
        tuple(given.parts.split(",")),
        rounds=given.rounds,
        documents=given.documents,
        seconds=given.seconds,
    )
    print("\n" + table.text())
    sys.exit(0 if table.met else 1)


if __name__ == "__main__":
    main()
