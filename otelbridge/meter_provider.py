"""Our meter provider: the SDK's, some of whose metrics are counted without its instruments."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider

from otelbridge.metric_reader import IntervalReader

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource

    from otelbridge.frameworks.request_tally import RequestTally
    from otelbridge.frameworks.wsgi_attributes import RequestAttributes


class OwnMeterProvider(MeterProvider):
    """Hands out instruments as the SDK's does, and where nobody can tell, something cheaper."""

    def __init__(self, readers: Sequence[MetricReader], resource: Resource) -> None:
        """Make a provider that is to be shut down by who made it.

        Args:
            readers: what reads its metrics.
            resource: what is measured.
        """
        super().__init__(readers, resource=resource, shutdown_on_exit=False)
        self._tallying = threading.Lock()
        self._tallies: dict[tuple[str, str], RequestTally] = {}
        self._attributes: dict[tuple[str, str], RequestAttributes] = {}
        self._reader: IntervalReader | None = None
        exemplars = os.environ.get("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based").strip().lower()
        for reader in readers:
            if isinstance(reader, IntervalReader) and len(readers) == 1 and reader.is_plain:
                self._reader = reader if exemplars == "trace_based" else None

    def request_tally(
        self, scope: tuple[str, str], attributes: RequestAttributes
    ) -> RequestTally | None:
        """Return what counts requests, one for all apps of a scope.

        Args:
            scope: the instrumentation scope's name and version.
            attributes: tells what is known of a request.

        Returns:
            ``None`` where only instruments do, because other readers, temporality, aggregation,
            exemplars or conventions are asked for than the usual.
        """
        from otelbridge.frameworks.request_tally import RequestTally

        with self._tallying:
            if self._reader is None or attributes.conventions.old:
                return None
            if scope not in self._tallies:
                self._attributes[scope] = attributes
                tally = self._tallies[scope] = RequestTally(scope, attributes)
                self._reader.sources.append(tally.read)
            return self._tallies[scope]

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        """Add a reader, for which everything is measured by instruments from now on."""
        from otelbridge.frameworks.request_metrics import RequestMetrics

        super().add_metric_reader(metric_reader)
        with self._tallying:
            if self._reader is not None:
                self._reader.sources.clear()
                self._reader = None
            for scope, tally in self._tallies.items():
                tally.retire(RequestMetrics(self, scope, self._attributes[scope]))
            self._tallies.clear()

    def start_afresh(self) -> None:
        """Forget what the parent has counted: this process has just been forked."""
        self._tallying = threading.Lock()
        for tally in self._tallies.values():
            tally.start_afresh()
