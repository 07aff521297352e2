"""The OpenTelemetry providers of one process, and what delivers their records to the sinks."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util._importlib_metadata import entry_points

from otelbridge.delivery.assembly import make_delivery
from otelbridge.delivery.limits import read_milliseconds
from otelbridge.delivery.own_tracer import OwnTracerProvider
from otelbridge.delivery.processors import DeliveredSpanProcessor, LogProcessor
from otelbridge.delivery.timing import Deadline
from otelbridge.meter_provider import OwnMeterProvider
from otelbridge.metric_reader import IntervalReader
from otelbridge.sinks import otlp_exporters
from otelbridge.sinks.otlp import OTLPDestination
from otelbridge.sinks.otlp_trouble import TroubleReport

if TYPE_CHECKING:
    from otelbridge.delivery.counters import Snapshot
    from otelbridge.delivery.payload import DeliveredSignal
    from otelbridge.delivery.sender import Delivery
    from otelbridge.settings import Settings
    from otelbridge.sinks.destination import Destination
    from otelbridge.sinks.otlp_exporters import Signal

_logger = logging.getLogger(__name__)

# Longest that the program's replacement by another may wait, where there is no disk.
_REPLACED_SECONDS: Final = 1.0
# Longest that a fork may wait for an exporter to be imported or the metrics to be read.
_FORK_SECONDS: Final = 2.0


class Pipeline:
    """The three providers, and what is ours behind them.

    A provider that the program has set before is used as it is: nothing is added to it.

    Attributes:
        tracer_provider: the global one.
        logger_provider: the global one; ``None`` if log records have no OpenTelemetry way out.
        meter_provider: the global one.
        deliveries: what delivers our records, one for each sink and signal.
    """

    def __init__(self, settings: Settings, resource: Resource) -> None:
        """Build what the settings and the standard variables ask for, and make it global."""
        self._settings = settings
        self._report = TroubleReport()
        self._own: list[Any] = []
        self._others: list[Any] = []
        self._held: list[threading.Lock] = []
        self._said_failed = False
        self.deliveries: list[Delivery] = []
        self._service = str(resource.attributes.get("service.name", ""))
        self._reader: IntervalReader | None = None
        # Metrics first: the other two providers count themselves with it, if asked to.
        self.meter_provider = self._set_up_metrics(resource)
        self.tracer_provider = self._set_up_traces(resource)
        self.logger_provider = self._set_up_logs(resource)

    @property
    def own_tracer_provider(self) -> trace.TracerProvider | None:
        """The tracer provider, if the program had not set one before."""
        return self.tracer_provider if self.tracer_provider in self._own else None

    def flush(self, timeout: float) -> bool:
        """Send what is queued and one reading of the metrics.

        Args:
            timeout: seconds this may take.

        Returns:
            Whether everything was accepted in time.
        """
        lost = self._dropped()
        deadline = Deadline(timeout)
        done = [delivery.flush(deadline.remaining()) for delivery in self.deliveries]
        if self._reader is not None:
            done.append(self._reader.flush(deadline.remaining()))
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
        for ending in self._ending():
            ending.destination.finish(deadline, reachable)
        for delivery in self.deliveries:
            delivery.close()
        kept: dict[str, int] = {}
        for delivery in self.deliveries:
            left = delivery.wait_closed(delivery.destination.patience(deadline))
            kept[delivery.signal] = kept.get(delivery.signal, 0) + left
        if self._reader is not None:
            # Last of all: it tells what became of the records.
            self._reader.close()
            self._reader.wait_closed(self._reader.destination.patience(deadline))
        for provider in self._own:
            if isinstance(provider, MeterProvider):
                with suppress(Exception):  # it raises for a reader that was late
                    provider.shutdown(timeout_millis=1)
            else:
                provider.shutdown()
        for ending in self._ending():
            ending.destination.close()
        self._report.ended(kept, self._settings.spool_dir)
        return self._dropped() == lost and not any(kept.values())

    def keep(self) -> None:
        """Write what is not sent yet to the spool: the program is about to be replaced."""
        for delivery in self.deliveries:
            if self._settings.spool_dir is None:
                delivery.flush(_REPLACED_SECONDS)
            else:
                delivery.keep()

    def note_failed(self, record: logging.LogRecord) -> None:
        """Count a record that is none we can make anything of; said once, with the traceback."""
        for delivery in self.deliveries:
            if delivery.signal == "logs":
                delivery.refuse()
        if not self._said_failed:
            self._said_failed = True
            _logger.warning("a log record could not be taken", exc_info=True)

    def snapshots(self) -> list[Snapshot]:
        """Return what became of this process's records, for each sink and signal."""
        return [delivery.snapshot() for delivery in self.deliveries]

    def update_resource(self, attributes: dict[str, Any]) -> None:
        """Change attributes of the resource that everything sent from now on carries."""
        self._service = str(attributes.get("service.name", self._service))
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
        for ending in self._ending():
            ending.destination.start_afresh()
        for delivery in self.deliveries:
            delivery.start_afresh()
        if isinstance(self.meter_provider, OwnMeterProvider):
            self.meter_provider.start_afresh()
        if self._reader is not None:
            self._reader.start()

    def before_patching(self) -> None:
        """End all threads: gevent is about to change what a thread is."""
        if self._reader is not None:
            self._reader.stop()
        for delivery in self.deliveries:
            delivery.change_threading()

    def after_patching(self) -> None:
        """Go on, with what gevent has made of threads and sockets."""
        for ending in self._ending():
            ending.destination.change_threading()
        for delivery in self.deliveries:
            delivery.change_threading()
        if self._reader is not None:
            self._reader.start()

    def _ending(self) -> list[Delivery | IntervalReader]:
        return [*self.deliveries, *([self._reader] if self._reader is not None else [])]

    def _dropped(self) -> int:
        return sum(delivery.counters.dropped for delivery in self.deliveries)

    def _destination(self, signal: Signal, name: str) -> Destination:
        if name == "elasticsearch":
            # Imported here: without that sink nothing of it need be there.
            from otelbridge.sinks.elasticsearch import ElasticsearchDestination

            return ElasticsearchDestination(signal, self._settings, self._report)
        return OTLPDestination(signal, self._settings, self._report, _OTLP_NAMES.get(name))

    def _deliver(self, signal: DeliveredSignal, name: str) -> Delivery:
        delivery = make_delivery(
            signal,
            self._destination(signal, name),
            self._settings,
            name,
            lambda: self._service,
            lambda: len(self.deliveries),
        )
        self.deliveries.append(delivery)
        return delivery

    def _set_up_traces(self, resource: Resource) -> trace.TracerProvider:
        current = trace.get_tracer_provider()
        if not isinstance(current, trace.ProxyTracerProvider):
            return current
        provider = OwnTracerProvider(resource=resource, shutdown_on_exit=False)
        for name in exporter_names("traces", self._settings):
            if name.startswith("otlp") or name == "elasticsearch":
                provider.add_span_processor(DeliveredSpanProcessor(self._deliver("traces", name)))
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
                provider.add_log_record_processor(LogProcessor(self._deliver("logs", name)))
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
        provider = OwnMeterProvider(readers, resource)
        if self._reader is not None:
            self._reader.start()
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
    """List the exporters of a signal: ``OTEL_LOGS_EXPORTER`` and so on, else the sinks.

    ``none`` is the empty list, as OpenTelemetry's specification has it. Elasticsearch gets logs
    and spans; metrics reach it by way of the Collector.
    """
    text = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip()
    if not text:
        names = [name for name in settings.sinks if name in {"otlp", "elasticsearch"}]
    else:
        names = [name.strip() for name in text.split(",") if name.strip() not in {"", "none"}]
    names = list(dict.fromkeys(names))  # each once
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


def log_limits() -> LogRecordLimits:
    """Set no limit on a record's attributes, unless the standard variables do."""
    counted = any(
        os.environ.get(name)
        for name in ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
    )
    if counted:
        return LogRecordLimits()
    return LogRecordLimits(max_log_record_attributes=LogRecordLimits.UNSET)
