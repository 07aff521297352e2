"""The store over an Elasticsearch cluster, whoever writes to it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from otelbridge.elasticsearch import names
from otelbridge.elasticsearch.bulk import AnyDocument, write_documents
from otelbridge.elasticsearch.bulk_body import documents_of, logs_body, spans_body
from otelbridge.elasticsearch.client import ElasticsearchError, check_server, make_client
from otelbridge.elasticsearch.metric_documents import metric_documents
from otelbridge.model import Batch
from otelbridge.search.query import Query
from otelbridge.settings import Settings
from otelbridge.store.elasticsearch import errors, logs, metrics, services, traces
from otelbridge.store.elasticsearch import fields as field_reader
from otelbridge.store.elasticsearch.dsl import EVERYTHING
from otelbridge.store.elasticsearch.following import Arriving
from otelbridge.store.elasticsearch.kql import LOGS
from otelbridge.store.elasticsearch.server import Server
from otelbridge.store.protocol import (
    Arrivals,
    ErrorGroup,
    Facet,
    Following,
    Histogram,
    MetricSeries,
    NewestPoint,
    ServiceSummary,
    Signal,
    StoredLog,
    StoreError,
    StoreStats,
    StoreUnavailableError,
    TimeRange,
    Trace,
    TraceSummary,
)
from otelbridge.store.sqlite.followers import Follower, Followers
from otelbridge.tasks import end

_POLL_SECONDS: Final = 1.0
# Longest that who follows is kept from reading by a server that does not answer.
_BEGIN_SECONDS: Final = 5.0
_TYPES: Final[tuple[names.Type, ...]] = ("logs", "traces", "metrics")


class ElasticsearchStore:
    """Keeps records in data streams; implements :class:`otelbridge.store.protocol.Store`.

    Args:
        settings: ``store`` is the server's address; who signs in, the namespace and the retention
            are as for the sink.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.store
        self._namespace = settings.elasticsearch_namespace
        self._server: Server | None = None
        self._followers = Followers()
        self._polling: asyncio.Task[None] | None = None
        # Set while there has been a look that the next one can be compared with.
        self._looked = asyncio.Event()
        # Set when somebody begins to follow.
        self._wanted = asyncio.Event()
        self._counts = threading.Lock()
        self._duplicates = 0
        self._pending = 0

    # --- life -----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Reach the server.

        Raises:
            StoreError: it is not there or not one that this works with, or has no templates yet.
        """
        await asyncio.to_thread(self._open)
        self._polling = asyncio.create_task(self._poll())

    def _open(self) -> None:
        try:
            client = make_client(self._settings, url=self._url)
            check_server(client, self._url)
        except ElasticsearchError as error:
            raise StoreError(str(error)) from error
        server = Server(client, self._url, self._namespace)
        found = server.ask(
            lambda: client.options(ignore_status=(403, 404)).indices.get_index_template(
                name=names.LOGS_TEMPLATE
            )
        )
        # Who may not read templates may still write; what is missing is told then.
        if found.meta.status == 404:
            client.close()
            raise StoreError(f"{self._url} is not set up yet: run `otelbridge setup`")
        self._server = server

    async def close(self) -> None:
        """Close; harmless where it is not open."""
        polling, self._polling = self._polling, None
        if polling is not None:
            await end(polling)
        server, self._server = self._server, None
        if server is not None:
            self._followers.tell(None)
            await asyncio.to_thread(server.client.close)

    @property
    def _open_server(self) -> Server:
        if self._server is None:
            raise StoreError("the store is not open")
        return self._server

    # --- writing --------------------------------------------------------------------------------

    async def write(self, batch: Batch) -> Arrivals:
        """Store a batch; returns once it is safe, before it can be found.

        The ids of what came are told by :meth:`arrivals`, once it can be found.

        Raises:
            StoreUnavailableError: not all of it was stored; what was is recognised when it is
                sent again, by its id.
            StoreError: the store is closed.
        """
        server = self._open_server
        if len(batch):
            with self._counts:
                self._pending += len(batch)
            try:
                await asyncio.to_thread(self._write, server, batch)
            finally:
                with self._counts:
                    self._pending -= len(batch)
        return Arrivals([], [], len(batch.points))

    def _write(self, server: Server, batch: Batch) -> None:
        now = time.time_ns()
        documents: list[AnyDocument] = [
            *documents_of(logs_body(batch.logs, self._namespace, now)),
            *documents_of(spans_body(batch.spans, self._namespace, now)),
            *metric_documents(batch.points, self._namespace),
        ]
        outcome = write_documents(
            server.client, documents, url=self._url, namespace=self._namespace
        )
        with self._counts:
            self._duplicates += outcome.duplicates
        if outcome.later:
            raise StoreUnavailableError(str(outcome.error or f"{self._url} has no room"))

    def arrivals(self) -> Following:
        """Follow what becomes findable from now on, in the running loop."""
        follower = self._followers.follow()
        self._wanted.set()
        return _Following(follower, self._looked)

    async def _poll(self) -> None:
        arriving: Arriving | None = None
        while True:
            self._wanted.clear()
            if not len(self._followers):
                arriving = None
                self._looked.clear()
                await self._wanted.wait()
                continue
            if arriving is None:
                arriving = Arriving(self._open_server)
            # A server that is away for a while is asked again.
            with contextlib.suppress(StoreError):
                arrivals = await asyncio.to_thread(arriving.look)
                self._looked.set()
                if arrivals is not None:
                    self._followers.tell(arrivals)
            await asyncio.sleep(_POLL_SECONDS)

    # --- reading --------------------------------------------------------------------------------

    def logs(
        self,
        query: Query | None,
        within: TimeRange,
        *,
        limit: int = 100,
        before: int | None = None,
        after: int | None = None,
        ids: Sequence[int] | None = None,
    ) -> list[StoredLog]:
        """The newest matching logs, newest first."""
        return logs.read_logs(
            self._open_server, query, within, limit=limit, before=before, after=after, ids=ids
        )

    def log(self, id: int) -> StoredLog | None:
        """One record."""
        return logs.read_log_of(self._open_server, id)

    def log_histogram(self, query: Query | None, within: TimeRange, bars: int = 60) -> Histogram:
        """Counts over time by severity; no step is shorter than a millisecond."""
        return logs.read_histogram(self._open_server, query, within, bars)

    def log_facets(
        self, query: Query | None, within: TimeRange, fields: Sequence[str], *, size: int = 10
    ) -> list[Facet]:
        """Top values of each field among matching records."""
        return field_reader.read_facets(self._open_server, query, within, fields, size)

    def count_logs(self, query: Query | None, within: TimeRange) -> int:
        """How many logs match."""
        return logs.count(self._open_server, query, within)

    def error_groups(
        self,
        query: Query | None,
        within: TimeRange,
        *,
        fingerprint: str | None = None,
        limit: int = 500,
        steps: int = 30,
    ) -> list[ErrorGroup]:
        """The groups of the errors that match, the one seen last in the range first."""
        return errors.read_error_groups(
            self._open_server, query, within, fingerprint=fingerprint, limit=limit, steps=steps
        )

    def field_names(self, signal: Signal) -> list[str]:
        """Every field name a query may use: the built-in ones and the attributes indexed."""
        return field_reader.read_names(self._open_server, signal)

    def field_values(
        self, signal: Signal, field: str, prefix: str = "", limit: int = 20
    ) -> list[str]:
        """Values of a field that begin with ``prefix``, most frequent first."""
        return field_reader.read_values(self._open_server, signal, field, prefix, limit)

    def traces(
        self,
        query: Query | None,
        within: TimeRange,
        *,
        limit: int = 100,
        before: int | None = None,
    ) -> list[TraceSummary]:
        """The newest traces with a span that matches, newest first."""
        return traces.read_traces(self._open_server, query, within, limit=limit, before=before)

    def trace(self, trace_id: bytes) -> Trace | None:
        """A whole trace, with its logs."""
        return traces.read_trace(self._open_server, trace_id)

    def services(self, within: TimeRange, steps: int = 30) -> list[ServiceSummary]:
        """Every service seen in the range, by name; percentiles are estimates."""
        return services.read_services(self._open_server, within, steps)

    def metric_names(self, within: TimeRange) -> list[tuple[str, str]]:
        """Names and units of the metrics seen in the range."""
        return metrics.read_names(self._open_server, within)

    def metrics(
        self,
        name: str,
        within: TimeRange,
        *,
        service: str | None = None,
        points: int = 300,
    ) -> list[MetricSeries]:
        """The series of one metric, thinned to about ``points`` steps."""
        return metrics.read_metrics(self._open_server, name, within, service=service, points=points)

    def newest_points(self, names: Sequence[str], within: TimeRange) -> list[NewestPoint]:
        """The newest point in the range of every series of these metrics."""
        return metrics.read_newest(self._open_server, names, within)

    def stats(self) -> StoreStats:
        """Counts, sizes and limits; what was deleted by its age is not counted."""
        server = self._open_server
        ends = {
            "oldest": {"min": {"field": "@timestamp"}},
            "newest": {"max": {"field": "@timestamp"}},
        }
        answers = {
            "logs": server.search("logs", LOGS, size=0, track_total_hits=True, aggs=ends),
            "traces": server.search("traces", EVERYTHING, size=0, track_total_hits=True, aggs=ends),
            "metrics": server.search("metrics", EVERYTHING, size=0, track_total_hits=True),
        }
        times: dict[str, list[float]] = {"oldest": [], "newest": []}
        for answer in answers.values():
            for name, found in answer.get("aggregations", {}).items():
                if found["value"] is not None:
                    times[name].append(found["value"])
        totals = {key: answer["hits"]["total"]["value"] for key, answer in answers.items()}
        return StoreStats(
            logs=totals["logs"],
            spans=totals["traces"],
            points=totals["metrics"],
            bytes=self._bytes(server),
            oldest=int(min(times["oldest"])) * 10**6 if times["oldest"] else None,
            newest=int(max(times["newest"])) * 10**6 if times["newest"] else None,
            duplicates=self._duplicates,
            expired=0,
            pending=self._pending,
            retention_seconds=self._settings.retention,
            retention_bytes=0,
            location=f"{self._url} ({names.data_stream('logs', self._namespace)} and others)",
        )

    def _bytes(self, server: Server) -> int:
        return sum(self._bytes_of(server, type) for type in _TYPES)

    def _bytes_of(self, server: Server, type: names.Type) -> int:
        stream = names.data_stream(type, self._namespace)
        indices = server.client.options(ignore_status=404).indices
        answer = server.ask(lambda: indices.stats(index=stream, metric="store").body)
        found = answer.get("_all") or {}
        return int(found["total"]["store"]["size_in_bytes"]) if found.get("total") else 0


class _Following(AsyncIterator[Arrivals]):
    """A follower that is told of what is found after the first look."""

    def __init__(self, follower: Follower, looked: asyncio.Event) -> None:
        self._follower = follower
        self._looked = looked

    async def begun(self) -> None:
        """Wait for the first look: what it finds is not told."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._looked.wait(), _BEGIN_SECONDS)

    async def __anext__(self) -> Arrivals:
        return await self._follower.__anext__()
