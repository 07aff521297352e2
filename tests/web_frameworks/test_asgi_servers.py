"""FastAPI and Starlette behind real servers: spans, two lines, and each error once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.web_frameworks.serving import Server, serving, wait_until_up

pytestmark = [pytest.mark.servers, pytest.mark.slow]

HERE = Path(__file__).parent
GUNICORN = ["gunicorn", "--bind=127.0.0.1:{port}", "--workers=2", "--no-control-socket"]
KINDS = ("fastapi", "starlette")


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def server(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    command = ["otelbridge", "run", "uvicorn", f"asgi_shops:{kind}_app", "--port={port}"]
    spool = tmp_path_factory.mktemp("spool")
    with serving(
        command, HERE, tmp_path_factory.mktemp(kind), OTELBRIDGE_SPOOL_DIR=str(spool)
    ) as started:
        yield wait_until_up(started)


@pytest.mark.parametrize(
    ("method", "path", "route", "status", "phrase", "between"),
    [
        ("GET", "/sync/1", "/sync/{number}", 200, "OK", ["order 1 in a thread"]),
        ("GET", "/async/2", "/async/{number}", 200, "OK", ["order 2 in the loop"]),
        ("POST", "/async/3", "/async/{number}", 405, "METHOD NOT ALLOWED", []),
        ("GET", "/nowhere", None, 404, "NOT FOUND", []),
        ("GET", "/refused", "/refused", 403, "FORBIDDEN", []),
        ("GET", "/sold-out", "/sold-out", 409, "CONFLICT", ["handled"]),
        ("GET", "/depot/stock", "/depot", 200, "OK", ["counting"]),
        ("GET", "/a%20b%0d", None, 404, "NOT FOUND", []),
    ],
)
def test_every_request_has_one_span_and_two_lines_around_all_it_logs(
    method: str,
    path: str,
    route: str | None,
    status: int,
    phrase: str,
    between: list[str],
    server: Server,
    kind: str,
) -> None:
    assert server.ask(path, method)[0] == status

    trace = server.request(path)
    request = f"Request {method} {server.url(path)}"
    assert trace.messages == [request, *between, f"Response {status} {phrase}"]
    [span] = trace.spans().values()
    before, after = trace.logs[0], next(log for log in trace.logs if "Response" in log.body)
    for line in (before, after):
        assert (line.scope.name, line.severity_text) == (kind, "INFO")
        assert line.span_id == span.span_id
        assert line.attributes["http.request.method"] == method
        assert line.attributes.get("http.route") == span.attributes.get("http.route") == route
    assert after.attributes["http.response.status_code"] == status
    assert span.attributes["http.response.status_code"] == status
    assert 0 < after.attributes["http.server.request.duration"] < 60
    assert not span.events


def test_an_error_that_nobody_handles_is_reported_once_and_answered_as_ever(
    server: Server, kind: str
) -> None:
    assert server.ask("/boom?mark=once") == (500, b"Internal Server Error")

    trace = server.request("/boom?mark=once")
    assert [body.partition(" http")[0] for body in trace.messages] == [
        "Request GET",
        "Exception on /boom [GET]",
        "Response 500 INTERNAL SERVER ERROR",
    ]
    [span] = trace.spans().values()
    error = trace.logs[1]
    assert (error.scope.name, error.severity_text) == (kind, "ERROR")
    assert error.span_id == span.span_id
    assert error.attributes["exception.type"] == "ValueError"
    assert error.attributes["exception.message"] == "oh no"
    assert "asgi_shops.py" in error.attributes["exception.stacktrace"]
    assert error.attributes["otelbridge.fingerprint"]
    assert [event.name for event in span.events] == ["exception"]
    assert (span.attributes["http.response.status_code"], span.status_code) == (500, 2)
    # The server says so where it always does, and only there.
    server.wait_until_printed("Exception in ASGI application")
    assert not server.logs('message: "Exception in ASGI application"')


def test_an_error_in_a_mounted_app_is_reported_once(server: Server) -> None:
    assert server.ask("/depot/broken")[0] == 500
    trace = server.request("/depot/broken")
    assert trace.logs[1].attributes["exception.type"] == "LookupError"
    assert len(trace.messages) == 3
    [span] = trace.spans().values()
    assert [event.name for event in span.events] == ["exception"]


def test_a_background_task_logs_and_fails_in_its_request_s_trace(server: Server) -> None:
    assert server.ask("/receipt/12")[0] == 200
    trace = server.trace_of('message: "receipt 12 sent"')
    assert trace.messages[-1] == "receipt 12 sent"
    assert {"GET /receipt/{number}", "BackgroundTask send_receipt"} == set(trace.spans(2))

    assert server.ask("/receipt/13")[0] == 200
    trace = server.trace_of("exception.type: RuntimeError")
    assert trace.messages[-1] == "Exception on /receipt/13 [GET]"
    task = trace.spans(2)["BackgroundTask send_receipt"]
    assert [event.name for event in task.events] == ["exception"]
    assert trace.logs[-1].span_id == task.span_id


def test_a_stream_s_parts_are_made_in_the_request_s_trace(server: Server) -> None:
    assert server.ask("/stream") == (200, b"onetwo")
    trace = server.trace_of('message: "part two"')
    assert trace.messages[1:] == ["Response 200 OK", "part one", "part two"]


def test_a_websocket_s_messages_share_a_trace_and_its_error_is_reported(server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/chat") as websocket:
        websocket.send("hello")
        assert websocket.recv(60) == "HELLO"
    trace = server.trace_of('message: "heard hello"')
    assert [span.attributes.get("http.route") for span in trace.spans().values()] == ["/chat"]

    with connect(f"ws://127.0.0.1:{server.port}/chat") as websocket:
        websocket.send("boom")
        with pytest.raises(ConnectionClosed):
            websocket.recv(60)
    trace = server.trace_of('exception.message: "oh no, chat"')
    assert trace.messages[-1] == "Exception on /chat [WEBSOCKET]"


def test_a_secret_in_a_query_is_written_nowhere(server: Server) -> None:
    server.ask("/boom?token=h1dden&seen=yes")
    trace = server.request("/boom?token=***&seen=yes")
    kept = repr([trace.logs, trace.spans()])
    assert "h1dden" not in kept
    assert "token=***&seen=yes" in kept
    server.wait_until_printed("token=h1dden")  # by uvicorn, as ever


@pytest.mark.parametrize(
    "command",
    [
        ["uvicorn", "--workers=2", "--port={port}", "--no-access-log"],
        [*GUNICORN, "--worker-class=uvicorn_worker.UvicornWorker"],
        [*GUNICORN, "--worker-class=asgi"],
    ],
    ids=["uvicorn --workers 2", "gunicorn, uvicorn's workers", "gunicorn's own workers"],
)
def test_workers_send_every_request_once(command: list[str], tmp_path: Path) -> None:
    run = ["otelbridge", "run", *command, "asgi_shops:fastapi_app"]
    with serving(run, HERE, tmp_path) as server:
        wait_until_up(server)
        server.wait_for('message: "the shop opens"', 2)
        server.ask_many([f"/sync/{number}" for number in range(60)])
        assert server.ask("/boom")[0] == 500
        server.wait_for("message: Response", 61)
        server.stop()
        orders = server.logs("number >= 0")
        assert Counter(log.record.attributes["number"] for log in orders) == Counter(range(60))
        assert len(server.logs("message: Request and http.route: *")) == 61
        assert len({log.record.trace_id for log in orders}) == 60
        assert len(server.logs("exception.type: *")) == 1, server.printed
        assert len(server.logs('message: "the shop opens"')) == 2
        assert len(server.logs('message: "the shop closes"')) == 2
        resource = orders[0].record.resource
        assert resource["service.name"] == "asgi_shops"


@pytest.mark.parametrize(
    ("server_name", "kind"), [("uvicorn", "starlette"), ("gunicorn", "fastapi")]
)
def test_an_error_in_the_start_is_reported_once_and_ends_the_server(
    server_name: str, kind: str, tmp_path: Path
) -> None:
    command = {
        "uvicorn": ["uvicorn", "--port={port}"],
        "gunicorn": [*GUNICORN[:2], "--no-control-socket", "--worker-class=asgi"],
    }[server_name]
    run = ["otelbridge", "run", *command, f"asgi_shops:{kind}_app"]
    with serving(run, HERE, tmp_path, SHOP_LIFESPAN="fails") as server:
        assert server.process.wait(90) == 3
        [error] = server.logs("exception.type: * or message: Traceback")
        record = error.record
        assert record.body == "Exception in the app's startup"
        assert (record.scope.name, record.severity_text) == (kind, "CRITICAL")
        assert record.attributes["exception.type"] == "ConnectionError"
        assert len(server.logs('message: "the shop opens"')) == 1
        assert "no database" in server.printed


PROGRAM = """
import json, sys
import uvicorn
{before}
from asgi_shops import {kind}_app as app
{after}
uvicorn.run(app, port=int(sys.argv[1]), log_config=json.loads(sys.argv[2]))
"""
LOG_CONFIG = {
    "version": 1,
    "disable_existing_loggers": True,
    "formatters": {"plain": {"format": "theirs %(name)s %(message)s"}},
    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"uvicorn": {"handlers": ["out"], "level": "INFO", "propagate": False}},
}


@pytest.mark.parametrize(("when", "kind"), [("before", "fastapi"), ("after", "starlette")])
def test_one_line_before_or_after_the_routes_survives_any_log_config(
    when: str, kind: str, tmp_path: Path
) -> None:
    line = {
        "before": "import otelbridge; otelbridge.instrument()",
        "after": "import otelbridge; otelbridge.instrument(app)",
    }[when]
    source = PROGRAM.format(kind=kind, **{"before": "", "after": "", when: line})
    program = ["python", "-c", source, "{port}", json.dumps(LOG_CONFIG).replace("{", "{{")]
    program[-1] = program[-1].replace("}", "}}")
    with serving(program, HERE, tmp_path) as server:
        wait_until_up(server)
        assert server.ask("/sync/1")[0] == 200
        assert server.ask("/boom")[0] == 500
        server.wait_for("message: Response", 2)
        [request, _] = server.logs("message: Request")
        assert request.record.scope.name == kind
        assert request.record.trace_id
        assert len(server.logs("exception.type: ValueError")) == 1
        assert server.logs('message: "Application startup complete."')
        server.wait_until_printed("theirs uvicorn.error Application startup complete.")
