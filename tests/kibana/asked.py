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
        "",
        [_TIME, _SERVICE],
        ["average metrics.process.cpu.utilization"],
    ),
    "process-memory": ("metrics", "", [_TIME, _SERVICE], ["max metrics.process.memory.usage"]),
    "process-threads": ("metrics", "", [_TIME, _SERVICE], ["max metrics.process.thread.count"]),
    "process-restarts": ("metrics", "", [_SERVICE], [f"unique_count {_INSTANCE}"]),
    "pipeline-logs": ("logs", _LOGS, [_TIME, _SERVICE], ["count"]),
    "pipeline-spans": ("traces", "", [_TIME, _SERVICE], ["count"]),
    "pipeline-refused": ("deadletters", "", [], ["count"]),
    "pipeline-reasons": ("deadletters", "", ["error.type", "target"], ["count"]),
}
