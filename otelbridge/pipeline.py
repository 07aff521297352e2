"""The OpenTelemetry providers of one process, and the queues between them and the otlp sink."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util._importlib_metadata import entry_points

from otelbridge.sinks.otlp import (
    Destination,
    OTLPLogRecordExporter,
    OTLPMetricExporter,
    OTLPSpanExporter,
)
from otelbridge.sinks.otlp_trouble import TroubleReport

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

    from otelbridge.settings import Settings
    from otelbridge.sinks.otlp_exporters import Signal

# Short enough for a record to be on the page within a second. The specification's own variables
# (OTEL_BLRP_SCHEDULE_DELAY, OTEL_BSP_SCHEDULE_DELAY, ..._MAX_QUEUE_SIZE) win.
LOG_DELAY_MILLIS: Final = 200
SPAN_DELAY_MILLIS: Final = 500
QUEUE_SIZE: Final = 16_384


class _BoundedQueue:
    """What the two batch processors need so that they never hold up the program for long."""

    destination: Destination
    _batch_processor: Any
    _flushing: threading.Thread | None = None
    deadline: float | None = None

    def _count_overflow(self) -> None:
        batch = self._batch_processor
        if len(batch._queue) >= batch._max_queue_size:
            self.destination.give_up(1, "the queue is full")

    def shutdown(self) -> None:
        """Send what is queued, until ``deadline`` (``time.monotonic`` seconds), then close."""
        deadline = self.deadline if self.deadline is not None else time.monotonic() + 30.0
        remaining = self.destination.patience(deadline)
        waiting = len(self._batch_processor._queue)
        self._batch_processor.shutdown(timeout_millis=remaining * 1000)
        left = len(self._batch_processor._queue)
        if left and waiting:
            self.destination.give_up(left, "the program ended first")

    def force_flush(self, timeout_millis: int | None = 30_000) -> bool:
        """Send what is queued; give up waiting after ``timeout_millis``."""
        if self._flushing is None or not self._flushing.is_alive():
            self._flushing = threading.Thread(
                target=self._batch_processor.force_flush, name="otelbridge-flush", daemon=True
            )
            try:
                self._flushing.start()
            except RuntimeError:  # the interpreter is shutting down: no new threads
                self._flushing = None
                return False
        self._flushing.join(30.0 if timeout_millis is None else timeout_millis / 1000)
        return not self._flushing.is_alive()


class LogQueue(_BoundedQueue, BatchLogRecordProcessor):
    """Batches log records for a destination."""

    def __init__(self, destination: Destination) -> None:
        """Send what comes in to ``destination``."""
        self.destination = destination
        BatchLogRecordProcessor.__init__(
            self,
            OTLPLogRecordExporter(destination),
            schedule_delay_millis=_unless_set("OTEL_BLRP_SCHEDULE_DELAY", LOG_DELAY_MILLIS),
            max_queue_size=_unless_set("OTEL_BLRP_MAX_QUEUE_SIZE", QUEUE_SIZE),
        )

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Queue a record; the oldest makes room where the queue is full."""
        self._count_overflow()
        BatchLogRecordProcessor.on_emit(self, log_record)


class SpanQueue(_BoundedQueue, BatchSpanProcessor):
    """Batches spans for a destination."""

    def __init__(self, destination: Destination) -> None:
        """Send what comes in to ``destination``."""
        self.destination = destination
        BatchSpanProcessor.__init__(
            self,
            OTLPSpanExporter(destination),
            schedule_delay_millis=_unless_set("OTEL_BSP_SCHEDULE_DELAY", SPAN_DELAY_MILLIS),
            max_queue_size=_unless_set("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_SIZE),
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span; the oldest makes room where the queue is full."""
        self._count_overflow()
        BatchSpanProcessor.on_end(self, span)


class MetricReader(PeriodicExportingMetricReader):
    """Reads metrics every so often, and never while the process forks.

    The SDK's metric storages hold locks while they are read. A child forked in that moment would
    wait for them for ever.
    """

    def __init__(self, exporter: Any, interval: float) -> None:
        """Read every ``interval`` seconds, or as OTEL_METRIC_EXPORT_INTERVAL has it."""
        self.reading = threading.Lock()
        super().__init__(
            exporter,
            export_interval_millis=_unless_set("OTEL_METRIC_EXPORT_INTERVAL", interval * 1000),
        )

    def guard_reading(self) -> None:
        """Hold ``reading`` while metrics are read; for when the meter provider has been made."""
        read: Any = self._collect

        def collect(*args: Any, **kwargs: Any) -> Any:
            with self.reading:
                return read(*args, **kwargs)

        self._set_collect_callback(collect)


class Pipeline:
    """The three providers, and what is ours behind them.

    A provider that the program has set before is used as it is: nothing is added to it.

    Attributes:
        tracer_provider: the global one.
        logger_provider: the global one; ``None`` if log records have no OpenTelemetry way out.
        meter_provider: the global one.
        destinations: where ours send to, by signal.
    """

    def __init__(self, settings: Settings, resource: Resource) -> None:
        """Build what the settings and the standard variables ask for, and make it global."""
        self.destinations: dict[Signal, Destination] = {}
        self._settings = settings
        self._report = TroubleReport()
        self._own: list[Any] = []
        self._queues: list[_BoundedQueue] = []
        self._reader: MetricReader | None = None
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
        deadline = time.monotonic() + timeout
        done = True
        for provider in self._own:
            remaining = max(0.0, deadline - time.monotonic())
            done &= _within(remaining, provider.force_flush, round(remaining * 1000))
        return done and self._dropped() == lost

    def shutdown(self, deadline: float) -> bool:
        """Send what is queued and stop.

        Args:
            deadline: ``time.monotonic`` seconds at which it is over in any case.

        Returns:
            Whether everything was accepted.
        """
        lost = self._dropped()
        reachable: dict[str, bool] = {}
        for destination in self.destinations.values():
            destination.finish(deadline, reachable)
        for queue in self._queues:
            queue.deadline = deadline
        for provider in self._own:
            if isinstance(provider, MeterProvider):
                remaining = deadline - time.monotonic()
                if "metrics" in self.destinations:
                    remaining = self.destinations["metrics"].patience(deadline)
                # It raises where a reader did not finish in time.
                with suppress(Exception):
                    provider.shutdown(timeout_millis=max(1.0, remaining * 1000))
            else:
                provider.shutdown()
        return self._dropped() == lost

    def update_resource(self, attributes: dict[str, Any]) -> None:
        """Change attributes of the resource that everything sent from now on carries."""
        from opentelemetry.sdk.resources import Resource

        for provider in self._own:
            provider._update_resource(Resource(attributes))

    def before_fork(self) -> None:
        """Wait until the metrics are not being read."""
        if self._reader is not None:
            self._reader.reading.acquire(timeout=1.0)

    def after_fork_in_parent(self) -> None:
        """Let the metrics be read again."""
        if self._reader is not None and self._reader.reading.locked():
            self._reader.reading.release()

    def after_fork_in_child(self) -> None:
        """Send what this process makes, and nothing of the parent's."""
        if self._reader is not None:
            self._reader.reading = threading.Lock()
        for destination in self.destinations.values():
            destination.start_afresh()
        for queue in self._queues:
            queue._flushing = None

    def _dropped(self) -> int:
        return sum(destination.dropped for destination in self.destinations.values())

    def _destination(self, signal: Signal, protocol: str | None) -> Destination:
        destination = Destination(signal, self._settings, self._report, protocol)
        self.destinations[signal] = destination
        return destination

    def _set_up_traces(self, resource: Resource) -> trace.TracerProvider:
        current = trace.get_tracer_provider()
        if not isinstance(current, trace.ProxyTracerProvider):
            return current
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for name in exporter_names("traces", self._settings):
            if name.startswith("otlp"):
                queue = SpanQueue(self._destination("traces", _OTLP_NAMES.get(name)))
                self._queues.append(queue)
                provider.add_span_processor(queue)
            elif exporter := _load_exporter("opentelemetry_traces_exporter", name):
                provider.add_span_processor(BatchSpanProcessor(exporter))
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
            resource=resource, shutdown_on_exit=False, log_record_limits=_log_limits()
        )
        for name in names:
            if name.startswith("otlp"):
                queue = LogQueue(self._destination("logs", _OTLP_NAMES.get(name)))
                self._queues.append(queue)
                provider.add_log_record_processor(queue)
            elif exporter := _load_exporter("opentelemetry_logs_exporter", name):
                provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
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
                destination = self._destination("metrics", _OTLP_NAMES.get(name))
                self._reader = MetricReader(
                    OTLPMetricExporter(destination), self._settings.metric_interval
                )
                readers.append(self._reader)
            elif exporter := _load_exporter("opentelemetry_metrics_exporter", name):
                readers.append(PeriodicExportingMetricReader(exporter))
        if not readers:
            return None
        provider = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        if self._reader is not None:
            self._reader.guard_reading()
        metrics.set_meter_provider(provider)
        self._own.append(provider)
        return provider


# Names for OTEL_LOGS_EXPORTER and its like that fix the protocol, as in the Python SDK.
_OTLP_NAMES: Final = {
    "otlp_proto_grpc": "grpc",
    "otlp_proto_http": "http/protobuf",
    "otlp_json_http": "http/json",
}


def exporter_names(signal: Signal, settings: Settings) -> list[str]:
    """List the exporters of a signal: ``OTEL_LOGS_EXPORTER`` and so on, else the otlp sink.

    ``none`` is the empty list, as OpenTelemetry's specification has it.
    """
    text = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip()
    if not text:
        return ["otlp"] if "otlp" in settings.sinks else []
    return [name.strip() for name in text.split(",") if name.strip() not in {"", "none"}]


def _load_exporter(group: str, name: str) -> Any:
    for entry_point in entry_points(group=group, name=name):
        return entry_point.load()()
    raise LookupError(f"no exporter named {name!r} is installed ({group})")


def _unless_set(variable: str, value: float) -> Any:
    """Return ``None``, which has the SDK read the variable, where it is set."""
    return None if os.environ.get(variable) else value


def _log_limits() -> LogRecordLimits:
    """Set no limit on a record's attributes, unless the standard variables do."""
    counted = any(
        os.environ.get(name)
        for name in ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
    )
    if counted:
        return LogRecordLimits()
    return LogRecordLimits(max_log_record_attributes=LogRecordLimits.UNSET)


def _within(seconds: float, work: Callable[[int], Any], argument: int) -> bool:
    """Do some work in no more than ``seconds``; tell whether it was done, and well."""
    done: list[bool] = []

    def run() -> None:
        # The metrics' provider raises what another returns as False.
        with suppress(Exception):
            done.append(bool(work(argument)))

    worker = threading.Thread(target=run, name="otelbridge-flush", daemon=True)
    try:
        worker.start()
    except RuntimeError:  # the interpreter is shutting down: no new threads
        run()
        return done == [True]
    worker.join(seconds)
    return done == [True]
