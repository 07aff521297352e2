"""What each panel is meant to ask, written by hand: its query, its buckets, its metrics.

The compiler leaves out what it does not know without a word, so what it wrote is held against this.
"""

from __future__ import annotations

_LOGS = "observed_timestamp: *"
_ERRORS = "observed_timestamp: * and severity_number >= 17"
_REQUESTS = "kind: Server"
_FAILED = "kind: Server and status.code: Error"
_TIME = "@timestamp"
_SERVICE = "resource.attributes.service.name"
_RELEASE = "resource.attributes.service.version"
_INSTANCE = "resource.attributes.service.instance.id"
_ROUTE = "attributes.http.route"
_CODE = "attributes.http.response.status_code"
_DELAY = "attributes.otelbridge.arrival_delay"
_UDP = "attributes.otelbridge.udp"
_PROCESS = "metrics.process"
_DELIVERY = "metrics.otelbridge.delivery"

ASKED: dict[str, tuple[str, str, list[str], list[str]]] = {
    "overview-requests": ("traces", _REQUESTS, [], ["count"]),
    "overview-failed": ("traces", _FAILED, [], ["count"]),
    "overview-p95": ("traces", _REQUESTS, [], ["p95 duration"]),
    "overview-errors": ("logs", _ERRORS, [], ["count"]),
    "overview-codes": ("traces", _REQUESTS, [_TIME, _CODE], ["count"]),
    "overview-latency": (
        "traces",
        _REQUESTS,
        [_TIME],
        ["p50 duration", "p95 duration", "p99 duration"],
    ),
    "overview-routes": ("traces", _REQUESTS, [_ROUTE], ["count", "p95 duration"]),
    "overview-levels": ("logs", _LOGS, [_TIME, "severity_text"], ["count"]),
    "errors-services": ("logs", _ERRORS, [_TIME, _SERVICE], ["count"]),
    "errors-types": ("logs", _ERRORS, ["attributes.exception.type"], ["count"]),
    "errors-releases": ("logs", _ERRORS, [_RELEASE], ["count"]),
    "errors-traces": ("logs", _ERRORS, ["trace_id"], ["count"]),
    "logs-levels": ("logs", _LOGS, [_TIME, "severity_text"], ["count"]),
    "logs-status": ("logs", _LOGS, ["attributes.status"], ["count"]),
    "logs-user": ("logs", _LOGS, ["attributes.user"], ["count"]),
    "logs-code": ("logs", _LOGS, ["attributes.code"], ["count"]),
    "logs-error-code": ("logs", _LOGS, ["attributes.error_code"], ["count"]),
    "traces-latency": ("traces", _REQUESTS, [_TIME, _SERVICE], ["p95 duration"]),
    "traces-slowest": ("traces", _REQUESTS, ["trace_id"], ["max duration"]),
    "traces-routes": (
        "traces",
        _REQUESTS,
        [_ROUTE],
        ["count", "median duration", "p95 duration"],
    ),
    "traces-status": ("traces", "", [_SERVICE, "status.code"], ["count"]),
    "process-cpu": (
        "metrics",
        f"{_PROCESS}.cpu.utilization: *",
        [_TIME, _SERVICE],
        [f"average {_PROCESS}.cpu.utilization"],
    ),
    "process-memory": (
        "metrics",
        f"{_PROCESS}.memory.usage: *",
        [_TIME, _SERVICE],
        [f"max {_PROCESS}.memory.usage"],
    ),
    "process-threads": (
        "metrics",
        f"{_PROCESS}.thread.count: *",
        [_TIME, _SERVICE],
        [f"max {_PROCESS}.thread.count"],
    ),
    "process-restarts": ("metrics", "", [_SERVICE], [f"unique_count {_INSTANCE}"]),
    "pipeline-logs": ("logs", _LOGS, [_TIME, _SERVICE], ["count"]),
    "pipeline-spans": ("traces", "", [_TIME, _SERVICE], ["count"]),
    "pipeline-delay": ("logs", _LOGS, [_TIME], [f"p50 {_DELAY}", f"p95 {_DELAY}", f"max {_DELAY}"]),
    "pipeline-delays": ("logs", _LOGS, [_SERVICE], [f"p95 {_DELAY}", f"max {_DELAY}"]),
    "pipeline-dropped": (
        "metrics",
        f"{_DELIVERY}.dropped > 0",
        [_INSTANCE, "attributes.sink", "attributes.signal", "attributes.reason"],
        [f"max {_DELIVERY}.dropped"],
    ),
    "pipeline-waiting": (
        "metrics",
        f"{_DELIVERY}.waiting: *",
        [_TIME, _SERVICE],
        [f"max {_DELIVERY}.waiting"],
    ),
    "pipeline-spools": (
        "metrics",
        f"{_DELIVERY}.spool.size: *",
        [_TIME, _SERVICE],
        [f"max {_DELIVERY}.spool.size"],
    ),
    "pipeline-udp": (
        "logs",
        f"{_UDP}.datagrams: *",
        [_INSTANCE],
        [f"min {_UDP}.sequence", f"max {_UDP}.sequence", f"sum {_UDP}.datagrams"],
    ),
    "pipeline-received": (
        "metrics",
        "metrics.otelcol_receiver_accepted_log_records: *",
        [_TIME, "attributes.receiver"],
        ["sum metrics.otelcol_receiver_accepted_log_records"],
    ),
    "pipeline-queue": (
        "metrics",
        "metrics.otelcol_exporter_queue_size: *",
        [_TIME, "attributes.data_type"],
        ["max metrics.otelcol_exporter_queue_size"],
    ),
    "pipeline-outcomes": (
        "metrics",
        "metrics.otelcol.elasticsearch.docs.processed: *",
        [_TIME, "attributes.outcome"],
        ["sum metrics.otelcol.elasticsearch.docs.processed"],
    ),
    "pipeline-refused": ("deadletters", "", [], ["count"]),
    "pipeline-reasons": ("deadletters", "", ["error.type", "document.index"], ["count"]),
}
