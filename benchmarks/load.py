"""Send OTLP at a steady rate and count what was acknowledged: ``python -m benchmarks.load``.

Behaves as an exporter does: requests of some hundred records, a few under way at once, "not now"
answers sent again after the pause the receiver asked for. A record counts as acknowledged only
when a request that held it was answered with success and without partial rejection.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import http.client
import json
import os
import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from benchmarks.batches import SPANS_PER_TRACE, Ids, Template, templates

PROTOCOLS = ("grpc", "http/protobuf", "http/json")


@dataclass
class Outcome:
    """What became of a run.

    Attributes:
        sent: records offered at least once.
        acknowledged: records the receiver said it has.
        rejected: records refused for good, by partial success or status.
        retries: requests sent again because the receiver asked for it.
        seconds: from the first request to the last answer.
        late: seconds by which the last request left after its planned moment.
        latencies: seconds from sending to the answer, per request, sorted.
        errors: texts of the first refusals.
        cpu: seconds of processor the sender itself took.
    """

    sent: int = 0
    acknowledged: int = 0
    rejected: int = 0
    retries: int = 0
    seconds: float = 0.0
    late: float = 0.0
    bytes: int = 0
    cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Acknowledged records a second."""
        return self.acknowledged / self.seconds if self.seconds else 0.0

    def latency(self, share: float) -> float:
        """Seconds to the answer, at ``share`` (0 to 1) of the sorted requests."""
        if not self.latencies:
            return float("nan")
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


class RetryLaterError(Exception):
    """The receiver cannot take it now; ``pause`` in seconds."""

    def __init__(self, message: str, pause: float) -> None:
        super().__init__(message)
        self.pause = pause


class RefusedError(Exception):
    """The receiver will never take it."""


class Connection(Protocol):
    def send(self, body: bytes) -> int:
        """Send one request; the number of records rejected in it."""


class GrpcConnection:
    """OTLP/gRPC with messages that are bytes already."""

    def __init__(self, address: str, signal: str, compress: bool) -> None:
        service, self._answer = {
            "logs": ("logs.v1.LogsService", ExportLogsServiceResponse),
            "spans": ("trace.v1.TraceService", ExportTraceServiceResponse),
        }[signal]
        # One TCP connection each, as separate senders have.
        channel = grpc.insecure_channel(
            address,
            options=[("grpc.use_local_subchannel_pool", 1)],
            compression=grpc.Compression.Gzip if compress else grpc.Compression.NoCompression,
        )
        self._call = channel.unary_unary(f"/opentelemetry.proto.collector.{service}/Export")

    def send(self, body: bytes) -> int:
        try:
            answer = self._answer.FromString(self._call(body, timeout=30))
        except grpc.RpcError as error:
            text = f"{error.code().name}: {error.details()}"  # type: ignore[attr-defined]
            if error.code() in {  # type: ignore[attr-defined]
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            }:
                raise RetryLaterError(text, 0.5) from None
            raise RefusedError(text) from None
        return _rejected(answer)


class HttpConnection:
    """OTLP/HTTP over one kept connection."""

    def __init__(self, address: str, signal: str, *, text: bool, compress: bool) -> None:
        self._address = address
        self._path = "/v1/logs" if signal == "logs" else "/v1/traces"
        self._text = text
        self._answer = ExportLogsServiceResponse if signal == "logs" else ExportTraceServiceResponse
        self._headers = {"Content-Type": "application/json" if text else "application/x-protobuf"}
        self._compress = compress
        if compress:
            self._headers["Content-Encoding"] = "gzip"
        self._connection = http.client.HTTPConnection(address, timeout=30)

    def send(self, body: bytes) -> int:
        if self._compress:
            body = gzip.compress(body, 6)
        try:
            self._connection.request("POST", self._path, body, self._headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise RetryLaterError(f"{type(error).__name__}: {error}", 0.5) from None
        if answer.status in {429, 502, 503, 504}:
            pause = float(answer.getheader("Retry-After") or 0.5)
            raise RetryLaterError(f"{answer.status}: {content[:200]!r}", pause)
        if answer.status != 200:
            raise RefusedError(f"{answer.status}: {content[:200]!r}")
        if self._text:
            partial = json.loads(content).get("partialSuccess") or {}
            return int(partial.get("rejectedLogRecords") or partial.get("rejectedSpans") or 0)
        return _rejected(self._answer.FromString(content))


def _rejected(answer: ExportLogsServiceResponse | ExportTraceServiceResponse) -> int:
    partial = answer.partial_success
    if isinstance(answer, ExportLogsServiceResponse):
        return partial.rejected_log_records
    return partial.rejected_spans


def connect(protocol: str, address: str, signal: str, compress: bool = False) -> Connection:
    """Open one connection of the given protocol to ``host:port``."""
    if protocol == "grpc":
        return GrpcConnection(address, signal, compress)
    return HttpConnection(address, signal, text=protocol == "http/json", compress=compress)


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        rate: records a second; 0 is as fast as the receiver answers.
        total: records in all, rounded up to whole requests.
        batch: records a request.
        connections: connections, each with at most one request under way.
        span_of_time: seconds of the past over which the records' times are spread evenly; 0
            gives each the moment of sending.
        seed: runs with different seeds share no ids.
    """

    protocol: str
    address: str
    signal: str
    rate: float
    total: int
    batch: int = 500
    connections: int = 4
    compress: bool = False
    span_of_time: float = 0.0
    seed: int = 1


class _Run:
    def __init__(self, load: Load) -> None:
        self.load = load
        self.outcome = Outcome()
        self._ids = Ids(load.seed)
        self._templates: list[Template] = templates(
            load.signal, load.batch, text=load.protocol == "http/json"
        )
        self._requests = -(-load.total // load.batch)
        self._next = 0
        self._lock = threading.Lock()
        self._start = 0.0

    def __call__(self) -> Outcome:
        load = self.load
        workers = [
            threading.Thread(target=self._work, daemon=True) for _ in range(load.connections)
        ]
        cpu = time.process_time()
        self._start = time.monotonic()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.outcome.seconds = time.monotonic() - self._start
        self.outcome.cpu = time.process_time() - cpu
        self.outcome.latencies.sort()
        return self.outcome

    def _take(self) -> int | None:
        with self._lock:
            if self._next >= self._requests:
                return None
            self._next += 1
            return self._next - 1

    def _work(self) -> None:
        load = self.load
        connection = connect(load.protocol, load.address, load.signal, load.compress)
        while (index := self._take()) is not None:
            if load.rate:
                # A request is full, and so due, when its last record has been logged.
                due = self._start + (index + 1) * load.batch / load.rate
                wait = due - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                late = max(0.0, -wait)
            else:
                late = 0.0
            body = self._fill(index)
            self._deliver(connection, body, late)

    def _fill(self, index: int) -> bytes:
        load = self.load
        first = index * load.batch
        if load.span_of_time:
            total = self._requests * load.batch
            step = int(load.span_of_time * 1e9 / total)
            begin = time.time_ns() - total * step

            def times(number: int) -> int:
                return begin + number * step

        else:
            step = int(1e9 / load.rate) if load.rate else 1000
            last = first + load.batch
            now = time.time_ns()

            def times(number: int) -> int:
                return now - (last - number) * step

        template = self._templates[index % len(self._templates)]
        return template.fill(self._ids, first, times, spans=load.signal == "spans")

    def _deliver(self, connection: Connection, body: bytes, late: float) -> None:
        outcome, batch = self.outcome, self.load.batch
        rejected, retries, error_text = 0, 0, ""
        began = time.monotonic()
        while True:
            try:
                rejected = connection.send(body)
                break
            except RetryLaterError as error:
                retries += 1
                error_text = str(error)
                if retries > 60:
                    rejected = batch
                    break
                time.sleep(error.pause)
            except RefusedError as error:
                rejected = batch
                error_text = str(error)
                break
        took = time.monotonic() - began
        with self._lock:
            outcome.sent += batch
            outcome.acknowledged += batch - rejected
            outcome.rejected += rejected
            outcome.retries += retries
            outcome.bytes += len(body)
            outcome.late = late
            outcome.latencies.append(took)
            if error_text and len(outcome.errors) < 5:
                outcome.errors.append(error_text)


def send(load: Load) -> Outcome:
    """Send it all and wait for the answers."""
    if load.signal == "spans" and load.batch % SPANS_PER_TRACE:
        raise ValueError(f"a request of spans holds whole traces of {SPANS_PER_TRACE}")
    return _Run(load)()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--protocol", choices=PROTOCOLS, default="grpc")
    parser.add_argument("--address", required=True, help="host:port of the receiver")
    parser.add_argument("--signal", choices=("logs", "spans"), default="logs")
    parser.add_argument("--rate", type=float, default=10_000, help="records/s; 0: unthrottled")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--total", type=int, help="records, instead of --seconds")
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--span-of-time", type=float, default=0.0, help="seconds of the past")
    parser.add_argument("--seed", type=int, default=os.getpid(), help="no two runs share ids")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    load = Load(
        protocol=given.protocol,
        address=given.address,
        signal=given.signal,
        rate=given.rate,
        total=given.total or int(given.rate * given.seconds),
        batch=given.batch,
        connections=given.connections,
        compress=given.gzip,
        span_of_time=given.span_of_time,
        seed=given.seed,
    )
    outcome = send(load)
    if given.json:
        print(json.dumps(dataclasses.asdict(outcome)))
        return
    print(
        f"{outcome.acknowledged:,} of {outcome.sent:,} {load.signal} acknowledged over"
        f" {load.protocol} in {outcome.seconds:.1f} s: {outcome.rate:,.0f}/s;"
        f" answered after {outcome.latency(0.5) * 1e3:.0f} ms,"
        f" p99 {outcome.latency(0.99) * 1e3:.0f} ms;"
        f" {outcome.retries} retries, {outcome.rejected} rejected, {outcome.late:.2f} s late;"
        f" own CPU {outcome.cpu:.1f} s"
    )
    for error in outcome.errors:
        print(f"  {error}")


if __name__ == "__main__":
    main()
