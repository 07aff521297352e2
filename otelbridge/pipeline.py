"""The OpenTelemetry providers of one process, and the queues between them and the otlp sink."""

from __future__ import annotations

import copy
import importlib.util
import logging
import os
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from opentelemetry import _logs, metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordLimits,
    LogRecordProcessor,
    ReadableLogRecord,
)
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.util._importlib_metadata import entry_points

from otelbridge.metric_reader import IntervalReader
from otelbridge.sinks import otlp_exporters
from otelbridge.sinks.otlp import OTLPDestination
from otelbridge.sinks.otlp_trouble import TroubleReport
from otelbridge.sinks.queue import DEFAULT_BATCH_SIZE, DEFAULT_CAPACITY, BatchQueue, Deadline

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

    from otelbridge.settings import Settings
    from otelbridge.sinks.destination import Destination
    from otelbridge.sinks.otlp_exporters import Signal

_logger = logging.getLogger(__name__)

# Short enough for a record to be on the page within a second; OTEL_BLRP_SCHEDULE_DELAY and
# OTEL_BSP_SCHEDULE_DELAY win.
LOG_DELAY_SECONDS: Final = 0.2
SPAN_DELAY_SECONDS: Final = 0.5
# Longest that a fork may wait for an exporter to be imported or the metrics to be read.
_FORK_SECONDS: Final = 2.0


class LogProcessor(LogRecordProcessor):
    """Puts log records into a queue."""

    def __init__(self, queue: BatchQueue) -> None:
        """Put records into ``queue``."""
        self.queue = queue

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Queue a record."""
        # Without its context, which may hold on to much and is not sent.
        record = copy.copy(log_record.log_record)
        record.context = Context()
        self.queue.put(
            ReadableLogRecord(
                record,
                log_record.resource or Resource.get_empty(),
                log_record.instrumentation_scope,
                log_record.limits,
            )
        )

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is queued; gives up waiting after ``timeout_millis``."""
        return self.queue.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Take no more records; :class:`Pipeline` sees to what is left."""
        self.queue.close()


class QueueSpanProcessor(SpanProcessor):
    """Puts sampled spans into a queue when they end."""

    def __init__(self, queue: BatchQueue) -> None:
        """Put spans into ``queue``."""
        self.queue = queue

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.queue.put(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is queued; gives up waiting after ``timeout_millis``."""
        return self.queue.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Take no more spans; :class:`Pipeline` sees to what is left."""
        self.queue.close()


class Pipeline:
    """The three providers, and what is ours behind them.

    A provider that the program has set before is used as it is: nothing is added to it.

    Attributes:
        tracer_provider: the global one.
        logger_provider: the global one; ``None`` if log records have no OpenTelemetry way out.
        meter_provider: the global one.
        destinations: where ours send to.
    """

    def __init__(self, settings: Settings, resource: Resource) -> None:
        """Build what the settings and the standard variables ask for, and make it global."""
        self.destinations: list[Destination] = []
        self._settings = settings
        self._report = TroubleReport()
        self._own: list[Any] = []
        self._others: list[Any] = []
        self._held: list[threading.Lock] = []
        self._queues: list[BatchQueue] = []
        self._reader: IntervalReader | None = None
        # Metrics first: the other two providers count themselves with it, if asked to.
        self.meter_provider = self._set_up_metrics(resource)
        self.tracer_provider = self._set_up_traces(resource)
        self.logger_provider = self._set_up_logs(resource)

    def flush(self, timeout: float) -> bool:
        """Send what is queued and one reading of the metrics.

        Args:
            timeout: seconds this may take.

        Returns:
            Whether everything was accepted in time.
        """
        lost = self._dropped()
        deadline = Deadline(timeout)
        done = [waiting.flush(deadline.remaining()) for waiting in self._waiting()]
        done += [
            provider.force_flush(round(deadline.remaining() * 1000)) for provider in self._others
        ]
        return all(done) and self._dropped() == lost

    def shutdown(self, timeout: float) -> bool:
        """Send what is queued and stop.

        Args:
            timeout: seconds this may take.

        Returns:
            Whether everything was accepted.
        """
        lost = self._dropped()
        deadline = Deadline(timeout)
        reachable: dict[str, bool] = {}
        # All are told first, so that they end side by side.
        for destination in self.destinations:
            destination.finish(deadline, reachable)
        for waiting in self._waiting():
            waiting.close()
        for waiting in self._waiting():
            waiting.wait_closed(waiting.destination.patience(deadline))
        for provider in self._own:
            if isinstance(provider, MeterProvider):
                with suppress(Exception):  # it raises for a reader that was late
                    provider.shutdown(timeout_millis=1)
            else:
                provider.shutdown()
        for destination in self.destinations:
            destination.close()
        return self._dropped() == lost

    def update_resource(self, attributes: dict[str, Any]) -> None:
        """Change attributes of the resource that everything sent from now on carries."""
        for provider in self._own:
            provider._update_resource(Resource(attributes))

    def before_fork(self) -> None:
        """Wait until no thread of ours is amid what a child could not go on from."""
        locks = [otlp_exporters.building]
        if self._reader is not None:
            locks.append(self._reader.reading)
        self._held = [lock for lock in locks if lock.acquire(timeout=_FORK_SECONDS)]

    def after_fork_in_parent(self) -> None:
        """Let the threads go on."""
        for lock in self._held:
            lock.release()
        self._held = []

    def after_fork_in_child(self) -> None:
        """Send what this process makes, and nothing of the parent's."""
        self._held = []
        otlp_exporters.building = threading.Lock()
        self._report.start_afresh()
        for destination in self.destinations:
            destination.start_afresh()
        for queue in self._queues:
            queue.start_afresh()
        if self._reader is not None:
            self._reader.start()

    def before_patching(self) -> None:
        """End all threads: gevent is about to change what a thread is."""
        if self._reader is not None:
            self._reader.stop()
        for queue in self._queues:
            queue.change_threading()

    def after_patching(self) -> None:
        """Go on, with what gevent has made of threads and sockets."""
        for destination in self.destinations:
            destination.change_threading()
        for queue in self._queues:
            queue.change_threading()
        if self._reader is not None:
            self._reader.start()

    def _waiting(self) -> list[BatchQueue | IntervalReader]:
        return [*self._queues, *([self._reader] if self._reader is not None else [])]

    def _dropped(self) -> int:
        return sum(destination.dropped for destination in self.destinations)

    def _destination(self, signal: Signal, name: str) -> Destination:
        destination: Destination
        if name == "elasticsearch":
            # Imported here: without that sink nothing of it need be there.
            from otelbridge.sinks.elasticsearch import ElasticsearchDestination

            destination = ElasticsearchDestination(signal, self._settings, self._report)
        else:
            protocol = _OTLP_NAMES.get(name)
            destination = OTLPDestination(signal, self._settings, self._report, protocol)
        self.destinations.append(destination)
        return destination

    def _queue(self, signal: Literal["logs", "traces"], name: str, success: Any) -> BatchQueue:
        bounded: dict[str, Any] = {}
        batch_size = DEFAULT_BATCH_SIZE
        if name == "elasticsearch":
            from otelbridge.sinks.elasticsearch import BATCH_SIZE, QUEUE_BYTES
            from otelbridge.sinks.elasticsearch_records import weigh

            bounded = {"weigh": weigh, "max_bytes": QUEUE_BYTES}
            batch_size = BATCH_SIZE
        queue = BatchQueue(
            self._destination(signal, name),
            success,
            **queue_options(signal, batch_size),
            **bounded,
        )
        self._queues.append(queue)
        return queue

    def _set_up_traces(self, resource: Resource) -> trace.TracerProvider:
        current = trace.get_tracer_provider()
        if not isinstance(current, trace.ProxyTracerProvider):
            return current
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for name in exporter_names("traces", self._settings):
            if name.startswith("otlp") or name == "elasticsearch":
                queue = self._queue("traces", name, SpanExportResult.SUCCESS)
                provider.add_span_processor(QueueSpanProcessor(queue))
            else:
                exporter = _load_exporter("opentelemetry_traces_exporter", name)
                provider.add_span_processor(BatchSpanProcessor(exporter))
                self._others.append(provider)
        trace.set_tracer_provider(provider)
        self._own.append(provider)
        return provider

    def _set_up_logs(self, resource: Resource) -> _logs.LoggerProvider | None:
        current = _logs.get_logger_provider()
        if not isinstance(current, _logs._internal.ProxyLoggerProvider):
            return current
        names = exporter_names("logs", self._settings)
        if not names:
            return None
        provider = LoggerProvider(
            resource=resource, shutdown_on_exit=False, log_record_limits=log_limits()
        )
        for name in names:
            if name.startswith("otlp") or name == "elasticsearch":
                queue = self._queue("logs", name, LogRecordExportResult.SUCCESS)
                provider.add_log_record_processor(LogProcessor(queue))
            else:
                exporter = _load_exporter("opentelemetry_logs_exporter", name)
                provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
                self._others.append(provider)
        _logs.set_logger_provider(provider)
        self._own.insert(0, provider)
        return provider

    def _set_up_metrics(self, resource: Resource) -> metrics.MeterProvider | None:
        current = metrics.get_meter_provider()
        if not isinstance(current, metrics._internal._ProxyMeterProvider):
            return current
        readers: list[Any] = []
        for name in exporter_names("metrics", self._settings):
            if self._settings.metric_interval <= 0:
                break
            if name.startswith("otlp"):
                interval = read_milliseconds("OTEL_METRIC_EXPORT_INTERVAL")
                self._reader = IntervalReader(
                    self._destination("metrics", name),
                    self._settings.metric_interval if interval is None else interval,
                )
                readers.append(self._reader)
            else:
                exporter = _load_exporter("opentelemetry_metrics_exporter", name)
                readers.append(PeriodicExportingMetricReader(exporter))
        if not readers:
            return None
        provider = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        if self._reader is not None:
            self._reader.start()
        metrics.set_meter_provider(provider)
        self._own.append(provider)
        return provider


# The variables of each queue (batch log record processor, batch span processor), and its delay.
_QUEUES: Final = {
    "logs": ("OTEL_BLRP", LOG_DELAY_SECONDS),
    "traces": ("OTEL_BSP", SPAN_DELAY_SECONDS),
}


def queue_options(
    signal: Literal["logs", "traces"], batch_size: int = DEFAULT_BATCH_SIZE
) -> dict[str, Any]:
    """Read a queue's delay, batch size and capacity from the standard variables."""
    prefix, delay = _QUEUES[signal]
    given = read_milliseconds(f"{prefix}_SCHEDULE_DELAY")
    return {
        "delay": delay if given is None else given,
        "batch_size": read_count(f"{prefix}_MAX_EXPORT_BATCH_SIZE", batch_size),
        "capacity": read_count(f"{prefix}_MAX_QUEUE_SIZE", DEFAULT_CAPACITY),
    }


# Names for OTEL_LOGS_EXPORTER and its like that fix the protocol, as in the Python SDK.
_OTLP_NAMES: Final = {
    "otlp_proto_grpc": "grpc",
    "otlp_proto_http": "http/protobuf",
    "otlp_json_http": "http/json",
}


def exporter_names(signal: Signal, settings: Settings) -> list[str]:
    """List the exporters of a signal: ``OTEL_LOGS_EXPORTER`` and so on, else the sinks.

    ``none`` is the empty list, as OpenTelemetry's specification has it. Elasticsearch gets logs
    and spans; metrics reach it by way of the Collector.
    """
    text = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip()
    if not text:
        names = [name for name in settings.sinks if name in {"otlp", "elasticsearch"}]
    else:
        names = [name.strip() for name in text.split(",") if name.strip() not in {"", "none"}]
    if "elasticsearch" in names and (signal == "metrics" or not _has_elasticsearch()):
        names.remove("elasticsearch")
    return names


@cache
def _has_elasticsearch() -> bool:
    """Tell whether the elasticsearch sink can work; if not, the program's log says so."""
    if importlib.util.find_spec("elasticsearch") is not None:
        return True
    _logger.warning(
        "the elasticsearch sink is left out: its client is not installed: "
        "pip install 'otelbridge[elasticsearch]'"
    )
    return False


def _load_exporter(group: str, name: str) -> Any:
    for entry_point in entry_points(group=group, name=name):
        return entry_point.load()()
    raise LookupError(f"no exporter named {name!r} is installed ({group})")


def read_milliseconds(variable: str) -> float | None:
    """Read a standard variable that holds milliseconds, in seconds; ``None`` without it."""
    number = read_count(variable, 0)
    return number / 1000 if number > 0 else None


def read_count(variable: str, default: int) -> int:
    """Read a standard variable that holds a number; a wrong one is named and left out."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        number = int(float(text))
    except ValueError:
        number = 0
    if number <= 0:
        _logger.warning("%s is %r; allowed: a number above 0; %d is used", variable, text, default)
        return default
    return number


def log_limits() -> LogRecordLimits:
    """Set no limit on a record's attributes, unless the standard variables do."""
    counted = any(
        os.environ.get(name)
        for name in ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
    )
    if counted:
        return LogRecordLimits()
    return LogRecordLimits(max_log_record_attributes=LogRecordLimits.UNSET)
