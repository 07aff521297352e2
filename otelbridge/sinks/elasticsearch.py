"""The elasticsearch sink: log records and spans straight into Elasticsearch's data streams.

The documents are those that the OpenTelemetry Collector would write. While the server does not
answer, is too busy or lets nobody in, records stay in their queue, bounded in number and bytes, and
are tried again with growing pauses. A document that is refused for what it holds goes to the data
stream of dead letters. A resend stores nothing twice, because each document has its record's id.
"""

from __future__ import annotations

import contextvars
import logging
import os
import random
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otelbridge.elasticsearch.bulk import Outcome, Refusal, merge, write_documents
from otelbridge.elasticsearch.client import ElasticsearchError, make_client
from otelbridge.elasticsearch.documents import Document, log_document, span_documents
from otelbridge.elasticsearch.names import dead_letters
from otelbridge.settings import Settings, read_settings
from otelbridge.sinks import otlp_exporters
from otelbridge.sinks.destination import Destination
from otelbridge.sinks.elasticsearch_records import log_record, span, weigh
from otelbridge.sinks.otlp_logging import OTLPHandler
from otelbridge.sinks.otlp_trouble import REPORT_SECONDS, TroubleReport, overhear, overheard
from otelbridge.sinks.queue import BatchQueue, Deadline

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from otelbridge.sinks.otlp_exporters import Signal

_logger = logging.getLogger(__name__)

# Pauses between attempts grow from the first to the last, each shortened by up to a half at random,
# so that many processes do not come back all at once.
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 8.0
REQUEST_SECONDS: Final = 30.0
# Of records that wait, about; the oldest make room.
QUEUE_BYTES: Final = 64 * 2**20
# Where much waits, so many documents are written by each of so many connections.
PART_DOCUMENTS: Final = 512
CONNECTIONS: Final = 4
BATCH_SIZE: Final = CONNECTIONS * PART_DOCUMENTS

_FLUSH_SECONDS: Final = 5.0
_FLUSH_STEP_SECONDS: Final = 0.1
_PREFIX: Final = "OTELBRIDGE_ELASTICSEARCH_"
_CHATTY: Final = (
    "elastic_transport.node",
    "elastic_transport.node_pool",
    "elastic_transport.transport",
    "elasticsearch",
    "urllib3.connectionpool",
)


class ElasticsearchDestination(Destination):
    """The data streams of one signal.

    Attributes:
        refused: how many documents went to the dead letters.
    """

    def __init__(self, signal: Signal, settings: Settings, report: TroubleReport) -> None:
        """Remember where to send; nothing is opened yet.

        Args:
            signal: ``logs`` or ``traces``.
            settings: where Elasticsearch is, who signs in, and the namespace.
            report: what goes wrong is told to it.
        """
        super().__init__(signal, settings.elasticsearch_url, "http", report)
        self.refused = 0
        self._settings = settings
        self._namespace = settings.elasticsearch_namespace
        self._next_report = 0.0

    def send(self, batch: Any, count: int, success: Any, *, retry: bool) -> bool:
        """Store a batch of the SDK's records, on the thread that calls.

        A record counts as one document; a span's events are documents of their own.
        """
        documents = self._documents(batch)
        pause = FIRST_PAUSE_SECONDS
        complete = True
        while documents:
            outcome = self._try(documents)
            self.delivered += outcome.stored + outcome.duplicates
            if outcome.refused:
                self.refused += len(outcome.refused)
                self._report_refused(outcome.refused)
            if outcome.lost:
                complete = False
                self.give_up(len(outcome.lost), f"{outcome.lost[0].type}: {outcome.lost[0].reason}")
            if outcome.error is None:
                break
            if len(outcome.later) < len(documents):
                pause = FIRST_PAUSE_SECONDS  # it takes some
            documents = outcome.later
            self.failing = True
            reason = str(outcome.error).removeprefix(self.endpoint).lstrip(": ")
            if not retry or self._finishing.is_set():
                self.give_up(len(documents), reason)
                return False
            self.report.waiting(self.endpoint, reason)
            self._finishing.wait(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        if self.failing:
            self.failing = False
            self.report.recovered(self.endpoint)
        return complete

    def start_afresh(self) -> None:
        """Forget what belongs to the parent process, in the child after a fork."""
        super().start_afresh()
        self.refused = 0

    def _documents(self, batch: list[Any]) -> list[Document]:
        return [document for record in batch for document in self._documents_of(record)]

    def _documents_of(self, record: Any) -> list[Document]:
        try:
            if self.signal == "logs":
                return [log_document(log_record(record), self._namespace)]
            return span_documents(span(record), self._namespace)
        except Exception as error:
            # A record of a kind that the SDK does not make must not take the others with it.
            self.give_up(1, f"{type(error).__name__}: {error}")
            return []

    def _try(self, documents: list[Document]) -> Outcome:
        if self._aborted:
            return Outcome(later=documents, error=ElasticsearchError("it accepts no connection"))
        with overheard():
            try:
                client = self._connected()
            except ElasticsearchError as error:
                return Outcome(later=documents, error=error)
            if client is None:
                return Outcome(later=documents, error=ElasticsearchError("it was closed"))
            return self._write(client, documents)

    def _write(self, client: Elasticsearch, documents: list[Document]) -> Outcome:
        """Write many documents over several connections at once, so that the server never waits."""
        parts = min(CONNECTIONS, len(documents) // PART_DOCUMENTS)
        if parts < 2:
            return self._write_part(client, documents)
        outcomes: list[Outcome] = []

        def write(part: list[Document]) -> None:
            outcomes.append(self._write_part(client, part))

        threads: list[threading.Thread] = []
        for place in range(1, parts):
            # Each with this thread's context: what happens there is part of the sending.
            run, part = contextvars.copy_context().run, documents[place::parts]
            thread = threading.Thread(target=run, args=(write, part), daemon=True)
            try:
                thread.start()
            except RuntimeError:
                write(part)  # the interpreter is shutting down and lets no thread start
            else:
                threads.append(thread)
        write(documents[::parts])
        for thread in threads:
            thread.join()
        return merge(outcomes)

    def _write_part(self, client: Elasticsearch, documents: list[Document]) -> Outcome:
        try:
            return write_documents(client, documents, url=self.endpoint, namespace=self._namespace)
        except Exception as error:
            # An answer that no Elasticsearch gives: trying again would bring the same for ever.
            why = type(error).__name__, str(error)
            return Outcome(lost=[Refusal(document, *why) for document in documents])

    def _connect(self) -> Any:
        # A child must not be forked off while modules are being imported.
        with otlp_exporters.building:
            client = make_client(self._settings, timeout=REQUEST_SECONDS)
        # No spans about the sending of spans.
        client._otel.enabled = False
        _hush()
        return client

    def _disconnect(self, connection: Any) -> None:
        connection.close()

    def _report_refused(self, refused: list[Refusal]) -> None:
        now = time.monotonic()
        if now < self._next_report:
            return
        self._next_report = now + REPORT_SECONDS
        _logger.warning(
            "%s refused %d %s, kept in %s: %s: %s",
            self.endpoint,
            len(refused),
            "document" if len(refused) == 1 else "documents",
            dead_letters(self._namespace),
            refused[0].type,
            refused[0].reason,
        )


class ElasticsearchHandler(OTLPHandler):
    """Stores log records in Elasticsearch, without anything else of otelbridge.

    Nothing here waits for the server or raises because of it: a thread sends what is queued. The
    data streams need their templates; ``otelbridge setup`` brings them.

    Args:
        url: the server's address. This and the next five are read from
            ``OTELBRIDGE_ELASTICSEARCH_*`` where they are not given.
        api_key: as Elasticsearch shows it, encoded.
        username: a user, where there is no API key.
        password: the user's password.
        ca_certs: a PEM file of the authorities that signed the server's certificate.
        namespace: of the data streams ``logs-otelbridge.otel-NAMESPACE``.
        service_name: of the resource; by default as OpenTelemetry's variables have it.
        level: records below it are left out.

    Raises:
        ElasticsearchError: Elasticsearch's client is not installed.
        SettingsError: a value is not allowed.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        username: str | None = None,
        password: str | None = None,
        ca_certs: Path | str | None = None,
        namespace: str | None = None,
        service_name: str | None = None,
        level: int | str = logging.NOTSET,
    ) -> None:
        # Imported here, in the thread that sets logging up, and not while a record is sent.
        from opentelemetry.sdk._logs import LoggerProvider

        from otelbridge.pipeline import LogProcessor, log_limits, queue_options
        from otelbridge.resource import build_resource

        environ = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(_PREFIX) or name == "OTEL_SERVICE_NAME"
        }
        settings = read_settings(
            environ,
            elasticsearch_url=url,
            elasticsearch_api_key=api_key,
            elasticsearch_username=username,
            elasticsearch_password=password,
            elasticsearch_ca_certs=None if ca_certs is None else Path(ca_certs),
            elasticsearch_namespace=namespace,
            service_name=service_name,
        )
        make_client(settings).close()  # so that what cannot work is told here
        self._shutdown_seconds = settings.shutdown_timeout
        self._report = TroubleReport()
        self.destination = ElasticsearchDestination("logs", settings, self._report)
        self._queue = BatchQueue(
            self.destination,
            None,
            weigh=weigh,
            max_bytes=QUEUE_BYTES,
            **queue_options("logs", BATCH_SIZE),
        )
        self._own = LoggerProvider(
            resource=build_resource(settings),
            shutdown_on_exit=False,
            log_record_limits=log_limits(),
        )
        self._own.add_log_record_processor(LogProcessor(self._queue))
        self._closed = False
        super().__init__(self._own, level=level)
        if hasattr(os, "register_at_fork"):
            handler = weakref.ref(self)

            def after_fork() -> None:
                living = handler()
                if living is not None:
                    living._after_fork()

            os.register_at_fork(after_in_child=after_fork)

    @property
    def delivered(self) -> int:
        """Documents that this process had stored."""
        return self.destination.delivered

    @property
    def dropped(self) -> int:
        """Records of this process that were given up."""
        return self.destination.dropped

    @property
    def refused(self) -> int:
        """Documents of this process that went to the dead letters."""
        return self.destination.refused

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass a record on if the filters let it through; not what the sending itself logs."""
        if overhear(record) or (self._closed and record.name.startswith("otelbridge.sinks.")):
            return False  # at the end, what is said of records given up must not be one more
        return super().handle(record)

    def flush(self, timeout: float = _FLUSH_SECONDS) -> None:
        """Send what is queued; does not wait for a server that is in trouble.

        Args:
            timeout: seconds this may take.
        """
        deadline = Deadline(timeout)
        while not self._queue.flush(min(_FLUSH_STEP_SECONDS, deadline.remaining())):
            if self.destination.failing or not deadline.remaining():
                return

    def close(self) -> None:
        """Send what is left, within ``OTELBRIDGE_SHUTDOWN_TIMEOUT``, and stop."""
        if not self._closed:
            self._closed = True
            deadline = Deadline(self._shutdown_seconds)
            self.destination.finish(deadline, {})
            self._queue.close()
            self._queue.wait_closed(self.destination.patience(deadline))
            self.destination.close()
        super().close()

    def _after_fork(self) -> None:
        from opentelemetry.sdk.resources import Resource

        from otelbridge.resource import process_attributes

        otlp_exporters.building = threading.Lock()
        self._report.start_afresh()
        self.destination.start_afresh()
        self._queue.start_afresh()
        provider: Any = self._own
        provider._update_resource(Resource(process_attributes()))


class _NotOverheard(logging.Filter):
    """Leaves out what a client logs while telemetry is sent; what others do with it passes."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not overhear(record)


_not_overheard = _NotOverheard()


def _hush() -> None:
    for name in _CHATTY:
        # Adding a filter again does nothing.
        logging.getLogger(name).addFilter(_not_overheard)
