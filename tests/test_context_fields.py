"""``otelbridge.fields``: what it is put on, where it follows, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from logging.handlers import QueueHandler
from pathlib import Path
from queue import SimpleQueue

import pytest
from opentelemetry import context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from otlp_receiver import OTLPReceiver
from programs import finish, run_program

import otelbridge
from otelbridge.context_fields import current_fields, put_on_span
from otelbridge.elasticsearch.bulk_body import logs_body
from otelbridge.records.formatter import JsonFormatter
from otelbridge.records.scope_fields import scope_fields
from otelbridge.sinks.elasticsearch_records import log_records
from otelbridge.sinks.otlp_logging import OTLPHandler


def held() -> dict:
    return dict(current_fields())


@pytest.fixture(autouse=True)
def _own_context():
    """End what a test binds with the test."""
    token = context.attach(context.Context())
    yield
    token.var.reset(token)


def line(message: object = "hello", formatter: JsonFormatter | None = None, **extra) -> dict:
    record = logging.Logger("shop").makeRecord(
        "shop", logging.INFO, __file__, 1, message, (), None, "f", extra
    )
    return json.loads((formatter or JsonFormatter()).format(record))


class TestScope:
    def test_inner_blocks_add_to_outer_ones_and_win_over_them(self):
        with otelbridge.fields(user="alice", step="outer"):
            with otelbridge.fields(step="inner", order=7):
                assert held() == {"user": "alice", "step": "inner", "order": 7}
            assert held() == {"user": "alice", "step": "outer"}
        assert held() == {}

    def test_a_decorated_function_has_them_in_each_call(self):
        @otelbridge.fields(job="nightly")
        def main(number: int) -> tuple[int, dict]:
            """Run."""
            return number, held()

        assert [main(1), main(2)] == [(1, {"job": "nightly"}), (2, {"job": "nightly"})]
        assert (main.__name__, main.__doc__) == ("main", "Run.")
        assert held() == {}

    def test_a_decorated_coroutine_has_them_while_it_runs(self):
        seen = []

        @otelbridge.fields(job="nightly")
        async def main() -> None:
            await asyncio.sleep(0)
            seen.append(held())

        async def run() -> None:
            waiting = asyncio.ensure_future(main())
            seen.append(held())
            await waiting

        asyncio.run(run())
        assert seen == [{}, {"job": "nightly"}]

    def test_a_generator_is_refused_where_it_is_decorated(self):
        def numbers():
            yield 1

        with pytest.raises(TypeError, match="numbers is a generator"):
            otelbridge.fields(job="nightly")(numbers)

    def test_a_generator_that_is_ended_in_another_context_ends_quietly(self, caplog):
        async def numbers():
            with otelbridge.fields(job="nightly"):
                yield 1

        async def run() -> None:
            generator = numbers()
            await asyncio.ensure_future(anext(generator))
            await generator.aclose()

        asyncio.run(run())
        assert caplog.records == []

    def test_what_is_bound_holds_to_the_end_of_the_block_around(self):
        with otelbridge.fields(request="r1"):
            otelbridge.bind_fields(user="alice")
            otelbridge.bind_fields(order=7)
            assert held() == {"request": "r1", "user": "alice", "order": 7}
        assert held() == {}

    def test_what_is_bound_in_a_request_ends_with_the_requests_span(self):
        with TracerProvider().get_tracer("test").start_as_current_span("GET /") as span:
            otelbridge.bind_fields(user="alice", tags=["a", 1], nothing=None)
            assert held() == {"user": "alice", "tags": ["a", 1], "nothing": None}
        assert held() == {}
        assert dict(span.attributes) == {"user": "alice", "tags": '["a",1]'}

    def test_values_are_taken_when_the_block_begins(self):
        basket = ["tea"]
        with otelbridge.fields(basket=basket):
            basket.append("milk")
            assert line()["basket"] == ["tea"]


class TestFollowing:
    def test_asyncio_tasks_have_what_held_where_they_began_and_keep_their_own(self):
        async def task(number: int) -> dict:
            otelbridge.bind_fields(task=number)
            await asyncio.sleep(0)
            return held()

        async def run() -> list[dict]:
            with otelbridge.fields(user="alice"):
                found = await asyncio.gather(task(1), task(2), asyncio.to_thread(held))
                return [*found, held()]

        assert asyncio.run(run()) == [
            {"user": "alice", "task": 1},
            {"user": "alice", "task": 2},
            {"user": "alice"},
            {"user": "alice"},
        ]

    @pytest.mark.parametrize("kind", [threading.Thread, lambda target: threading.Timer(0, target)])
    def test_a_thread_has_what_held_where_it_was_started(self, kind):
        seen = []
        go = threading.Event()

        def work() -> None:
            go.wait(60)
            seen.append(held())
            with otelbridge.fields(step=2):
                seen.append(held())
            seen.append(held())

        with otelbridge.fields(user="alice"):
            thread = kind(target=work)
            thread.start()
        go.set()
        thread.join(60)
        user = {"user": "alice"}
        assert seen == [user, {**user, "step": 2}, user]

    def test_a_pools_thread_has_for_each_call_what_held_where_it_was_submitted(self):
        with ThreadPoolExecutor(1) as pool:
            with otelbridge.fields(user="alice"):
                first = pool.submit(held)
                mapped = list(pool.map(lambda _: held(), range(2)))
            between = pool.submit(lambda: otelbridge.bind_fields(leaked=True) or held())
            with otelbridge.fields(user="bob"):
                last = pool.submit(held)
        assert first.result() == {"user": "alice"}
        assert mapped == [{"user": "alice"}] * 2
        assert between.result() == {"leaked": True}
        assert last.result() == {"user": "bob"}

    def test_an_executor_of_an_event_loop_has_them(self):
        async def run() -> dict:
            with otelbridge.fields(user="alice"):
                return await asyncio.get_running_loop().run_in_executor(None, held)

        assert asyncio.run(run()) == {"user": "alice"}

    def test_nothing_of_ours_stands_in_the_tracebacks_of_threads(self):
        def fail() -> None:
            raise ValueError("oh")

        with ThreadPoolExecutor(1) as pool, otelbridge.fields(user="alice"):
            error = pool.submit(fail).exception()
        assert "otelbridge" not in "".join(traceback.format_exception(error))

    def test_what_python_gives_pools_to_run_is_still_what_is_followed(self):
        from concurrent.futures import thread

        assert {"__init__", "run"} <= vars(thread._WorkItem).keys()


class TestRecords:
    def test_they_stand_where_the_records_own_do(self):
        with otelbridge.fields(user="alice", name="n", message="m", **{"order.id": 7}):
            found = line()
        assert {"user": "alice", "name": "n", "extra.message": "m", "order.id": 7}.items() <= (
            found.items()
        )
        assert found["message"] == "hello"

    def test_the_records_own_win(self):
        with otelbridge.fields(user="alice", order=7, step="s"):
            assert line(user="bob")["user"] == "bob"
            found = line({"event": "paid", "order": 8}, step="t")
        assert (found["order"], found["step"]) == (8, "t")

    def test_they_are_masked_by_name_and_look(self):
        with otelbridge.fields(password="hunter2", note="Bearer abcdefghijklmnopqrstuvwxyz"):
            found = line()
        assert found["password"] == "***"
        assert "abcdefgh" not in found["note"]

    def test_a_format_may_name_them_and_reserved_ones_are_left_out(self):
        with otelbridge.fields(user="alice", order=7):
            found = line(formatter=JsonFormatter("%(user)s", reserved_attrs=["order"]))
        assert found["user"] == "alice"
        assert "order" not in found

    def test_renamed_fields_are_renamed(self):
        with otelbridge.fields(user="alice"):
            assert line(formatter=JsonFormatter(rename_fields={"user": "user.name"}))[
                "user.name"
            ] == ("alice")

    def test_a_record_keeps_the_fields_of_the_thread_that_logged_it(self):
        queue: SimpleQueue = SimpleQueue()
        logger = logging.Logger("shop")
        logger.addHandler(QueueHandler(queue))
        with otelbridge.fields(user="alice"):
            record = logger.makeRecord("shop", 20, __file__, 1, "m", (), None)
            scope_fields(record)
            logger.handle(record)
        with otelbridge.fields(user="listener", listener=True):
            found = json.loads(JsonFormatter().format(queue.get()))
        assert found["user"] == "alice"
        assert "listener" not in found

    def test_a_record_of_an_exception_has_those_it_was_raised_with(self):
        logger = logging.Logger("shop")
        lines = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(json.loads(JsonFormatter().format(record)))
        logger.addHandler(handler)

        with otelbridge.fields(user="alice", step="outer"):
            try:
                with otelbridge.fields(step="inner", order=7):
                    raise ValueError("oh")
            except ValueError:
                logger.exception("failed", extra={"order": 8})

        [found] = lines
        assert (found["user"], found["step"], found["order"]) == ("alice", "inner", 8)


class TestSpans:
    def test_a_span_that_begins_has_them_and_its_own_win(self):
        tracer = TracerProvider().get_tracer("test")
        with otelbridge.fields(user="alice", order=7, parts=[{"a": 1}]):
            span = tracer.start_span("SELECT", attributes={"order": 8})
            put_on_span(span, None)
        assert dict(span.attributes) == {"user": "alice", "order": 8, "parts": '[{"a":1}]'}


PROGRAM = """
import logging, threading
import otelbridge
from opentelemetry import trace

otelbridge.instrument(service_name="shop")
tracer = trace.get_tracer("shop")

def work():
    logging.warning("in a thread")
    with tracer.start_as_current_span("job"):
        pass

with tracer.start_as_current_span("request"):
    with otelbridge.fields(user="alice", token="t0psecret"):
        logging.warning("in the block", extra={"order": 7})
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with tracer.start_as_current_span("query", attributes={"user": "own"}):
            pass
    logging.warning("after it")
with otelbridge.fields(user="bob"):
    raise ValueError("nobody catches this")
"""
SENT = {
    "in the block": {"user": "alice", "token": "***", "order": 7},
    "in a thread": {"user": "alice", "token": "***"},
    "after it": {},
    "Uncaught ValueError: nobody catches this": {"user": "bob"},
}


def test_every_sink_has_them_and_the_program_prints_what_it_prints(
    otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    path = tmp_path / "lines.jsonl"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(60)
        ended = run_program(
            PROGRAM,
            150,
            OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
            OTELBRIDGE_SINKS="otlp,udp,file",
            OTELBRIDGE_UDP_ENDPOINT=f"127.0.0.1:{udp.getsockname()[1]}",
            OTELBRIDGE_FILE=str(path),
            OTELBRIDGE_SHUTDOWN_TIMEOUT="60s",
        )
        datagrams = [json.loads(udp.recv(65536)) for _ in SENT]

    assert ended.err == run_program(PROGRAM, OTEL_SDK_DISABLED="true").err
    assert {log.item.body.string_value: picked(log.attributes) for log in otlp_receiver.logs} == (
        SENT
    )
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {line["message"]: picked(line) for line in lines} == SENT
    assert {line["message"]: picked(line) for line in datagrams} == SENT
    spans = {span.item.name: picked(span.attributes) for span in otlp_receiver.traces}
    alice = {"user": "alice", "token": "***"}
    assert spans == {"job": alice, "query": {**alice, "user": "own"}, "request": {}}


def picked(fields: dict) -> dict:
    return {name: fields[name] for name in ("user", "token", "order") if name in fields}


def test_elasticsearchs_documents_have_them():
    taken = []

    class Keep(LogRecordProcessor):
        def on_emit(self, log_record):
            taken.append(ReadableLogRecord(log_record.log_record, Resource.get_empty(), None))

        def shutdown(self):
            return

        def force_flush(self, timeout_millis=0):
            return True

    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(Keep())
    record = logging.Logger("shop").makeRecord("shop", 20, __file__, 1, "m", (), None)
    with otelbridge.fields(user="alice"):
        OTLPHandler(provider).handle(record)

    assert b'"user":"alice"' in logs_body(log_records(taken), "default")


def test_a_program_that_uses_none_has_nothing_changed():
    finish("""
        import logging, sys, threading
        from concurrent.futures import ThreadPoolExecutor, thread
        before = threading.Thread.start, thread._WorkItem.run, thread._WorkItem.__init__
        import otelbridge
        otelbridge.instrument(sinks="none")
        logging.warning("a")
        assert before == (threading.Thread.start, thread._WorkItem.run, thread._WorkItem.__init__)
        assert "otelbridge.context_fields" not in sys.modules
    """)
