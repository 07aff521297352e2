"""CPU and memory of this process and of its host, as OpenTelemetry metrics."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil
from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

# Few enough to be read every ten seconds, enough to answer "was the machine the reason?".
METRICS: dict[str, list[str] | None] = {
    "process.cpu.utilization": None,
    "process.memory.usage": None,
    "process.thread.count": None,
    "system.cpu.utilization": ["idle", "user", "system"],
    "system.memory.usage": ["used", "free", "cached"],
    "system.memory.utilization": ["used", "free", "cached"],
}


class ProcessMetrics(SystemMetricsInstrumentor):
    """OpenTelemetry's system metrics, of the process that is running now."""

    def measure_this_process(self) -> None:
        """Measure the process that calls this: for the child after a fork.

        The instrumentation keeps hold of the process that made it.
        """
        self._proc = psutil.Process(os.getpid())
        # psutil reports utilization since the call before; without one, the first is 0.
        self._proc.cpu_percent()
        psutil.cpu_times_percent(percpu=True)


def start_process_metrics(meter_provider: MeterProvider) -> ProcessMetrics:
    """Start observing; the values are read whenever the meter provider's reader asks."""
    metrics = ProcessMetrics(config=METRICS)
    metrics.instrument(meter_provider=meter_provider)
    metrics.measure_this_process()
    return metrics
