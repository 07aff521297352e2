"""`instrument()`: what it sets up, what it leaves alone, and how it ends."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from otlp_receiver import OTLPReceiver
from programs import finish, run_program, start_program

# A port that refuses connections, and an address whose answers never come.
NOWHERE = "http://127.0.0.1:9"

APP = """
import logging, os, sys, time
import otelbridge
from flask import Flask
app = Flask("shop")
handle = otelbridge.instrument(app)

@app.get("/")
def index():
    app.logger.info("in the view")
    return "ok"
"""


def test_one_call_sends_logs_spans_and_metrics(otlp_receiver: OTLPReceiver) -> None:
    finish(APP + "app.test_client().get('/')", OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    [span] = otlp_receiver.traces
    assert [log.item.body.string_value for log in otlp_receiver.logs] == [
        "Request GET http://localhost/",
        "in the view",
        "Response 200 OK",
    ]
    assert {log.item.trace_id for log in otlp_receiver.logs} == {span.item.trace_id}
    names = {metric.item.name for metric in otlp_receiver.metrics}
    assert names >= {"process.cpu.utilization", "process.memory.usage", "system.memory.usage"}
    everything = [*otlp_receiver.logs, span, *otlp_receiver.metrics]
    assert {received.resource["service.name"] for received in everything} == {"shop"}


def test_the_resource_describes_service_process_host_and_runtime(
    otlp_receiver: OTLPReceiver,
) -> None:
    finish(
        APP + "app.test_client().get('/')",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTEL_RESOURCE_ATTRIBUTES="service.version=1.2,deployment.environment.name=test",
    )
    resource = otlp_receiver.logs[0].resource
    assert resource["service.version"] == "1.2"
    assert resource["deployment.environment.name"] == "test"
    assert resource["host.name"] == socket.gethostname()
    assert resource["os.type"] == "linux"
    assert resource["process.runtime.name"] == "cpython"
    assert resource["telemetry.sdk.language"] == "python"
    assert isinstance(resource["process.pid"], int)
    assert len(resource["service.instance.id"]) == 36


@pytest.mark.parametrize(
    ("environ", "overrides", "name"),
    [
        ({}, "", "shop"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=from-attributes"}, "", "from-attributes"),
        ({"OTEL_SERVICE_NAME": "from-variable"}, "", "from-variable"),
        ({"OTEL_SERVICE_NAME": "from-variable"}, "service_name='from-code'", "from-code"),
    ],
)
def test_the_service_is_named_by_code_variable_attributes_or_app(
    environ: dict[str, str], overrides: str, name: str, otlp_receiver: OTLPReceiver
) -> None:
    program = f"""
import otelbridge
from flask import Flask
app = Flask("shop")
otelbridge.instrument({overrides})
app.test_client().get('/missing')
"""
    finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http, **environ)
    assert {log.resource["service.name"] for log in otlp_receiver.logs} == {name}
    assert {span.resource["service.name"] for span in otlp_receiver.traces} == {name}


def test_a_second_call_returns_the_same_handle_and_duplicates_nothing(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = (
        APP
        + """
other = Flask("other")
assert otelbridge.instrument(app) is handle
assert otelbridge.instrument(other) is handle
assert otelbridge.instrument() is handle
app.test_client().get('/')
other.test_client().get('/none')
"""
    )
    finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    assert Counter(log.item.body.string_value for log in otlp_receiver.logs) == {
        "Request GET http://localhost/": 1,
        "in the view": 1,
        "Response 200 OK": 1,
        "Request GET http://localhost/none": 1,
        "Response 404 NOT FOUND": 1,
    }
    assert len(otlp_receiver.traces) == 2


def test_sdk_disabled_does_nothing_at_all() -> None:
    program = """
import logging, threading, sys
before = logging.Logger.filter
import flask
call = flask.Flask.__call__
import otelbridge
app = flask.Flask("shop")
handle = otelbridge.instrument(app)
app.test_client().get("/")
assert logging.Logger.filter is before
assert flask.Flask.__call__ is call
assert logging.root.level == logging.WARNING
assert threading.active_count() == 1
assert not app.before_request_funcs
assert not any(name.startswith("opentelemetry.sdk") for name in sys.modules)
assert handle.flush() and handle.shutdown() and otelbridge.shutdown()
"""
    ended = finish(program, OTEL_SDK_DISABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE)
    assert ended.err == ""


def test_a_wrong_variable_is_one_line_on_stderr_and_the_rest_still_works(
    otlp_receiver: OTLPReceiver,
) -> None:
    ended = finish(
        APP + "app.test_client().get('/')",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTELBRIDGE_METRIC_INTERVAL="soon",
        OTELBRIDGE_SINKS="otlp",
    )
    assert ended.err == (
        "otelbridge: OTELBRIDGE_METRIC_INTERVAL is 'soon'; allowed: a duration such as 500ms, 5s, "
        "15m, 3h or 7d; its default is used\n"
    )
    assert len(otlp_receiver.logs) == 3


def test_a_wrong_override_raises() -> None:
    ended = run_program("import otelbridge; otelbridge.instrument(sinks='pigeon')")
    assert ended.code == 1
    assert "SettingsError: sinks is 'pigeon'; allowed: a comma list of" in ended.err


def test_a_tracer_provider_set_before_is_used_as_it_is(otlp_receiver: OTLPReceiver) -> None:
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
mine, spans = TracerProvider(), InMemorySpanExporter()
mine.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(mine)
import otelbridge
from flask import Flask
app = Flask("shop")
otelbridge.instrument(app)
app.test_client().get("/none")
[span] = spans.get_finished_spans()
print(f"{span.context.trace_id:032x}")
assert trace.get_tracer_provider() is mine
"""
    ended = finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    assert ended.err == ""
    assert otlp_receiver.traces == []
    assert {log.item.trace_id.hex() for log in otlp_receiver.logs} == {ended.out.strip()}


@pytest.mark.parametrize("signal", ["logs", "traces", "metrics"])
def test_an_exporter_variable_of_none_switches_its_signal_off(
    signal: str, otlp_receiver: OTLPReceiver
) -> None:
    finish(
        APP + "app.test_client().get('/')",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        **{f"OTEL_{signal.upper()}_EXPORTER": "none"},
    )
    received = {name for name in ("logs", "traces", "metrics") if getattr(otlp_receiver, name)}
    assert received == {"logs", "traces", "metrics"} - {signal}


def test_the_standard_sampler_variable_applies(otlp_receiver: OTLPReceiver) -> None:
    finish(
        APP + "app.test_client().get('/')",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTEL_TRACES_SAMPLER="always_off",
    )
    assert otlp_receiver.traces == []
    assert len(otlp_receiver.logs) == 3


def test_no_attribute_is_dropped_by_default_and_the_standard_limit_applies(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = (
        APP + "app.logger.warning('many', extra={f'key{number}': number for number in range(300)})"
    )
    finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    assert otlp_receiver.log("many").attributes.keys() >= {f"key{n}" for n in range(300)}
    otlp_receiver.logs.clear()
    finish(
        program,
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT="20",
    )
    many = otlp_receiver.log("many")
    assert len(many.attributes) == 20
    assert many.item.dropped_attributes_count > 280


def test_a_forked_child_reports_itself_in_logs_spans_and_metrics(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = (
        APP
        + """
from opentelemetry import trace
def work(name):
    with trace.get_tracer("t").start_as_current_span(name):
        app.logger.warning(name)
work("parent before")
child = os.fork()
if child == 0:
    work("child")
    sys.exit(0)
os.waitpid(child, 0)
work("parent after")
print(os.getpid(), child)
"""
    )
    ended = finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    parent, child = map(int, ended.out.split())
    expected = {"parent before": parent, "child": child, "parent after": parent}
    logs = {log.item.body.string_value: log.resource for log in otlp_receiver.logs}
    spans = {span.item.name: span.resource for span in otlp_receiver.traces}
    assert len(otlp_receiver.logs) == len(otlp_receiver.traces) == 3
    for resources in (logs, spans):
        assert {name: resource["process.pid"] for name, resource in resources.items()} == expected
        assert len({resource["service.instance.id"] for resource in resources.values()}) == 2
    assert logs["child"]["service.instance.id"] == spans["child"]["service.instance.id"]
    assert logs["child"]["process.parent_pid"] == parent
    measured = {metric.resource["process.pid"] for metric in otlp_receiver.metrics}
    assert measured == {parent, child}


def test_a_forked_child_measures_its_own_memory(otlp_receiver: OTLPReceiver) -> None:
    program = (
        APP
        + """
ballast = None
child = os.fork()
if child == 0:
    ballast = b"x" * 200_000_000
    handle.flush()
    sys.exit(0)
os.waitpid(child, 0)
print(os.getpid(), child)
"""
    )
    ended = finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    parent, child = map(int, ended.out.split())

    def memory(pid: int) -> float:
        return max(
            point.as_int or point.as_double
            for metric in otlp_receiver.metrics
            if metric.item.name == "process.memory.usage" and metric.resource["process.pid"] == pid
            for point in (*metric.item.gauge.data_points, *metric.item.sum.data_points)
        )

    assert memory(child) > memory(parent) + 150_000_000


def test_a_dead_destination_costs_the_app_nothing() -> None:
    program = (
        APP
        + """
client = app.test_client()
client.get('/')
started = time.perf_counter()
for _ in range(100):
    assert client.get('/').status_code == 200
print(time.perf_counter() - started)
"""
    )
    ended = finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE)
    # One request that waited for the destination would take longer than all of them may.
    assert float(ended.out) < 8.0
    assert ended.err.count("\n") <= 2, ended.err
    assert "cannot send telemetry to http://127.0.0.1:9/v1/" in ended.err
    assert "kept on disk and sent next time: 101 traces, 303 logs" in ended.err


def test_a_destination_that_never_answers_holds_up_the_end_for_the_allowed_time_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ended = finish(
            APP
            + """
app.test_client().get('/')
started = time.perf_counter()
assert not handle.shutdown()
print(time.perf_counter() - started)
""",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}",
            OTELBRIDGE_SHUTDOWN_TIMEOUT="1s",
        )
    # The exporter itself would wait for ten seconds.
    assert 0.5 < float(ended.out) < 8.0


def test_a_destination_that_went_after_the_last_batch_is_not_waited_for() -> None:
    receiver = OTLPReceiver()
    program = (
        APP
        + """
app.logger.warning("accepted")
assert handle.flush(30)
print("flushed", flush=True)
sys.stdin.readline()
app.logger.warning("for nobody")
started = time.perf_counter()
handle.shutdown()
print(time.perf_counter() - started)
"""
    )
    with receiver:
        running = start_program(
            program,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint("http/protobuf"),
            OTELBRIDGE_SHUTDOWN_TIMEOUT="40s",
        )
        assert running.stdout is not None
        assert running.stdout.readline() == "flushed\n"
    out, err = running.communicate("gone\n", timeout=60)
    assert running.returncode == 0, err
    # Much less than the time allowed.
    assert float(out) < 20


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf", "http/json"])
def test_shutdown_sends_what_is_left_and_leaves_no_thread(
    protocol: str, otlp_receiver: OTLPReceiver
) -> None:
    program = (
        APP
        + """
import threading
app.test_client().get('/')
app.logger.warning("last")
assert handle.shutdown()
app.logger.warning("after the end")
alive = [thread.name for thread in threading.enumerate() if "otelbridge" in thread.name]
assert alive == [], alive
assert otelbridge.shutdown()
"""
    )
    finish(
        program,
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.endpoint(protocol),
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
    )
    bodies = [log.item.body.string_value for log in otlp_receiver.logs]
    assert bodies[-1] == "last"
    assert len(otlp_receiver.traces) == 1


def test_flush_returns_when_everything_has_arrived(otlp_receiver: OTLPReceiver) -> None:
    program = (
        APP
        + """
app.logger.warning("first")
assert handle.flush(10)
os._exit(0)
"""
    )
    finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    assert [log.item.body.string_value for log in otlp_receiver.logs] == ["first"]


def test_flush_gives_up_in_time_and_says_so() -> None:
    program = (
        APP
        + """
app.logger.warning("first")
started = time.perf_counter()
assert not handle.flush(0.5)
print(time.perf_counter() - started)
"""
    )
    ended = finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE)
    assert 0.4 < float(ended.out) < 10


def test_what_is_logged_while_the_destination_is_away_arrives_when_it_is_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    receiver = OTLPReceiver(http_port=port)
    result: list[object] = []
    program = (
        APP
        + """
for number in range(50):
    app.logger.warning("away", extra={"number": number})
    time.sleep(0.01)
print(handle.flush(30))
"""
    )
    runner = threading.Thread(
        target=lambda: result.append(
            finish(program, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
        )
    )
    runner.start()
    time.sleep(2.0)
    with receiver:
        runner.join(60)
    assert result
    numbers = Counter(log.attributes["number"] for log in receiver.logs)
    assert numbers == Counter(range(50))


def test_several_sinks_get_the_same_record(otlp_receiver: OTLPReceiver, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(60)
        ended = finish(
            APP + "app.logger.warning('everywhere', extra={'user': 'alice'})",
            OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
            OTELBRIDGE_SINKS="otlp,udp,file,console",
            OTELBRIDGE_UDP_ENDPOINT=f"127.0.0.1:{udp.getsockname()[1]}",
            OTELBRIDGE_FILE=str(tmp_path / "logs" / "app.jsonl"),
        )
        lines = [
            udp.recv(65536).decode(),
            (tmp_path / "logs" / "app.jsonl").read_text().strip(),
            (ended.err or ended.out).strip(),
        ]
    sent = otlp_receiver.log("everywhere")
    for line in map(json.loads, lines):
        assert line["message"] == "everywhere"
        assert line["user"] == "alice"
        assert line["service.name"] == "shop"
        assert line["log.record.uid"] == sent.attributes["log.record.uid"]
        assert line["service.node.name"] == sent.resource["service.instance.id"]


def test_lines_of_a_forked_child_name_the_child(tmp_path: Path) -> None:
    program = (
        APP
        + """
app.logger.warning("parent")
child = os.fork()
if child == 0:
    app.logger.warning("child")
    sys.exit(0)
os.waitpid(child, 0)
"""
    )
    file = tmp_path / "app.jsonl"
    finish(program, OTELBRIDGE_SINKS="file", OTELBRIDGE_FILE=str(file))
    lines = {line["message"]: line for line in map(json.loads, file.read_text().splitlines())}
    assert lines.keys() == {"parent", "child"}
    assert lines["parent"]["process.pid"] != lines["child"]["process.pid"]
    assert lines["parent"]["service.node.name"] != lines["child"]["service.node.name"]


def test_printed_output_is_recorded_when_asked_for(otlp_receiver: OTLPReceiver) -> None:
    ended = finish(
        APP + "print('to stdout'); print('to stderr', file=sys.stderr)",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTELBRIDGE_CAPTURE_OUTPUT="true",
    )
    assert (ended.out, ended.err) == ("to stdout\n", "to stderr\n")
    assert otlp_receiver.log("to stdout").scope == "stdout"
    assert otlp_receiver.log("to stderr").scope == "stderr"


def test_a_fault_in_setting_up_leaves_the_program_running() -> None:
    ended = finish(
        APP + "print(app.test_client().get('/').status_code)",
        OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE,
        OTEL_TRACES_EXPORTER="unheard_of",
    )
    assert ended.out == "200\n"
    assert "could not start; the program runs without telemetry" in ended.err
    assert "no exporter named 'unheard_of'" in ended.err
