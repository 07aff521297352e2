"""What one log record costs by each handler: ``python -m benchmarks.handlers``.

One line of a program logs records with four extra keys as fast as it can, from one thread and from
eight. Each handler is used as its manual says: ours that write lines as plain handlers of a logger,
ours that sends OTLP by ``otelbridge.instrument()``. Every round runs every handler in a process of
its own, in turn. What is compared is the processor time of the whole process, threads that send and
the final delivery included, and how much of what was logged arrived.

``--elasticsearch`` adds the direct sink, into a real Elasticsearch.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.request_report import spread
from benchmarks.setups import SERVICE
from benchmarks.sink_process import ROOT, counting_sink
from benchmarks.table import Table, machine

# Records before those that are measured.
WARM_UP = 1_000
THREADS = 8
TARGET = 2.0
EXTRA = {"user": "alice", "status": "success", "code": 200, "amount": 12.5}

NULL = "NullHandler"


@dataclass(frozen=True)
class Way:
    """A handler that is set up.

    Attributes:
        flush: delivers what waits.
        finish: the same, at the end.
        delivered: tells how many records arrived, where this process can know.
    """

    flush: Callable[[], object] = lambda: None
    finish: Callable[[], object] = lambda: None
    delivered: Callable[[], int | None] = lambda: None


# Takes the address of what receives, and a folder.
SetUp = Callable[[str, Path], Way]


def null(target: str, folder: Path) -> Way:
    """Nothing: records are made and dropped."""
    return _handled(logging.NullHandler())


def plain_file(target: str, folder: Path) -> Way:
    """The standard library's handler and format."""
    path = folder / "app.log"
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    return _handled(handler, lambda: _lines(path))


def json_logger(target: str, folder: Path) -> Way:
    """python-json-logger with its orjson encoder, to a file."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    path = folder / "app.jsonl"
    handler = logging.FileHandler(path)
    handler.setFormatter(OrjsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    return _handled(handler, lambda: _lines(path))


def stock_otlp(target: str, folder: Path) -> Way:
    """OpenTelemetry's handler, batches and OTLP/HTTP."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.instrumentation.logging.handler import LoggingHandler
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    provider = LoggerProvider(resource=Resource.create({"service.name": SERVICE}))
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{target}/v1/logs")))
    _handled(LoggingHandler(logger_provider=provider))
    return Way(provider.force_flush, provider.shutdown)


def our_file(target: str, folder: Path) -> Way:
    """``otelbridge.FileHandler``: JSON lines, rotated, shared with other processes."""
    from otelbridge import FileHandler

    # Renamed files count as well.
    return _handled(
        FileHandler(folder / "app.jsonl"), lambda: sum(map(_lines, folder.glob("app.jsonl*")))
    )


def our_console(target: str, folder: Path) -> Way:
    """``otelbridge.ConsoleHandler``: JSON lines into a pipe."""
    from otelbridge import ConsoleHandler

    counter = subprocess.Popen(["wc", "-l"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert counter.stdin is not None
    # As standard error is opened.
    stream = open(counter.stdin.fileno(), "w", buffering=1, errors="backslashreplace")  # noqa: PTH123, SIM115

    def delivered() -> int:
        return int(counter.communicate()[0])

    handler = ConsoleHandler(stream)
    return Way(_handled(handler).flush, lambda: (handler.close(), stream.flush()), delivered)


def our_udp(target: str, folder: Path) -> Way:
    """``otelbridge.UDPHandler``."""
    from otelbridge import UDPHandler

    return _handled(UDPHandler(target))


def our_elasticsearch(target: str, folder: Path) -> Way:
    """``otelbridge.ElasticsearchHandler``."""
    from otelbridge import ElasticsearchHandler

    url, _, namespace = target.rpartition("#")
    os.environ["OTELBRIDGE_SPOOL_DIR"] = str(folder)
    os.environ["OTELBRIDGE_SHUTDOWN_TIMEOUT"] = "60"
    handler = ElasticsearchHandler(url, namespace=namespace, service_name=SERVICE)
    return Way(_handled(handler).flush, handler.close, lambda: handler.delivered)


def our_otlp(target: str, folder: Path) -> Way:
    """``otelbridge.instrument()``."""
    import otelbridge

    _handled(logging.NullHandler())
    handle = otelbridge.instrument(
        service_name=SERVICE, otlp_endpoint=target, spool_dir=folder / "spool"
    )

    def finish() -> None:
        handle.flush(60.0)
        handle.shutdown(60.0)

    return Way(lambda: handle.flush(60.0), finish)


WAYS: dict[str, SetUp] = {
    NULL: null,
    "FileHandler": plain_file,
    "json-logger to a file": json_logger,
    "stock OTLP": stock_otlp,
    "ours to a file": our_file,
    "ours to the console": our_console,
    "ours by UDP": our_udp,
    "ours by OTLP": our_otlp,
    "ours to Elasticsearch": our_elasticsearch,
}


def _handled(handler: logging.Handler, delivered: Callable[[], int | None] = lambda: None) -> Way:
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    return Way(handler.flush, handler.close, delivered)


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


# --- one process ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """One process's result.

    Attributes:
        cpu: seconds of the processor for each record.
        wall: seconds for each record until the last one was logged, all threads together.
        delivered: how many arrived, those of the beginning included; ``None`` where the process
            cannot know.
    """

    cpu: float
    wall: float
    delivered: int | None


def log_all(name: str, target: str, threads: int, records: int) -> Cost:
    """Log by one handler, in this process."""
    logger = logging.getLogger("shop.orders")

    def log(count: int) -> None:
        for number in range(count):
            logger.info("Order %s accepted", number, extra=EXTRA)

    with tempfile.TemporaryDirectory(prefix="otelbridge-bench-") as folder:
        way = WAYS[name](target, Path(folder))
        log(WARM_UP)
        way.flush()
        workers = [
            threading.Thread(target=log, args=(records // threads,)) for _ in range(threads - 1)
        ]
        cpu, wall = time.process_time(), time.perf_counter()
        for worker in workers:
            worker.start()
        log(records - records // threads * len(workers))
        for worker in workers:
            worker.join()
        wall = time.perf_counter() - wall
        way.finish()
        cpu = time.process_time() - cpu
        return Cost(cpu / records, wall / records, way.delivered())


# --- all of them ---------------------------------------------------------------------------------


@contextmanager
def udp_counter() -> Iterator[tuple[str, Callable[[], int]]]:
    """Receive datagrams; yields the address, and what tells how many came since it was asked."""
    received = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**24)
        listener.bind(("127.0.0.1", 0))

        def receive() -> None:
            nonlocal received
            while listener.recv(65536) != b"end":
                received += 1

        def count() -> int:
            nonlocal received
            before = -1
            while before != received:
                before = received
                time.sleep(0.1)
            counted, received = received, 0
            return counted

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}", count
        finally:
            listener.sendto(b"end", listener.getsockname())
            thread.join()


def one_run(name: str, target: str, threads: int, records: int) -> Cost:
    """Log by one handler, in a process of its own."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE_"))}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.handlers", "--one", name, "--target", target),
            *("--threads", str(threads), "--records", str(records)),
        ],
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def measure(
    table: Table, rounds: int = 3, records: int = 100_000, *, with_elasticsearch: bool = False
) -> None:
    """Add the rows of each handler to a table."""
    names = [name for name in WAYS if with_elasticsearch or name != "ours to Elasticsearch"]
    costs: dict[tuple[str, int], list[Cost]] = {}
    delivered: dict[str, list[int]] = {}
    with ExitStack() as stack:
        sink = stack.enter_context(counting_sink())
        udp, udp_count = stack.enter_context(udp_counter())
        server = None
        if with_elasticsearch:
            from benchmarks.elasticsearch import server as elasticsearch_server

            server = stack.enter_context(elasticsearch_server())

        def run(name: str, threads: int) -> None:
            with ExitStack() as one:
                target = udp if name == "ours by UDP" else sink.http
                if name == "ours to Elasticsearch" and server is not None:
                    target = f"{server.url}#{one.enter_context(server.namespace())}"
                cost = one_run(name, target, threads, records)
            arrived = cost.delivered
            if name == "ours by UDP":
                arrived = udp_count()
            elif target == sink.http:
                counted = sink.counts().get("logs")
                arrived = counted if arrived is None else arrived
            costs.setdefault((name, threads), []).append(cost)
            if arrived is not None:
                delivered.setdefault(name, []).append(arrived)

        for round_ in range(rounds):
            # Another order every round: no handler always runs after the same neighbour.
            turn = round_ % len(names)
            for name in names[turn:] + names[:turn]:
                for threads in (1, THREADS):
                    run(name, threads)
            print(f"    round {round_ + 1} of {rounds}", flush=True)
    for name in names:
        _add_rows(table, name, costs, delivered.get(name, []), records)


def _add_rows(
    table: Table,
    name: str,
    costs: dict[tuple[str, int], list[Cost]],
    delivered: list[int],
    records: int,
) -> None:
    alone, together, least = costs[name, 1], costs[name, THREADS], costs[NULL, 1]
    text = f"{statistics.median(one.cpu for one in alone) * 1e6:.1f} us of CPU"
    target, met = "", None
    if name != NULL:
        ratios = [one.cpu / other.cpu for one, other in zip(alone, least, strict=True)]
        text += f", {spread(ratios)} times {NULL}'s"
        if name.startswith("ours"):
            target, met = f"<= {TARGET:.0f} times", statistics.median(ratios) <= TARGET
    if delivered:
        text += f"; {sum(delivered):,} of {(records + WARM_UP) * len(delivered):,} delivered"
    table.add(f"a log record, {name}", target, text, met)
    cpu = [many.cpu / one.cpu for many, one in zip(together, alone, strict=True)]
    wall = [many.wall / one.wall for many, one in zip(together, alone, strict=True)]
    table.add(
        f"the same of {THREADS} threads, {name}",
        "",
        f"{spread(cpu, 2)} times the CPU of one thread, {spread(wall, 2)} times its time",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--elasticsearch", action="store_true", help="also into Elasticsearch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table here")
    parser.add_argument("--one", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--target", default="", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        cost = log_all(given.one, given.target, given.threads, given.records)
        print(json.dumps(vars(cost)), flush=True)
        os._exit(0)
    print(machine())
    table = Table()
    measure(table, given.rounds, given.records, with_elasticsearch=given.elasticsearch)
    if given.json:
        given.json.write_text(table.json())


if __name__ == "__main__":
    main()
