"""Fixed records, and what each query must find among them: the same in every engine.

A record is named by its place in the list. Times rise with the place, a minute apart.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from otelbridge.model import Attributes, LogRecord, Scope, Span, SpanEvent

START = int(datetime(2026, 11, 20, 14, tzinfo=timezone.utc).timestamp()) * 10**9
MINUTE = 60 * 10**9

GATEWAY: Attributes = {"service.name": "gateway", "host.name": "web-1", "team": "edge"}
ORDERS: Attributes = {"service.name": "orders", "host.name": "web-2", "process.pid": 4711}
PAYMENTS: Attributes = {
    "service.name": "payments",
    "service.version": "1.2.3",
    "deployment.environment.name": "production",
}
TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
OTHER_TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
SPAN = bytes.fromhex("00f067aa0ba902b7")

_logs: list[LogRecord] = []


def _log(body: Any, resource: Attributes, severity: int = 9, **rest: Any) -> None:
    place = len(_logs)
    attributes = rest.pop("attributes", {})
    logger = rest.pop("logger", f"shop.{resource['service.name']}")
    _logs.append(
        LogRecord(
            time=START + place * MINUTE,
            body=body,
            attributes=attributes,
            resource=resource,
            scope=Scope(logger),
            severity_number=severity,
            severity_text=rest.pop("severity_text", ""),
            uid=bytes([place + 1]) * 16,
            **rest,
        )
    )


# 0 to 4
_log("Request GET http://shop/orders/17", GATEWAY, attributes={"http.route": "/orders/<id>"})
_log("Response 200 OK", GATEWAY, attributes={"http.response.status_code": 200, "user": "alice"})
_log("Response 404 NOT FOUND", GATEWAY, 13, attributes={"http.response.status_code": 404})
_log("Response 502 Bad Gateway", GATEWAY, 17, attributes={"http.response.status_code": 502})
_log("Health check passed", GATEWAY, 5, severity_text="DEBUG", attributes={"user": "probe"})
# 5 to 9
_log("Order created", ORDERS, attributes={"user": "alice", "order": {"id": 17, "items": 2}})
_log("Order created", ORDERS, attributes={"user": "bob", "order.id": 18, "express": True})
_log("Order cancelled by user", ORDERS, 13, attributes={"user": "Alice", "express": False})
_log("slow query: took 1200 ms", ORDERS, 13, logger="shop.orders.db", attributes={"ms": 1200})
_log("slow query: took 90.5 ms", ORDERS, 13, logger="shop.orders.db", attributes={"ms": 90.5})
# 10 to 14
_log(
    "Payment refused by bank",
    PAYMENTS,
    17,
    trace_id=TRACE,
    span_id=SPAN,
    attributes={"code": 51, "error_code": "CARD-DECLINED", "status": "critical"},
)
_log(
    "Payment by card accepted",
    PAYMENTS,
    trace_id=TRACE,
    attributes={"code": "00", "status": "success", "amount": 12.5},
)
_log(
    "bank refused the payment again",
    PAYMENTS,
    17,
    trace_id=OTHER_TRACE,
    attributes={"code": "51", "status": "critical", "tags": ["retry", "card"]},
)
_log(
    "unhandled exception",
    PAYMENTS,
    21,
    trace_id=TRACE,
    severity_text="CRITICAL",
    attributes={
        "exception.type": "ZeroDivisionError",
        "exception.message": "division by zero",
        "exception.stacktrace": 'File "app.py", line 3, in pay\n    1 / 0',
    },
)
_log(
    "connection to 10.0.0.7:5432 refused",
    PAYMENTS,
    17,
    attributes={"net.peer": "10.0.0.7:5432", "retry": 3},
)
# 15 to 19
_log("Zahlung für Jürgen geprüft", PAYMENTS, attributes={"user": "Jürgen", "город": "Москва"})
_log({"event": "login", "detail": {"by": "password"}}, GATEWAY, event_name="user.login")
_log("path is C:\\temp\\a*b", GATEWAY, attributes={"path": "C:\\temp\\a*b"})
_log('she said "hello (world)"', GATEWAY, attributes={"quote": 'say "hi"', "my field": "x y"})
_log("notice from elsewhere", GATEWAY, 10, severity_text="NOTICE", attributes={"empty": ""})
# 20 to 24
_log("and or not", GATEWAY, attributes={"team": "core", "keyword": "and"})
_log("snake_case and kebab-case", GATEWAY, attributes={"items": [{"sku": "a1"}, {"sku": "b2"}]})
_log("plain text without a level", {"service.name": "syslog"}, 0, logger="")
_log(
    "order 17 shipped",
    ORDERS,
    attributes={
        "code.file.path": "/app/ship.py",
        "code.line.number": 42,
        "thread.name": "worker-1",
    },
)
_log("order 170 shipped", ORDERS, attributes={"nothing": None, "list": [], "object": {}})

LOGS = _logs

ALL = frozenset(range(25))
LOG_QUERIES: list[tuple[str, set[int]]] = [
    # words
    ("refused", {10, 12, 14}),
    ("REFUSED", {10, 12, 14}),
    ("refuse", set()),
    ("refuse*", {10, 12, 14}),
    ("*fused", {10, 12, 14}),
    ("re*ed", {10, 12, 14}),
    ("refused created", {5, 6, 10, 12, 14}),
    ("refused and bank", {10, 12}),
    ("refused and not bank", {14}),
    ('"refused by bank"', {10}),
    ('"bank refused"', {12}),
    ('"by refused"', set()),
    ('"order 17"', {23}),
    ("17", {0, 5, 23}),
    ("alice", {1, 5, 7}),
    ("10.0.0.7", {14}),
    ("kebab-case", {21}),
    ("kebab", {21}),
    ("snake", set()),
    ("snake_case", {21}),
    ("für", {15}),
    ("FÜR", {15}),
    ("москва", {15}),
    ("payments", {10, 11, 12, 13, 14, 15}),
    ("login", {16}),
    ("ZeroDivisionError", {13}),
    ("critical", {10, 12}),
    ('"---"', set()),
    ("*", set(ALL)),
    ("*: *", set(ALL)),
    ("*: bank", {10, 12}),
    (r"\and", {20, 21}),
    # text fields
    ("message: refused", {10, 12, 14}),
    ("message: bank connection", {10, 12, 14}),
    ('message: "refused by"', {10}),
    ("message: (refused and bank)", {10, 12}),
    ("message: (refused and not bank)", {14}),
    ("message: ref*", {10, 12, 14}),
    ("message: alice", set()),
    ("body.text: created", {5, 6}),
    ('message: "hello (world)"', {18}),
    ("message: *", set(ALL)),
    ("error.message: zero", {13}),
    ('error.message: "division by zero"', {13}),
    ("exception.message: DIVISION", {13}),
    ("error.stack_trace: pay", {13}),
    ("body.detail.by: password", {16}),
    # whole values
    ("user: alice", {1, 5}),
    ("user: Alice", {7}),
    ("user: ali", set()),
    ("user: ali*", {1, 5}),
    ("user: *lice", {1, 5, 7}),
    ("user: (alice or bob)", {1, 5, 6}),
    ("user: (* and not alice)", {4, 6, 7, 15}),
    ("user: *", {1, 4, 5, 6, 7, 15}),
    ("not user: *", set(ALL) - {1, 4, 5, 6, 7, 15}),
    ("user: Jürgen", {15}),
    ("город: Москва", {15}),
    ("attributes.user: bob", {6}),
    ("error.type: ZeroDivisionError", {13}),
    ("exception.type: Zero*", {13}),
    ("error_code: CARD-DECLINED", {10}),
    ('http.route: "/orders/<id>"', {0}),
    ("http.route: /orders/*", {0}),
    (r"http.route: /orders/\<id\>", {0}),
    ('net.peer: "10.0.0.7:5432"', {14}),
    (r"path: C\:\\temp\\a\*b", {17}),
    (r'path: "C:\\temp\\a*b"', {17}),
    ("path: C*b", {17}),
    ('quote: "say \\"hi\\""', {18}),
    ('"my field": "x y"', {18}),
    ("my field: x y", {18}),
    ("keyword: \\and", {20}),
    ('empty: ""', {19}),
    ("empty: *", {19}),
    ("nothing: *", set()),
    ("list: *", set()),
    ("object: *", set()),
    ("missing: *", set()),
    ("missing: x", set()),
    # numbers, booleans, lists, objects
    ("code: 51", {10, 12}),
    ("code: 00", {11}),
    ("code: 0", set()),
    ("code > 50", {10, 12}),
    ("code <= 0", {11}),
    ("http.response.status_code: 502", {3}),
    ("http.response.status_code >= 400", {2, 3}),
    ("http.response.status_code >= 400 and http.response.status_code < 500", {2}),
    ("http.response.status_code: (200 or 404)", {1, 2}),
    ("http.response.status_code: 5*", {3}),
    ("ms > 90", {8, 9}),
    ("ms: 1200.0", {8}),
    ("ms: 90.5", {9}),
    ("ms < 1e3", {9}),
    ("user > 5", set()),
    ("user >= bob", {4, 6}),
    ("express: true", {6}),
    ("express: false", {7}),
    ("express: *", {6, 7}),
    ("tags: retry", {12}),
    ("tags: (retry and card)", {12}),
    ("order.id: 17", {5}),
    ("order.id >= 17", {5, 6}),
    ("order: *", {5}),
    ("items.sku: b2", {21}),
    # levels
    ("log.level: ERROR", {3, 10, 12, 14}),
    ("log.level: error", {3, 10, 12, 14}),
    ("log.level: (error or critical)", {3, 10, 12, 13, 14}),
    ("log.level: warn", {2, 7, 8, 9}),
    ("log.level: WARNING", {2, 7, 8, 9}),
    ("log.level: fatal", {13}),
    ("log.level: notice", {19}),
    ("log.level: err*", {3, 10, 12, 14}),
    ("log.level >= ERROR", {3, 10, 12, 13, 14}),
    ("log.level < info", {4}),
    ("not log.level: *", {22}),
    ("severity_text: Debug", {4}),
    ("severity_number: 21", {13}),
    ("severity_number >= 17 and severity_number <= 20", {3, 10, 12, 14}),
    # ids
    ("trace.id: 4bf92f3577b34da6a3ce929d0e0e4736", {10, 11, 13}),
    ("trace_id: 4BF92F3577B34DA6A3CE929D0E0E4736", {10, 11, 13}),
    ("trace.id: 4bf9*", {10, 11, 13}),
    ("trace.id: 4bf9", set()),
    ("trace.id: *", {10, 11, 12, 13}),
    ("span.id: 00f067aa0ba902b7", {10}),
    ("log.record.uid: 01010101010101010101010101010101", {0}),
    # places
    ("service.name: payments", {10, 11, 12, 13, 14, 15}),
    ("service.name: pay*", {10, 11, 12, 13, 14, 15}),
    ("service.version: 1.2.3", {10, 11, 12, 13, 14, 15}),
    ("service.environment: production and log.level: critical", {13}),
    ("host.name: web-2", {5, 6, 7, 8, 9, 23, 24}),
    ("resource.attributes.host.name: web-2", {5, 6, 7, 8, 9, 23, 24}),
    ("process.pid: 4711", {5, 6, 7, 8, 9, 23, 24}),
    ("team: edge", {0, 1, 2, 3, 4, 16, 17, 18, 19, 21}),
    ("team: core", {20}),
    ("attributes.team: *", {20}),
    ("log.logger: shop.orders.db", {8, 9}),
    ("log.logger: shop.orders*", {5, 6, 7, 8, 9, 23, 24}),
    ("scope.name: *", set(ALL) - {22}),
    ("event.name: user.login", {16}),
    ("log.origin.file.name: *ship.py", {23}),
    ("log.origin.file.line: 42", {23}),
    ("process.thread.name: worker-1", {23}),
    # times
    ("@timestamp: 2026-11-20", set(ALL)),
    ('@timestamp: "2026-11-20T14:05"', {5}),
    ('@timestamp < "2026-11-20T14:02"', {0, 1}),
    ('@timestamp <= "2026-11-20T14:02"', {0, 1, 2}),
    ('@timestamp > "2026-11-20T14:22:00Z"', {23, 24}),
    ('@timestamp >= "2026-11-20T15:23:00+01:00"', {23, 24}),
    ("@timestamp: 2026-11-21", set()),
    ("@timestamp > soon", set()),
    # everything together
    ("user: alice or user: bob and express: true", {1, 5, 6}),
    ("(user: alice or user: bob) and express: true", {6}),
    ("not (service.name: gateway or service.name: payments)", {5, 6, 7, 8, 9, 22, 23, 24}),
    ("status: critical and not tags: retry", {10}),
    ("not refused and log.level >= error", {3, 13}),
    ("not not_there", set(ALL)),
]

SPANS = [
    Span(
        time=START,
        duration=1_200_000_000,
        trace_id=TRACE,
        span_id=SPAN,
        name="POST /pay",
        attributes={"http.route": "/pay", "http.response.status_code": 500, "user": "alice"},
        resource=PAYMENTS,
        scope=Scope("opentelemetry.instrumentation.flask"),
        kind=2,
        status_code=2,
        status_message="the bank refused",
        events=[
            SpanEvent(
                START + 5,
                "exception",
                {"exception.type": "BankError", "exception.message": "card declined twice"},
            )
        ],
    ),
    Span(
        time=START + MINUTE,
        duration=500_000_000,
        trace_id=TRACE,
        span_id=b"\x02" * 8,
        parent_span_id=SPAN,
        name="POST",
        attributes={"server.address": "bank.example", "error.type": "timeout"},
        resource=PAYMENTS,
        scope=Scope("opentelemetry.instrumentation.requests"),
        kind=3,
        status_code=0,
    ),
    Span(
        time=START + 2 * MINUTE,
        duration=12_000_000,
        trace_id=OTHER_TRACE,
        span_id=b"\x03" * 8,
        name="GET /orders/<id>",
        attributes={"http.route": "/orders/<id>", "http.response.status_code": 200},
        resource=ORDERS,
        scope=Scope("opentelemetry.instrumentation.flask"),
        kind=2,
        status_code=1,
    ),
]
SPAN_QUERIES: list[tuple[str, set[int]]] = [
    ('name: "POST /pay"', {0}),
    ("name: POST", {1}),
    ("span.name: POST*", {0, 1}),
    ("kind: server", {0, 2}),
    ("span.kind: CLIENT", {1}),
    ("kind: SPAN_KIND_SERVER", {0, 2}),
    ("status.code: error", {0}),
    ("status.code: STATUS_CODE_OK", {2}),
    ("not status.code: (ok or unset)", {0}),
    ("status.message: refused", {0}),
    ('status.message: "bank refused"', {0}),
    ("duration > 500ms", {0}),
    ("duration >= 500ms", {0, 1}),
    ("duration < 0.1s", {2}),
    ("duration: 12000000", {2}),
    ("duration: 12ms", {2}),
    ("parent.id: 00f067aa0ba902b7", {1}),
    ("not parent.id: *", {0, 2}),
    ("trace.id: 4bf92f3577b34da6a3ce929d0e0e4736", {0, 1}),
    ("service.name: orders", {2}),
    ("http.response.status_code >= 500", {0}),
    ("user: alice", {0}),
    ("error.type: BankError", {0}),
    ("error.type: timeout", {1}),
    ("error.message: declined", {0}),
    ("exception.message: (card and twice)", {0}),
    ("event.name: exception", {0}),
    ("declined", {0}),
    ('"card declined"', {0}),
    ("refused", {0}),
    ("bank", {0, 1}),
    ("not bank", {2}),
    ("scope.name: *flask", {0, 2}),
    ("@timestamp > 2026-11-20", set()),
]
