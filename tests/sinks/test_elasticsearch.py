"""The elasticsearch sink on a real server: what is stored, and what happens when it cannot be."""

from __future__ import annotations

import itertools
import logging
import logging.config
import os
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from elasticsearch import Elasticsearch
from elasticsearch_gate import Answer, Gate, busy
from programs import finish, run_program

import otelbridge
from otelbridge.elasticsearch.client import make_client
from otelbridge.elasticsearch.install import install_templates
from otelbridge.elasticsearch.names import data_stream, failures
from otelbridge.elasticsearch.templates import MAY_LACK, TemplateOptions
from otelbridge.settings import SettingsError, read_settings
from otelbridge.sinks.elasticsearch import ElasticsearchHandler
from tests.testbed.fixtures import wait_until

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def namespace() -> str:
    return f"sink.{uuid4().hex}"


@pytest.fixture
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    client = make_client(read_settings({}, elasticsearch_url=elasticsearch_url))
    list(install_templates(client, elasticsearch_url, TemplateOptions(86400, without=MAY_LACK)))
    yield client
    client.close()


@pytest.fixture
def gate(client: Elasticsearch, elasticsearch_url: str) -> Iterator[Gate]:
    with Gate(elasticsearch_url) as gate:
        yield gate


@pytest.fixture
def attach() -> Iterator[Callable[[logging.Handler], logging.Logger]]:
    """Gives a handler a logger; both are put away afterwards."""
    attached: list[tuple[logging.Logger, logging.Handler]] = []

    def attach(handler: logging.Handler) -> logging.Logger:
        logger = logging.getLogger(f"elasticsearch.{len(attached)}")
        logger.setLevel(1)
        logger.propagate = False
        logger.addHandler(handler)
        attached.append((logger, handler))
        return logger

    yield attach
    for logger, handler in attached:
        logger.removeHandler(handler)
        handler.close()


def documents(client: Elasticsearch, stream: str) -> list[dict[str, Any]]:
    client.indices.refresh(index=stream)
    hits = client.search(index=stream, size=1000, sort="@timestamp")["hits"]["hits"]
    return [hit["_source"] | {"_id": hit["_id"]} for hit in hits]


def messages(client: Elasticsearch, namespace: str) -> list[str]:
    return [one["body"]["text"] for one in documents(client, data_stream("logs", namespace))]


# --- what is stored -----------------------------------------------------------------------------


def test_a_handler_alone_in_dict_config_stores_records_complete(
    client: Elasticsearch, elasticsearch_url: str, namespace: str
) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "es": {
                    "class": "otelbridge.ElasticsearchHandler",
                    "url": elasticsearch_url,
                    "namespace": namespace,
                    "service_name": "shop",
                }
            },
            "loggers": {"from.dict": {"handlers": ["es"], "level": "INFO", "propagate": False}},
        }
    )
    logger = logging.getLogger("from.dict")
    before = time.time_ns()
    try:
        raise KeyError("missing")
    except KeyError:
        logger.exception("no %s", "luck", extra={"user": "алиса", "status": 500, "in": {"a": [1]}})
    (handler,) = logger.handlers
    handler.flush()
    (stored,) = documents(client, data_stream("logs", namespace))
    logger.removeHandler(handler)
    handler.close()

    milliseconds, _, rest = stored["@timestamp"].partition(".")
    assert abs(int(milliseconds) * 10**6 + int(rest) - before) < 5 * 10**9
    assert stored["severity_text"] == "ERROR"
    assert stored["severity_number"] == 17
    assert stored["body"] == {"text": "no luck"}
    assert stored["scope"] == {"name": "from.dict"}
    assert stored["resource"]["attributes"]["service.name"] == "shop"
    assert stored["resource"]["attributes"]["process.pid"] == os.getpid()
    attributes = stored["attributes"]
    assert attributes["user"] == "алиса"
    assert attributes["status"] == 500
    assert attributes["in"] == {"a": [1]}
    assert attributes["exception.type"] == "KeyError"
    assert "raise KeyError" in attributes["exception.stacktrace"]
    assert stored["_id"] == attributes["log.record.uid"]


APP = """
import flask, logging, otelbridge
app = flask.Flask("shop")
handle = otelbridge.instrument(app)
@app.get("/buy/<thing>")
def buy(thing):
    logging.getLogger("shop.buy").warning("sold %s", thing, extra={"user": "bob"})
    return "ok"
app.test_client().get("/buy/tea")
"""


def test_a_request_and_its_log_are_stored_under_one_trace(
    client: Elasticsearch, elasticsearch_url: str, namespace: str
) -> None:
    ended = finish(
        f"{APP}\nassert handle.shutdown(60)",
        OTELBRIDGE_SINKS="elasticsearch",
        OTELBRIDGE_ELASTICSEARCH_URL=elasticsearch_url,
        OTELBRIDGE_ELASTICSEARCH_NAMESPACE=namespace,
    )
    assert ended.err.count("sold tea") <= 1
    # The request alone: storing it is no span of its own.
    (stored,) = documents(client, data_stream("traces", namespace))
    assert stored["name"] == "GET /buy/<thing>"
    assert stored["kind"] == "Server"
    assert stored["attributes"]["http.response.status_code"] == 200
    assert stored["_id"] == stored["trace_id"] + stored["span_id"]
    logs = documents(client, data_stream("logs", namespace))
    (log,) = [one for one in logs if one["body"]["text"] == "sold tea"]
    assert (log["trace_id"], log["span_id"]) == (stored["trace_id"], stored["span_id"])
    assert log["resource"] == stored["resource"]
    # Nor is it a log of its own.
    assert not [one for one in logs if "elastic" in one["scope"]["name"]]


def test_what_the_client_logs_while_sending_is_not_stored(
    client: Elasticsearch, elasticsearch_url: str, namespace: str
) -> None:
    handler = ElasticsearchHandler(elasticsearch_url, namespace=namespace)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        logging.getLogger("app").info("one")
        handler.flush()
        logging.getLogger("app").info("two")
        handler.flush()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
    assert messages(client, namespace) == ["one", "two"]


def test_a_refused_record_is_a_dead_letter_and_one_line(
    client: Elasticsearch,
    elasticsearch_url: str,
    namespace: str,
    attach: Callable[[logging.Handler], logging.Logger],
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = ElasticsearchHandler(elasticsearch_url, namespace=namespace)
    logger = attach(handler)
    logger.info("first")
    handler.flush()
    strict = {"attributes.size": {"type": "integer", "ignore_malformed": False}}
    client.indices.put_mapping(index=data_stream("logs", namespace), properties=strict)
    for number in range(5):
        logger.info("conflict %d", number, extra={"size": "large"})
    logger.info("last", extra={"size": 3})
    handler.flush()
    assert messages(client, namespace) == ["first", "last"]
    kept = failures(data_stream("logs", namespace))
    letters = documents(client, kept)
    texts = [letter["document"]["source"]["body"]["text"] for letter in letters]
    assert sorted(texts) == [f"conflict {number}" for number in range(5)]
    assert (handler.delivered, handler.refused, handler.dropped) == (2, 5, 0)
    lines = [one.getMessage() for one in caplog.records if "refused" in one.getMessage()]
    assert len(lines) == 1
    assert f"kept in {kept}" in lines[0]
    assert "size" in lines[0]


# --- a server that does not take it -------------------------------------------------------------


def test_a_busy_server_is_tried_again_with_growing_pauses_and_gets_everything_once(
    client: Elasticsearch,
    gate: Gate,
    namespace: str,
    attach: Callable[[logging.Handler], logging.Logger],
) -> None:
    gate.answer = lambda lines: busy(lines) if len(gate.times) <= 3 else None
    handler = ElasticsearchHandler(gate.address, namespace=namespace)
    logger = attach(handler)
    for number in range(50):
        logger.info("number %d", number)
    wait_until(lambda: handler.delivered, "the server is tried again")
    handler.flush()
    assert sorted(messages(client, namespace)) == sorted(f"number {n}" for n in range(50))
    assert (handler.delivered, handler.dropped) == (50, 0)
    first, second, third = (gate.times[n + 1] - gate.times[n] for n in range(3))
    assert first >= 0.25
    assert second >= 0.5
    assert third >= 1.0


def test_many_records_that_waited_go_over_several_connections_and_are_stored_once(
    client: Elasticsearch,
    gate: Gate,
    namespace: str,
    attach: Callable[[logging.Handler], logging.Logger],
) -> None:
    requests = itertools.count(1)
    gate.answer = lambda lines: busy(lines) if next(requests) <= 2 else None
    handler = ElasticsearchHandler(gate.address, namespace=namespace)
    logger = attach(handler)
    for number in range(3000):
        logger.info("number %d", number)
    wait_until(lambda: handler.delivered + handler.dropped >= 3000, "all are stored")
    assert (handler.delivered, handler.dropped) == (3000, 0)
    stream = data_stream("logs", namespace)
    client.indices.refresh(index=stream)
    assert client.count(index=stream)["count"] == 3000
    assert len(gate.times) >= 6


def test_a_server_that_answers_nonsense_is_not_tried_for_ever(
    gate: Gate,
    namespace: str,
    attach: Callable[[logging.Handler], logging.Logger],
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate.answer = lambda lines: (200, {"hello": "world"})
    handler = ElasticsearchHandler(gate.address, namespace=namespace)
    attach(handler).info("sent to something else")
    wait_until(lambda: handler.dropped, "it is given up")
    assert len(gate.times) == 1
    assert any("not taken by" in one.getMessage() for one in caplog.records)


def test_an_answer_that_is_lost_leads_to_no_second_document(
    client: Elasticsearch,
    gate: Gate,
    namespace: str,
    attach: Callable[[logging.Handler], logging.Logger],
) -> None:
    gate.lose_answers = 1
    handler = ElasticsearchHandler(gate.address, namespace=namespace)
    logger = attach(handler)
    for number in range(20):
        logger.info("number %d", number)
    wait_until(lambda: handler.delivered, "the server is tried again")
    handler.flush()
    assert len(messages(client, namespace)) == 20
    assert (handler.delivered, handler.dropped) == (20, 0)


def test_a_server_that_starts_later_gets_what_the_queue_holds_and_the_rest_is_counted(
    client: Elasticsearch,
    elasticsearch_url: str,
    namespace: str,
    attach: Callable[[logging.Handler], logging.Logger],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "100")
    with Gate(elasticsearch_url) as gate:
        port = gate.port
    handler = ElasticsearchHandler(f"http://127.0.0.1:{port}", namespace=namespace)
    logger = attach(handler)
    for number in range(300):
        logger.info("number %d", number)
    started = time.monotonic()
    handler.flush(60)
    assert time.monotonic() - started < 30, "flushing does not wait for a server in trouble"
    with Gate(elasticsearch_url, port=port) as gate:
        wait_until(lambda: handler.delivered + handler.dropped >= 300, "all are accounted for")
        stored = messages(client, namespace)
    assert handler.delivered == len(stored) == len(set(stored))
    assert handler.delivered + handler.dropped == 300
    assert handler.delivered >= 100
    assert "number 299" in stored
    lines = [one.getMessage() for one in caplog.records]
    assert sum("cannot send telemetry" in line or "not taken" in line for line in lines) <= 1
    assert any("reaches" in line and "again" in line for line in lines)


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (401, "API key is expired", "the API key has expired"),
        (401, "unable to authenticate", "check OTELBRIDGE_ELASTICSEARCH_API_KEY"),
        (403, "action is unauthorized", "does not allow it"),
    ],
)
def test_a_server_that_lets_nobody_in_is_one_line_and_nothing_is_lost(
    client: Elasticsearch,
    gate: Gate,
    namespace: str,
    attach: Callable[[logging.Handler], logging.Logger],
    caplog: pytest.LogCaptureFixture,
    status: int,
    reason: str,
    words: str,
) -> None:
    def closed(lines: list[dict[str, Any]]) -> Answer:
        error = {"type": "security_exception", "reason": reason}
        return (status, {"error": error, "status": status}) if len(gate.times) <= 2 else None

    gate.answer = closed
    handler = ElasticsearchHandler(gate.address, namespace=namespace)
    attach(handler).info("kept")
    wait_until(lambda: handler.delivered, "the server is tried again")
    assert messages(client, namespace) == ["kept"]
    (line,) = [one.getMessage() for one in caplog.records if "cannot send" in one.getMessage()]
    assert words in line
    assert line.count(gate.address) == 1


def test_records_that_wait_are_bounded_in_bytes(
    attach: Callable[[logging.Handler], logging.Logger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTELBRIDGE_QUEUE_BYTES", "1MB")
    monkeypatch.setenv("OTELBRIDGE_SPOOL_DIR", "none")
    monkeypatch.setenv("OTELBRIDGE_SHUTDOWN_TIMEOUT", "1s")
    handler = ElasticsearchHandler(NOWHERE)
    logger = attach(handler)
    for _ in range(100):
        logger.info("large", extra={"page": "x" * 100_000})
    handler.close()
    # So many that were in memory before they were encoded, and as many after.
    assert handler.dropped == 100
    (counts,) = handler.delivery()
    assert counts.dropped["queue full"] + counts.dropped.get("spool full", 0) >= 75


def test_the_end_does_not_wait_for_a_server_that_is_not_there(
    client: Elasticsearch, elasticsearch_url: str, namespace: str
) -> None:
    program = """
        import logging, otelbridge, sys, time
        handler = otelbridge.ElasticsearchHandler(sys.argv[1], namespace=sys.argv[2])
        logging.basicConfig(handlers=[handler], level=logging.INFO)
        logging.info(sys.argv[3])
        started = time.perf_counter()
        handler.close()
        print(time.perf_counter() - started, handler.dropped)
        """

    def run(url: str, message: str) -> list[float]:
        arguments = f"import sys; sys.argv = ['', {url!r}, {namespace!r}, {message!r}]"
        ended = finish(
            f"{arguments}\n{textwrap.dedent(program)}", OTELBRIDGE_SHUTDOWN_TIMEOUT="20s"
        )
        return [float(word) for word in ended.out.split()]

    seconds, dropped = run(NOWHERE, "kept on disk")
    assert seconds < 5
    assert dropped == 0
    run(elasticsearch_url, "from the next run")
    assert sorted(messages(client, namespace)) == ["from the next run", "kept on disk"]


# --- processes ----------------------------------------------------------------------------------


def test_a_forked_child_stores_its_own_records_once_and_under_its_own_pid(
    client: Elasticsearch, elasticsearch_url: str, namespace: str
) -> None:
    ended = finish(
        f"""
        import logging, os, otelbridge
        handler = otelbridge.ElasticsearchHandler({elasticsearch_url!r}, namespace={namespace!r})
        logging.basicConfig(handlers=[handler], level=logging.INFO)
        logging.info("before 1")
        handler.flush()
        logging.info("before 2")
        child = os.fork()
        logging.info("child" if child == 0 else "parent")
        if child == 0:
            handler.flush()
            handler.close()
            os._exit(0 if handler.delivered == 1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        handler.close()
        print(os.getpid(), child)
        """
    )
    parent, child = map(int, ended.out.split())
    stored = documents(client, data_stream("logs", namespace))
    by_message = {
        one["body"]["text"]: one["resource"]["attributes"]["process.pid"] for one in stored
    }
    assert len(stored) == 4
    assert by_message == {"before 1": parent, "before 2": parent, "parent": parent, "child": child}


def test_an_instrumented_program_forks_too(
    client: Elasticsearch, elasticsearch_url: str, namespace: str
) -> None:
    finish(
        """
        import logging, os, otelbridge
        handle = otelbridge.instrument()
        logging.warning("parent")
        assert handle.flush(20)
        child = os.fork()
        if child == 0:
            logging.warning("child")
            os._exit(0 if handle.flush(20) else 1)
        assert os.waitpid(child, 0)[1] == 0
        """,
        OTELBRIDGE_SINKS="elasticsearch",
        OTELBRIDGE_ELASTICSEARCH_URL=elasticsearch_url,
        OTELBRIDGE_ELASTICSEARCH_NAMESPACE=namespace,
    )
    assert sorted(messages(client, namespace)) == ["child", "parent"]


@pytest.mark.parametrize(
    "start",
    ["handle = otelbridge.instrument()", "handle = otelbridge.ElasticsearchHandler()"],
    ids=["instrumented", "handler"],
)
def test_a_program_that_has_sent_before_sends_its_last_at_its_end(
    start: str, client: Elasticsearch, elasticsearch_url: str, namespace: str
) -> None:
    ended = finish(
        f"""
        import logging, otelbridge
        {start}
        if isinstance(handle, logging.Handler):
            logging.basicConfig(handlers=[handle])
        logging.warning("first")
        handle.flush(30)
        logging.warning("last")
        """,
        OTELBRIDGE_SINKS="elasticsearch",
        OTELBRIDGE_ELASTICSEARCH_URL=elasticsearch_url,
        OTELBRIDGE_ELASTICSEARCH_NAMESPACE=namespace,
        OTELBRIDGE_SHUTDOWN_TIMEOUT="30s",
    )
    assert "kept on disk" not in ended.err
    assert sorted(messages(client, namespace)) == ["first", "last"]


# --- set-ups that cannot work -------------------------------------------------------------------

WITHOUT_CLIENT = "import sys; sys.modules['elasticsearch'] = None\n"


def test_without_the_extra_a_program_runs_and_one_line_says_what_to_install() -> None:
    ended = finish(f"{WITHOUT_CLIENT}{APP}", OTELBRIDGE_SINKS="elasticsearch")
    lines = [line for line in ended.err.splitlines() if "otelbridge[elasticsearch]" in line]
    assert len(lines) == 1
    assert "Traceback" not in ended.err


def test_without_the_extra_the_handler_says_what_to_install() -> None:
    ended = run_program(f"{WITHOUT_CLIENT}import otelbridge; otelbridge.ElasticsearchHandler()")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].endswith("pip install 'otelbridge[elasticsearch]'")


def test_a_wrong_address_is_named() -> None:
    with pytest.raises(SettingsError, match="elasticsearch_url is 'somewhere'"):
        otelbridge.ElasticsearchHandler("somewhere")
