"""Flask: one span and two lines for every request, whatever becomes of it."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.instrumentation import _semconv
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelbridge.frameworks.flask import instrument_app

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def new_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `instrument()` asks for by OTEL_SEMCONV_STABILITY_OPT_IN."""
    use_conventions(monkeypatch, _semconv._StabilityMode.HTTP)


def use_conventions(monkeypatch: pytest.MonkeyPatch, mode: _semconv._StabilityMode) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", mode.value)
    # OpenTelemetry's own instrumentations read the variable once in a process.
    monkeypatch.setattr(
        _semconv._OpenTelemetrySemanticConventionStability,
        "_get_opentelemetry_stability_opt_in_mode",
        lambda *_: mode,
    )


class Observed(logging.Handler):
    """Keeps every log record with the ids of the span that was current."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        context = trace.get_current_span().get_span_context()
        record.ids = (context.trace_id, context.span_id)
        self.records.append(record)

    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]


class Site:
    """An instrumented app with every kind of end a request can have."""

    def __init__(self, **options: Any) -> None:
        self.spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.reported: list[logging.LogRecord] = []
        self.log = Observed()
        self.app = app = flask.Flask(f"site{next(_numbers)}")
        app.logger.setLevel("INFO")
        app.logger.addHandler(self.log)
        app.logger.propagate = False

        @app.before_request
        def refuse() -> str | None:
            app.logger.info("theirs before")
            return "closed" if flask.request.args.get("closed") else None

        @app.teardown_request
        def tear_down(_: BaseException | None) -> None:
            app.logger.info("theirs at the end")

        instrument_app(app, tracer_provider=provider, report=self.reported.append, **options)

        @app.after_request
        def teapot(response: flask.Response) -> flask.Response:
            if flask.request.args.get("teapot"):
                response.status_code = 418
            return response

        @app.get("/ok/<int:number>")
        def ok(number: int) -> str:
            return "ok"

        @app.get("/boom")
        def boom() -> str:
            raise ValueError("oh no")

        @app.get("/refused")
        def refused() -> str:
            flask.abort(403)

        @app.get("/stream")
        def stream() -> flask.Response:
            def parts() -> Iterator[str]:
                app.logger.info("streaming")
                yield "a"
                yield "b"

            return flask.Response(flask.stream_with_context(parts()))

        self.client = app.test_client()

    def lines(self) -> list[logging.LogRecord]:
        return [
            record
            for record in self.log.records
            if record.getMessage().startswith(("Request ", "Response "))
        ]


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/ok/7", "200 OK", "/ok/<int:number>"),
        ("HEAD", "/ok/7", "200 OK", "/ok/<int:number>"),
        ("GET", "/missing", "404 NOT FOUND", None),
        ("POST", "/ok/7", "405 METHOD NOT ALLOWED", None),
        ("GET", "/refused", "403 FORBIDDEN", "/refused"),
        ("GET", "/boom", "500 INTERNAL SERVER ERROR", "/boom"),
        ("GET", "/ok/7?closed=1", "200 OK", "/ok/<int:number>"),
        ("GET", "/ok/7?teapot=1", "418 I'M A TEAPOT", "/ok/<int:number>"),
        ("GET", "/stream", "200 OK", "/stream"),
    ],
)
def test_every_request_has_one_line_before_and_one_after_in_its_span(
    method: str, path: str, status: str, route: str | None, site: Site
) -> None:
    with site.client.open(path, method=method) as response:
        assert response.status == status
    before, after = site.lines()
    assert before.getMessage() == f"Request {method} http://localhost{path}"
    assert after.getMessage() == f"Response {status}"
    assert before.levelno == after.levelno == logging.INFO
    for line in (before, after):
        assert line.__dict__["http.request.method"] == method
        assert line.__dict__["url.full"] == f"http://localhost{path}"
        assert line.__dict__.get("http.route") == route
    assert after.__dict__["http.response.status_code"] == int(status[:3])
    assert 0 < after.__dict__["http.server.request.duration"] < 10
    [span] = site.spans.get_finished_spans()
    ids = (span.context.trace_id, span.context.span_id)
    assert [record.ids for record in site.log.records] == [ids] * len(site.log.records)
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == int(status[:3])


def test_our_lines_come_first_and_last_around_the_apps_own(site: Site) -> None:
    site.client.get("/ok/1")
    assert site.log.messages() == [
        "Request GET http://localhost/ok/1",
        "theirs before",
        "Response 200 OK",
        "theirs at the end",
    ]


def test_what_is_logged_while_streaming_belongs_to_the_request(site: Site) -> None:
    response = site.client.get("/stream")
    assert response.get_data() == b"ab"
    [span] = site.spans.get_finished_spans()
    assert "streaming" in site.log.messages()
    assert {record.ids[0] for record in site.log.records} == {span.context.trace_id}
    assert len(site.lines()) == 2


def test_an_exception_is_on_the_span_and_in_flasks_own_record(site: Site) -> None:
    site.client.get("/boom")
    [span] = site.spans.get_finished_spans()
    [event] = span.events
    assert event.name == "exception"
    assert event.attributes is not None
    assert event.attributes["exception.type"] == "ValueError"
    assert "oh no" in str(event.attributes["exception.stacktrace"])
    assert span.status.status_code is trace.StatusCode.ERROR
    [error] = [record for record in site.log.records if record.levelno == logging.ERROR]
    assert error.getMessage() == "Exception on /boom [GET]"
    assert error.ids == (span.context.trace_id, span.context.span_id)
    assert site.reported == []


@pytest.mark.parametrize("setting", ["TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
def test_an_exception_that_flask_passes_on_is_answered_and_reported_all_the_same(
    setting: str, site: Site
) -> None:
    site.app.config[setting] = True
    with pytest.raises(ValueError, match="oh no"):
        site.client.get("/boom")
    assert [line.getMessage() for line in site.lines()] == [
        "Request GET http://localhost/boom",
        "Response 500 INTERNAL SERVER ERROR",
    ]
    [span] = site.spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 500
    assert [event.name for event in span.events] == ["exception"]
    [error] = site.reported
    assert error.getMessage() == "Exception on /boom [GET]"
    assert error.exc_info is not None
    assert error.exc_info[0] is ValueError
    assert error not in site.log.records


def test_secrets_in_the_query_are_nowhere(site: Site) -> None:
    site.client.get("/ok/1?token=s3cret&x=1&api_key=s3cret#part")
    [span] = site.spans.get_finished_spans()
    assert site.log.messages()[0] == ("Request GET http://localhost/ok/1?token=***&x=1&api_key=***")
    written = [record.__dict__ for record in site.log.records]
    assert "s3cret" not in repr((written, dict(span.attributes or {}), span.name))


def test_the_old_semantic_conventions_hide_secrets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    use_conventions(monkeypatch, _semconv._StabilityMode.HTTP_DUP)
    site = Site()
    site.client.get("/ok/1?password=s3cret")
    [span] = site.spans.get_finished_spans()
    assert span.attributes is not None
    assert {"http.target", "url.query"} & span.attributes.keys()
    assert "s3cret" not in repr(dict(span.attributes))


def test_the_lines_can_be_left_out_and_the_span_stays() -> None:
    site = Site(request_log=False)
    site.client.get("/ok/1")
    assert site.lines() == []
    assert len(site.spans.get_finished_spans()) == 1


def test_the_lines_are_there_where_a_configuration_has_silenced_the_apps_logger(
    site: Site,
) -> None:
    site.app.logger.disabled = True
    site.client.get("/ok/1")
    assert site.log.records == []
    assert [record.getMessage() for record in site.reported] == [
        "Request GET http://localhost/ok/1",
        "Response 200 OK",
    ]
    site.app.logger.setLevel("ERROR")
    site.client.get("/ok/1")
    assert len(site.reported) == 2


def test_a_request_to_a_host_that_is_not_trusted_is_told(site: Site) -> None:
    class Wary(flask.Request):
        trusted_hosts = ["shop.example"]  # noqa: RUF012

    site.app.request_class = Wary
    status = site.client.get("/ok/1").status
    assert status in {"400 BAD REQUEST", "200 OK"}  # the latter before Flask 3.1
    assert [line.getMessage() for line in site.lines()] == [
        "Request GET http://localhost/ok/1",
        f"Response {status}",
    ]


def test_the_span_ends_though_a_function_at_the_teardown_fails(site: Site) -> None:
    @site.app.teardown_request
    def fail(_: BaseException | None) -> None:
        raise RuntimeError("at the end")

    with pytest.raises(RuntimeError, match="at the end"):
        site.client.get("/ok/1")
    [span] = site.spans.get_finished_spans()
    assert [event.name for event in span.events] == ["exception"]
    assert not trace.get_current_span().get_span_context().is_valid


def test_what_is_bound_around_a_request_stays_bound_within(site: Site) -> None:
    seen: list[Any] = []

    @site.app.get("/baggage")
    def view() -> str:
        seen.append(dict(baggage.get_all()))
        return ""

    token = attach(baggage.set_baggage("house", "main"))
    try:
        site.client.get("/baggage", headers={"baggage": "customer=alice"})
        site.client.get("/baggage")
        assert dict(baggage.get_all()) == {"house": "main"}
    finally:
        detach(token)
    assert seen == [{"house": "main", "customer": "alice"}, {"house": "main"}]


def test_a_copy_of_the_request_for_a_thread_leaves_the_span_open(site: Site) -> None:
    @site.app.get("/thread")
    def view() -> str:
        worker = threading.Thread(target=flask.copy_current_request_context(lambda: None))
        worker.start()
        worker.join()
        assert site.spans.get_finished_spans() == ()
        return ""

    assert site.client.get("/thread").status_code == 200
    assert len(site.spans.get_finished_spans()) == 1


def test_the_apps_functions_may_be_called_without_a_server(site: Site) -> None:
    with site.app.test_request_context("/ok/1"):
        site.app.preprocess_request()
        assert trace.get_current_span().get_span_context().is_valid
    with site.app.test_request_context("/ok/1"):
        assert site.app.full_dispatch_request().status_code == 200
    with site.app.test_request_context("/ok/1"):
        pass
    assert len(site.spans.get_finished_spans()) == 2
    assert not trace.get_current_span().get_span_context().is_valid


def test_an_app_may_hand_its_request_on_to_another() -> None:
    outer, inner = Site(), Site()

    @outer.app.get("/inner/<path:rest>")
    def hand_on(rest: str) -> Any:
        return inner.app.wsgi_app

    assert outer.client.get("/inner/x").status_code == 404
    for site, kind in ((outer, trace.SpanKind.SERVER), (inner, trace.SpanKind.INTERNAL)):
        [span] = site.spans.get_finished_spans()
        assert span.kind is kind
    assert not trace.get_current_span().get_span_context().is_valid


def test_opentelemetry_finds_the_app_instrumented_and_can_undo_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    site = Site()
    FlaskInstrumentor.instrument_app(site.app)
    assert "already instrumented" in caplog.text
    site.client.get("/ok/1")
    assert len(site.spans.get_finished_spans()) == 1
    FlaskInstrumentor.uninstrument_app(site.app)
    site.client.get("/ok/1")
    assert len(site.spans.get_finished_spans()) == 1


def test_opentelemetrys_own_hook_can_be_asked_for() -> None:
    site = Site(hook="upstream")
    site.client.get("/ok/1?token=s3cret")
    site.client.get("/boom")
    first, second = site.spans.get_finished_spans()
    assert "s3cret" not in repr(dict(first.attributes or {}))
    assert [event.name for event in second.events] == ["exception"]
    assert site.app.wsgi_app.__module__ == "opentelemetry.instrumentation.flask"
    assert len(site.lines()) == 4


def test_instrumenting_twice_changes_nothing(site: Site) -> None:
    instrument_app(site.app)
    site.client.get("/ok/1")
    assert len(site.lines()) == 2
    assert len(site.spans.get_finished_spans()) == 1


def test_an_app_instrumented_by_opentelemetry_already_gets_the_lines_only() -> None:
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    spans, provider, log = InMemorySpanExporter(), TracerProvider(), Observed()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    app = flask.Flask("theirs")
    FlaskInstrumentor.instrument_app(app, tracer_provider=provider)
    app.logger.setLevel("INFO")
    app.logger.addHandler(log)
    instrument_app(app, tracer_provider=provider)
    app.test_client().get("/none")
    [span] = spans.get_finished_spans()
    assert [(record.getMessage(), record.ids[0]) for record in log.records] == [
        ("Request GET http://localhost/none", span.context.trace_id),
        ("Response 404 NOT FOUND", span.context.trace_id),
    ]


def test_a_traceparent_header_is_continued(site: Site) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    site.client.get("/ok/1", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    [span] = site.spans.get_finished_spans()
    assert f"{span.context.trace_id:032x}" == trace_id
    assert {record.ids[0] for record in site.log.records} == {int(trace_id, 16)}


def test_nothing_is_current_after_a_request(site: Site) -> None:
    for path in ("/ok/1", "/boom", "/stream", "/missing"):
        site.client.get(path).get_data()
        assert not trace.get_current_span().get_span_context().is_valid
