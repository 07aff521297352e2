"""Reading metrics every so often and sending them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.common._aggregation import _get_aggregation, _get_temporality
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData
from opentelemetry.sdk.metrics.view import DefaultAggregation, ExplicitBucketHistogramAggregation

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics.export import ScopeMetrics

    from otelbridge.sinks.destination import Destination


class IntervalReader(MetricReader):
    """Reads all metrics of a meter provider at an interval, on a thread of its own.

    Unlike the SDK's, it is never caught in the middle of a reading by a fork (the child would wait
    for ever for locks that no thread of it holds), it can move to gevent's threads, and a flush is
    bounded in time.

    A reading that cannot be sent is not kept: values are cumulative by default, so that the next
    one tells all that this one did. (Where delta values are asked for, those of a reading that
    failed are missing.)

    Attributes:
        destination: where readings go.
        reading: held while metrics are read.
        sources: what is read besides the provider's instruments.
        is_plain: whether durations are read as the standard variables have them by default:
            cumulative, in fixed buckets.
    """

    def __init__(self, destination: Destination, interval: float) -> None:
        """Make a reader; a meter provider that is given it reads nothing before :meth:`start`.

        Args:
            destination: where readings go; temporality and aggregation by the standard variables.
            interval: seconds between two readings.
        """
        temporality, aggregation = _get_temporality(None), _get_aggregation(None)
        super().__init__(preferred_temporality=temporality, preferred_aggregation=aggregation)
        self.destination = destination
        self.sources: list[Callable[[], ScopeMetrics | None]] = []
        self.is_plain = temporality.get(Histogram) in {
            None,
            AggregationTemporality.CUMULATIVE,
        } and isinstance(
            aggregation.get(Histogram, DefaultAggregation()),
            DefaultAggregation | ExplicitBucketHistogramAggregation,
        )
        self._interval = interval
        self._generation = self._asked = self._answered = 0
        self._thread: threading.Thread | None = None
        self._prepare_process()

    def start(self) -> None:
        """Begin to read; for when the meter provider has been made, and again after a fork."""
        self._prepare_process()
        if not getattr(self._collect, "guarded", False):
            self._guard_reading()
        self._thread = threading.Thread(
            target=self._run,
            args=(self._changed, self._generation),
            name="otelbridge-metrics",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread without a last reading."""
        with self._changed:
            self._generation += 1
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(1.0)

    def close(self) -> None:
        """Have a last reading sent, and the thread end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_closed(self, timeout: float) -> None:
        """Wait for the end that :meth:`close` asked for.

        Args:
            timeout: seconds this may take.
        """
        if self._thread is not None:
            self._thread.join(timeout)

    def flush(self, timeout: float) -> bool:
        """Read now and send.

        Args:
            timeout: seconds this may take.

        Returns:
            Whether it was accepted in time.
        """
        with self._changed:
            wanted = self._asked = self._asked + 1
            self._changed.notify_all()
            in_time = self._changed.wait_for(lambda: self._answered >= wanted, timeout)
            return in_time and not self._failed

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Read now and send; gives up waiting after ``timeout_millis``."""
        return self.flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Send a last reading and end; gives up waiting after ``timeout_millis``."""
        self.close()
        self.wait_closed(timeout_millis / 1000)

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        added = [read() for read in self.sources]
        for resource in metrics_data.resource_metrics[:1]:
            found = [*resource.scope_metrics, *(scope for scope in added if scope is not None)]
            metrics_data = MetricsData([replace(resource, scope_metrics=found)])
        # Not kept for later: the next reading holds all that this one does, and is newer.
        answer = self.destination.send(self.destination.encode(metrics_data), 1)
        self._failed = answer.later or answer.dropped > 0
        if not self._failed:
            self.destination.recovered()
        elif not self._closed:  # the last reading of a process is not worth a line
            self.destination.waiting(answer)

    def _prepare_process(self) -> None:
        self.reading = threading.Lock()
        self._changed = threading.Condition(threading.Lock())
        self._generation += 1
        self._asked = self._answered = 0
        self._closed = self._failed = False
        self._thread = None

    def _guard_reading(self) -> None:
        read: Any = self._collect

        def collect(*args: Any, **kwargs: Any) -> Any:
            with self.reading:
                return read(*args, **kwargs)

        collect.guarded = True  # type: ignore[attr-defined]
        self._set_collect_callback(collect)

    def _run(self, changed: threading.Condition, generation: int) -> None:
        def due() -> bool:
            return self._closed or self._asked > self._answered or self._generation != generation

        with suppress_instrumentation():
            while True:
                with changed:
                    changed.wait_for(due, self._interval)
                    if self._generation != generation:
                        return
                    asked, last = self._asked, self._closed
                try:
                    self.collect()
                except Exception as error:
                    # One instrument's fault must not end the others' readings.
                    self._failed = True
                    self.destination.dropped(1, f"{type(error).__name__}: {error}")
                with changed:
                    self._answered = asked
                    changed.notify_all()
                if last:
                    return
