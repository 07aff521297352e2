"""Django behind real servers: spans, two lines, and each error once, whatever its LOGGING says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web_frameworks.serving import Server, serving, wait_until_up

pytestmark = [pytest.mark.servers, pytest.mark.slow]

PROJECT = Path(__file__).parent / "django_project"
GUNICORN = ["gunicorn", "--bind=127.0.0.1:{port}", "--no-control-socket", "shop.wsgi"]
SERVERS = {
    # Without code, in settings.py, as an entry of MIDDLEWARE: each by one kind of server.
    "gunicorn": (["otelbridge", "run", *GUNICORN], ""),
    "uvicorn": (["uvicorn", "--port={port}", "shop.asgi:application"], "settings"),
    "runserver": (["python", "manage.py", "runserver", "127.0.0.1:{port}"], "middleware"),
}


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    command, where = SERVERS[request.param]
    spool = str(tmp_path_factory.mktemp("spool"))
    folder = tmp_path_factory.mktemp(request.param)
    with serving(
        command, PROJECT, folder, SHOP_INSTRUMENT=where, OTELBRIDGE_SPOOL_DIR=spool
    ) as started:
        yield wait_until_up(started)


@pytest.mark.parametrize(
    ("method", "path", "route", "status", "phrase", "between"),
    [
        ("GET", "/orders/1/", "orders/<int:number>/", 200, "OK", ["order 1 in a view"]),
        ("GET", "/async/2/", "async/<int:number>/", 200, "OK", ["order 2 in the loop"]),
        ("POST", "/orders/3/", "orders/<int:number>/", 405, "METHOD NOT ALLOWED", []),
        ("GET", "/nowhere", None, 404, "NOT FOUND", []),
        ("GET", "/gone/", "gone/", 404, "NOT FOUND", []),
        ("GET", "/refused/", "refused/", 403, "FORBIDDEN", []),
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
) -> None:
    assert server.ask(path, method)[0] == status

    trace = server.request(path)
    request = f"Request {method} {server.url(path)}"
    assert trace.messages == [request, *between, f"Response {status} {phrase}"]
    [span] = trace.spans().values()
    before, after = trace.logs[0], trace.logs[-1]
    for line in (before, after):
        assert (line.scope.name, line.severity_text) == ("django.request", "INFO")
        assert line.span_id == span.span_id
        assert line.attributes["http.request.method"] == method
    assert after.attributes.get("http.route") == span.attributes.get("http.route") == route
    assert after.attributes["http.response.status_code"] == status
    assert span.attributes["http.response.status_code"] == status
    assert 0 < after.attributes["http.server.request.duration"] < 60
    # A client's error is none of the server's.
    assert span.status_code == 0
    assert not span.events
    assert after.resource["service.name"] == "shop"


@pytest.mark.parametrize("path", ["/boom/", "/async-boom/"])
def test_an_error_that_nobody_handles_is_reported_once(path: str, server: Server) -> None:
    status, body = server.ask(f"{path}?token=h1dden")
    assert status == 500
    assert b"Server Error (500)" in body

    trace = server.request(f"{path}?token=***")
    assert trace.messages[1:] == [
        f"Internal Server Error: {path}",
        "Response 500 INTERNAL SERVER ERROR",
    ]
    [span] = trace.spans().values()
    error = trace.logs[1]
    assert (error.scope.name, error.severity_text) == ("django.request", "ERROR")
    assert error.span_id == span.span_id
    assert error.attributes["exception.type"] == "ValueError"
    assert "urls.py" in error.attributes["exception.stacktrace"]
    assert error.attributes["otelbridge.fingerprint"]
    assert [event.name for event in span.events] == ["exception"]
    assert (span.attributes["http.response.status_code"], span.status_code) == (500, 2)
    assert "h1dden" not in repr([trace.logs, trace.spans()])


def test_an_error_in_a_middleware_is_reported_once(server: Server) -> None:
    assert server.ask("/orders/5/?break=1")[0] == 500
    trace = server.request("/orders/5/?break=1")
    assert len(trace.messages) == 3
    assert trace.logs[1].attributes["exception.type"] == "OSError"
    [span] = trace.spans().values()
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.parametrize("path", ["/stream/", "/async-stream/"])
def test_a_stream_s_parts_are_made_in_the_request_s_trace(path: str, server: Server) -> None:
    assert server.ask(path) == (200, b"onetwo")
    server.wait_for(f'message: Response and url.full: "{server.url(path)}"', 1)
    trace = server.request(path)
    server.wait_for(f'message: "part two" and trace.id: "{trace.trace_id.hex()}"', 1)
    assert trace.messages[1:] == ["Response 200 OK", "part one", "part two"]


def test_a_host_that_is_not_allowed_is_answered_as_ever(server: Server) -> None:
    assert server.ask("/orders/1/?evil=1", host="evil.test")[0] == 400
    server.wait_for('message: "Response 400 BAD REQUEST" and url.full: *evil.test*', 1)


def test_the_program_s_own_log_is_as_it_was(server: Server) -> None:
    assert server.ask("/orders/77/")[0] == 200
    server.wait_for("number: 77", 1)
    assert "theirs INFO shop order 77 in a view" in server.printed
    # LOGGING has silenced Django's loggers: our lines through them are not printed.
    assert "Request GET" not in server.printed


def test_workers_send_every_request_once(tmp_path: Path) -> None:
    command = ["otelbridge", "run", *GUNICORN, "--workers=2", "--threads=4"]
    with serving(command, PROJECT, tmp_path, SHOP_LOGGING="default") as server:
        wait_until_up(server)
        server.ask_many([f"/orders/{number}/" for number in range(60)])
        assert server.ask("/boom/")[0] == 500
        assert server.ask("/nowhere")[0] == 404
        server.wait_for("message: Response", 62)
        server.stop()
        orders = server.logs("number >= 0")
        assert Counter(log.record.attributes["number"] for log in orders) == Counter(range(60))
        assert len(server.logs("message: Request and url.full: *")) == 62
        assert len({log.record.trace_id for log in orders}) == 60
        # Django's own record of the error, and none besides; its warning too is of the request.
        assert len(server.logs("exception.type: ValueError")) == 1
        [warning] = server.logs('message: "Not Found: /nowhere"')
        assert warning.record.trace_id
        assert orders[0].record.resource["service.name"] == "shop"


def test_an_error_that_django_is_told_to_let_pass_is_reported_once(tmp_path: Path) -> None:
    command = ["otelbridge", "run", *GUNICORN]
    with serving(command, PROJECT, tmp_path, SHOP_PROPAGATE="1", SHOP_LOGGING="default") as server:
        wait_until_up(server)
        assert server.ask("/boom/")[0] == 500
        trace = server.request("/boom/")
        assert len(trace.messages) == 3
        [span] = trace.spans().values()
        assert [event.name for event in span.events] == ["exception"]
        server.stop()
        assert len(server.logs("exception.type: ValueError")) == 1
        assert "Error handling request" in server.printed
