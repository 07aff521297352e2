"""The names of data streams and templates, once.

Data streams are named ``type-dataset-namespace``; the Collector's Elasticsearch exporter adds
``.otel`` to the dataset in its ``otel`` mapping mode.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

# What a document is of, as the first part of a data stream's name has it.
Type: TypeAlias = Literal["logs", "traces", "metrics"]

DATASET: Final = "otelbridge.otel"
DEAD_LETTER_DATASET: Final = "otelbridge.deadletter"

# An attribute of logs and spans: the seconds from when it happened to when the Collector took it or
# it was sent to Elasticsearch. What waits in the Collector is told by its own metrics.
ARRIVAL_DELAY: Final = "otelbridge.arrival_delay"
# Attributes of logs that came to the Collector by UDP: the running number that their sender gave to
# their last datagram, and how many datagrams they were. What is missing between them was lost.
UDP_SEQUENCE: Final = "otelbridge.udp.sequence"
UDP_DATAGRAMS: Final = "otelbridge.udp.datagrams"
# None of what was sent: how it came.
OF_THE_ROAD: Final = frozenset({ARRIVAL_DELAY, UDP_SEQUENCE, UDP_DATAGRAMS})

# Templates of the same names are replaced when a newer version is set up.
RECORDS_TEMPLATE: Final = "otelbridge@records"
CUSTOM_TEMPLATE: Final = "otelbridge@custom"
LOGS_TEMPLATE: Final = "logs-otelbridge.otel"
TRACES_TEMPLATE: Final = "traces-otelbridge.otel"
METRICS_TEMPLATE: Final = "metrics-otelbridge.otel"
DEAD_LETTERS_TEMPLATE: Final = "logs-otelbridge.deadletter"


def data_stream(type: Type, namespace: str) -> str:
    """Name the data stream of a signal."""
    return f"{type}-{DATASET}-{namespace}"


def dead_letters(namespace: str) -> str:
    """Name the data stream of refused documents that Elasticsearch did not keep itself."""
    return f"logs-{DEAD_LETTER_DATASET}-{namespace}"


def failures(stream: str) -> str:
    """Name a data stream's failure store: what Elasticsearch refused and kept itself."""
    return f"{stream}::failures"


def refused(namespace: str) -> str:
    """Name everything that was refused, wherever it is kept; some of it may not be there."""
    kept = (failures(data_stream(type, namespace)) for type in ("logs", "traces", "metrics"))
    return ",".join((dead_letters(namespace), *kept))
