"""The elasticsearch sink: log records and spans straight into Elasticsearch's data streams.

The documents are those that the OpenTelemetry Collector would write. A document that is refused for
what it holds goes to the data stream of dead letters. A resend stores nothing twice, because each
document has its record's id.
"""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import logging
import os
import threading
import time
import weakref
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otelbridge.delivery.answer import REFUSED, TAKEN, Answer
from otelbridge.delivery.assembly import make_delivery
from otelbridge.delivery.timing import Deadline
from otelbridge.delivery.turns import in_turns
from otelbridge.elasticsearch.arrival import put_right
from otelbridge.elasticsearch.bulk import Outcome, Refusal, merge, write_documents
from otelbridge.elasticsearch.bulk_body import (
    WrittenDocuments,
    spans_body,
)
from otelbridge.elasticsearch.client import make_client
from otelbridge.elasticsearch.names import dead_letters
from otelbridge.settings import Settings, read_settings
from otelbridge.sinks import otlp_exporters
from otelbridge.sinks.destination import Destination
from otelbridge.sinks.elasticsearch_lines import written_logs
from otelbridge.sinks.elasticsearch_records import spans
from otelbridge.sinks.otlp_logging import OTLPHandler
from otelbridge.sinks.otlp_trouble import REPORT_SECONDS, TroubleReport, overhear

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from otelbridge.delivery.counters import Snapshot
    from otelbridge.sinks.otlp_exporters import Signal

_logger = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 30.0
# Where much waits, so many documents are written by each of so many connections.
PART_DOCUMENTS: Final = 512
CONNECTIONS: Final = 4

_FLUSH_SECONDS: Final = 5.0
_FLUSH_STEP_SECONDS: Final = 0.1
_PREFIXES: Final = (
    "OTELBRIDGE_ELASTICSEARCH_",
    "OTELBRIDGE_QUEUE_BYTES",
    "OTELBRIDGE_SPOOL_",
    "OTELBRIDGE_SHUTDOWN_TIMEOUT",
)
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

    sink = "elasticsearch"
    batch_size = CONNECTIONS * PART_DOCUMENTS

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
        self._unsaid: list[Refusal] = []

    def _encode(self, records: Any) -> bytes:
        """Write the lines of a bulk request.

        A span's events are documents of their own.
        """
        if self.signal == "logs":
            return written_logs(in_turns(records), self._namespace, time.time_ns())
        return spans_body(in_turns(spans(in_turns(records))), self._namespace, time.time_ns())

    def send(self, body: bytes, count: int) -> Answer:
        """Send records, on the thread that calls; see :meth:`Destination.send`."""
        answer = super().send(body, count)
        refusals, self._unsaid = self._unsaid, []
        if refusals:
            # Not before: what is logged while sending is kept from the program's log.
            self._report_refused(refusals)
        return answer

    def start_afresh(self) -> None:
        """Forget what belongs to the parent process, in the child after a fork."""
        super().start_afresh()
        self.refused = 0

    def _attempt(self, connection: Any, body: bytes) -> Answer:
        lines = put_right(body.splitlines(keepends=True), time.time_ns())
        outcome = self._write(connection, WrittenDocuments(lines))
        if outcome.refused:
            self.refused += len(outcome.refused)
            self._unsaid += outcome.refused
        if outcome.error is not None:
            # What was stored is recognised when it comes again.
            reason = str(outcome.error).removeprefix(self.endpoint).lstrip(": ")
            return Answer(later=True, reason=reason)
        if outcome.lost:
            lost = outcome.lost[0]
            return Answer(
                dropped=len(outcome.lost), cause=REFUSED, reason=f"{lost.type}: {lost.reason}"
            )
        return TAKEN

    def _split(self, body: bytes) -> tuple[bytes, bytes]:
        lines = body.splitlines(keepends=True)
        middle = len(lines) // 4 * 2
        return b"".join(lines[:middle]), b"".join(lines[middle:])

    def _write(self, client: Elasticsearch, documents: WrittenDocuments) -> Outcome:
        """Write many documents over several connections at once, so that the server never waits."""
        if len(documents) < 2 * PART_DOCUMENTS:
            return self._write_part(client, documents)
        # Whichever connection is free takes the next part, so that none waits for a slow one.
        parts = deque(
            documents[place : place + PART_DOCUMENTS]
            for place in range(0, len(documents), PART_DOCUMENTS)
        )
        outcomes: list[Outcome] = []

        def write() -> None:
            with contextlib.suppress(IndexError):  # none is left
                while True:
                    outcomes.append(self._write_part(client, parts.popleft()))

        threads: list[threading.Thread] = []
        for _ in range(min(CONNECTIONS, len(parts)) - 1):
            # Each with this thread's context: what happens there is part of the sending.
            run = contextvars.copy_context().run
            thread = threading.Thread(target=run, args=(write,), daemon=True)
            try:
                thread.start()
            except RuntimeError:
                break  # the interpreter is shutting down and lets no thread start
            threads.append(thread)
        write()
        for thread in threads:
            thread.join()
        return merge(outcomes)

    def _write_part(self, client: Elasticsearch, documents: WrittenDocuments) -> Outcome:
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
            refused[0].kept or dead_letters(self._namespace),
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

        from otelbridge.delivery.processors import LogProcessor
        from otelbridge.pipeline import log_limits
        from otelbridge.resource import build_resource

        environ = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(_PREFIXES) or name == "OTEL_SERVICE_NAME"
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
        self._settings = settings
        self._report = TroubleReport()
        self.destination = ElasticsearchDestination("logs", settings, self._report)
        resource = build_resource(settings)
        self._delivery = make_delivery(
            "logs",
            self.destination,
            settings,
            _place(),
            lambda: str(resource.attributes["service.name"]),
            lambda: 1,
        )
        self._own = LoggerProvider(
            resource=resource,
            shutdown_on_exit=False,
            log_record_limits=log_limits(),
        )
        self._own.add_log_record_processor(LogProcessor(self._delivery))
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
        """Records of this process that were stored as they are."""
        return self._delivery.counters.sent - self.refused

    @property
    def dropped(self) -> int:
        """Records of this process that were given up."""
        return self._delivery.counters.dropped

    def delivery(self) -> list[Snapshot]:
        """Tell what became of this process's records, as :meth:`Instrumentation.delivery` does."""
        return [self._delivery.snapshot()]

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
        while not self._delivery.flush(min(_FLUSH_STEP_SECONDS, deadline.remaining())):
            if self.destination.failing or not deadline.remaining():
                return

    def close(self) -> None:
        """Send what is left, within ``OTELBRIDGE_SHUTDOWN_TIMEOUT``, and stop."""
        if not self._closed:
            self._closed = True
            deadline = Deadline(self._settings.shutdown_timeout)
            self.destination.finish(deadline, {})
            self._delivery.close()
            kept = self._delivery.wait_closed(self.destination.patience(deadline))
            self.destination.close()
            self._report.ended({"logs": kept}, self._settings.spool_dir)
        super().close()

    def _after_fork(self) -> None:
        from opentelemetry.sdk.resources import Resource

        from otelbridge.resource import process_attributes

        otlp_exporters.building = threading.Lock()
        self._report.start_afresh()
        self.destination.start_afresh()
        self._delivery.start_afresh()
        provider: Any = self._own
        provider._update_resource(Resource(process_attributes()))


_handlers = itertools.count(1)


def _place() -> str:
    """Name the spool of one more handler; two of a process must not share one."""
    number = next(_handlers)
    return "elasticsearch-handler" if number == 1 else f"elasticsearch-handler-{number}"


class _NotOverheard(logging.Filter):
    """Leaves out what a client logs while telemetry is sent; what others do with it passes."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not overhear(record)


_not_overheard = _NotOverheard()


def _hush() -> None:
    for name in _CHATTY:
        # Adding a filter again does nothing.
        logging.getLogger(name).addFilter(_not_overheard)
