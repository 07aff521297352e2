"""Celery: real workers and a real Redis, counted at a real bridge."""

from __future__ import annotations

import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from otlp_receiver import OTLPReceiver
from programs import finish
from redis_server import running_redis
from running_bridge import running_bridge

from otelbridge.serve import Bridge
from tests.workers.celery_programs import APP, INSTRUMENTED, Shop, check_document

pytestmark = pytest.mark.servers

ERROR, OK = 2, 1
PRODUCER, CONSUMER = 4, 5


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with running_redis() as path:
        yield path


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    with running_bridge(tmp_path_factory.mktemp("bridge")) as running:
        yield running


databases = count()


@pytest.fixture
def shop(redis: str, bridge: Bridge, tmp_path: Path) -> Shop:
    (tmp_path / "shop.py").write_text(INSTRUMENTED)
    # Each test's tasks in a database of its own.
    broker = f"redis+socket://{redis}?virtual_host={next(databases)}"
    return Shop(f"shop-{secrets.token_hex(4)}", tmp_path, broker, bridge)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_task_is_in_the_trace_that_sent_it(shop: Shop, pool: str) -> None:
    with shop.worker(f"--pool={pool}", "--concurrency=2"):
        shop.produce(
            """
            import logging, otelbridge
            from opentelemetry import trace
            with trace.get_tracer("producer").start_as_current_span("checkout"):
                logging.warning("sending")
                sent = [shop.bill.delay(number) for number in range(5)]
            assert [each.get(timeout=100) for each in sent] == [0, 1, 2, 3, 4]
            """
        )

    spans = {(span.name, span.kind): span for span in shop.spans()}
    [sending] = shop.logs("body.text: sending")
    billed = shop.logs("number: *")
    by_id = {span.span_id: span for span in shop.spans()}
    assert sorted(record.attributes["number"] for record in billed) == list(range(5))
    assert {record.trace_id for record in billed} == {sending.trace_id}
    for record in billed:
        run = by_id[record.span_id]
        assert (run.name, run.kind) == ("run/shop.bill", CONSUMER)
        publish = by_id[run.parent_span_id]
        assert (publish.name, publish.kind) == ("apply_async/shop.bill", PRODUCER)
        assert by_id[publish.parent_span_id].name == "checkout"
    assert len(by_id) == len(spans) - 2 + 10
    # What Celery itself says of a task belongs to its trace, too, in whichever process it is said.
    for said in ("received", "succeeded"):
        told = shop.logs(f'celery.task_name: "shop.bill" and body.text: {said}')
        assert Counter(record.trace_id for record in told) == {sending.trace_id: 5}, said


def test_failures_and_retries_are_told_once_each(shop: Shop) -> None:
    with shop.worker("--concurrency=1"):
        shop.produce(
            """
            for task in (shop.refuse.delay(1), shop.refuse.delay(2), shop.pay.delay()):
                task.get(timeout=100, propagate=False)
            assert shop.deliver.delay().get(timeout=100) == "delivered"
            shop.look_up.delay().get(timeout=100, propagate=False)
            """
        )

    first, second, paid = shop.logs("log.level: ERROR")
    for record, number in ((first, 1), (second, 2)):
        assert record.attributes["exception.type"] == "ValueError"
        assert record.attributes["exception.message"] == f"no such order: {number}"
        assert "in refuse" in record.attributes["exception.stacktrace"]
        assert record.attributes["celery.task_name"] == "shop.refuse"
    # The same error both times; another one is another's.
    fingerprints = [each.attributes["otelbridge.fingerprint"] for each in (first, second, paid)]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
    # As it was raised, not as Celery had to pack it.
    assert paid.attributes["exception.type"] == "shop.Declined"
    assert paid.attributes["exception.message"] == "declined by the bank"

    spans = {span.span_id: span for span in shop.spans()}
    for record in (first, second, paid):
        run = spans[record.span_id]
        assert run.status_code == ERROR
        assert [event.name for event in run.events] == ["exception"]

    retried = shop.logs("celery.retry.reason: *")
    assert [record.severity_text for record in retried] == ["INFO", "INFO"]
    assert ["the van is away" in each.attributes["celery.retry.reason"] for each in retried] == [
        True,
        True,
    ]
    [delivered] = shop.logs('celery.task_name: "shop.deliver" and body.text: succeeded')
    assert delivered.attributes["celery.retries"] == 2
    runs = [span for span in spans.values() if span.name == "run/shop.deliver"]
    assert len(runs) == 3
    assert {run.trace_id for run in runs} == {delivered.trace_id}
    assert ERROR not in {run.status_code for run in runs}

    [expected] = [span for span in spans.values() if span.name == "run/shop.look_up"]
    assert expected.status_code == OK
    [told] = shop.logs('celery.task_name: "shop.look_up" and body.text: expected')
    assert told.severity_text == "INFO"


def test_recycled_processes_lose_nothing(shop: Shop) -> None:
    with shop.worker(
        "--concurrency=2", "--max-tasks-per-child=4", OTELBRIDGE_HEARTBEAT="30s"
    ) as worker:
        shop.produce(
            """
            sent = [shop.bill.delay(number) for number in range(24)]
            for each in sent:
                each.get(timeout=100)
            """
        )

    billed = shop.logs("number: *")
    assert Counter(record.attributes["number"] for record in billed) == Counter(range(24))
    runs = [span for span in shop.spans() if span.name == "run/shop.bill"]
    assert Counter(span.span_id for span in runs) == Counter(each.span_id for each in billed)
    processes = {record.resource["process.pid"] for record in billed}
    assert len(processes) >= 6
    ends = shop.logs('event.name: "otelbridge.process.end"')
    outcomes = {each.resource["process.pid"]: each.attributes for each in ends}
    # Being recycled is no failure.
    assert {outcomes[pid]["otelbridge.process.outcome"] for pid in processes} == {"completed"}
    assert outcomes[worker.pid]["otelbridge.process.outcome"] == "completed"


def test_a_warm_shutdown_waits_for_the_task_and_sends_everything(shop: Shop) -> None:
    with shop.worker("--concurrency=1") as worker:
        shop.produce("shop.wait.delay(3)")
        shop.wait_for("body.text: waiting")
    assert worker.returncode == 0
    assert len(shop.logs("body.text: waited")) == 1
    assert len(shop.logs('celery.task_name: "shop.wait" and body.text: succeeded')) == 1
    assert [span.name for span in shop.spans() if span.kind == CONSUMER] == ["run/shop.wait"]


def test_a_cold_shutdown_sends_what_the_interrupted_task_has_told(shop: Shop) -> None:
    with shop.worker("--concurrency=1", end=signal.SIGQUIT):
        shop.produce("shop.wait.delay(100)")
        shop.wait_for("body.text: waiting")
    [waiting] = shop.logs("body.text: waiting")
    assert shop.logs("body.text: waited") == []
    runs = [span for span in shop.spans() if span.kind == CONSUMER]
    assert [span.span_id for span in runs] == [waiting.span_id]


def test_a_process_that_is_killed_costs_nothing_with_the_journal(shop: Shop) -> None:
    with shop.worker("--concurrency=1", OTELBRIDGE_JOURNAL="true"):
        shop.produce(
            """
            shop.die.delay(7).get(timeout=100, propagate=False)
            shop.hang.delay().get(timeout=100, propagate=False)
            """
        )
        [lost] = shop.wait_for('exception.type: "billiard.exceptions.WorkerLostError"')
        [late] = shop.wait_for('exception.type: "billiard.exceptions.TimeLimitExceeded"')
        # By the process that comes next.
        [dying] = shop.wait_for("number: 7")
        [hanging] = shop.wait_for("body.text: hanging")
    # The main process tells of both, in their traces.
    assert lost.trace_id == dying.trace_id
    assert late.trace_id == hanging.trace_id
    assert lost.resource["process.pid"] != dying.resource["process.pid"]


def test_a_root_logger_that_is_not_hijacked(shop: Shop) -> None:
    (shop.folder / "shop.py").write_text(
        "import logging\nlogging.basicConfig(format='MINE %(message)s', level='INFO')\n"
        + INSTRUMENTED
        + "app.conf.worker_hijack_root_logger = False\n"
    )
    with shop.worker("--concurrency=1"):
        shop.produce("shop.bill.delay(1).get(timeout=100)")
    assert len(shop.logs("number: 1")) == 1
    assert len(shop.logs('celery.task_name: "shop.bill" and body.text: succeeded')) == 1
    assert "MINE celery@" in shop.printed
    assert shop.printed.count("billing 1") == 1


def test_an_app_that_does_not_mention_otelbridge(shop: Shop) -> None:
    beat = """
app.conf.beat_schedule = {"tick": {"task": "shop.bill", "schedule": 0.5, "args": (99,)}}
"""
    (shop.folder / "shop.py").write_text(APP + beat)
    with shop.worker("--concurrency=1", "--beat", command="otelbridge run celery"):
        shop.wait_for("number: 99", 2)
        # By its name, as a program does that does not have the worker's code.
        shop.produce(
            """
            import logging
            from celery import Celery
            app = Celery(broker=shop.app.conf.broker_url)
            app.send_task("shop.bill", (5,))
            logging.warning("sent")
            """,
            command="otelbridge run python",
        )
        shop.wait_for("number: 5")
    [billed] = shop.logs("number: 5")
    [sent] = shop.logs("body.text: sent")
    spans = {span.span_id: span for span in shop.spans()}
    publish = spans[spans[billed.span_id].parent_span_id]
    assert publish.name == "apply_async/shop.bill"
    # Nothing of it was left behind for what came afterwards.
    assert sent.trace_id is None
    ticks = shop.logs("number: 99")
    beats = {spans[spans[tick.span_id].parent_span_id].resource["process.pid"] for tick in ticks}
    assert len(beats) == 1
    assert beats.isdisjoint({tick.resource["process.pid"] for tick in ticks})
    assert len({tick.trace_id for tick in ticks}) == len(ticks)


def test_redis_spans_of_a_task_are_in_its_trace_and_no_others_are_made(shop: Shop) -> None:
    everything = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ""}
    with shop.worker("--concurrency=1", **everything):
        shop.produce("shop.bill.delay(1).get(timeout=100)")
    [billed] = shop.logs("number: 1")
    stored = [span for span in shop.spans() if span.attributes.get("db.system") == "redis"]
    assert stored
    assert {span.trace_id for span in stored} == {billed.trace_id}


def test_the_program_of_the_document(shop: Shop) -> None:
    check_document(shop)


def test_a_broker_that_is_away(otlp_receiver: OTLPReceiver) -> None:
    finish(
        """
        import logging, otelbridge
        handle = otelbridge.instrument()
        from celery import Celery
        app = Celery("shop", broker="redis://127.0.0.1:9")

        @app.task
        def bill():
            pass

        for send in (bill.apply_async, lambda **given: app.send_task("unknown", **given)):
            try:
                send(retry=False)
            except Exception:
                logging.warning("not sent")
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="redis",
    )
    spans = [received.item for received in otlp_receiver.traces]
    assert {span.name: span.status.code for span in spans} == {
        "apply_async/shop.bill": ERROR,
        # Of a task that it does not know, the instrumentation ends the span before it is sent.
        "apply_async/unknown": 0,
    }
    assert {span.parent_span_id for span in spans} == {b""}
    # What comes afterwards is not in the span of what failed.
    told = [log.item for log in otlp_receiver.logs if log.item.body.string_value == "not sent"]
    assert {log.trace_id for log in told} == {b""}
