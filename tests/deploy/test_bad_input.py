"""Each thing that may be wrong on the way to Elasticsearch: a clear line, and nothing is lost.

``pytest tests/deploy/test_bad_input.py -s`` prints the table: what was wrong, by which road, the
line that says so, and where the records are. What a Collector does with documents that are refused
is in ``test_refusals.py``.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from otelbridge.elasticsearch.names import data_stream, refused
from tests.commands.test_setup import PRODUCT, WITHOUT, answering
from tests.deploy.stored import Stored
from tests.elasticsearch_gate import Answer, Gate
from tests.programs import finish
from tests.testbed.collector_process import Collector
from tests.testbed.fixtures import wait_until

Note = Callable[..., None]


@pytest.fixture(scope="module")
def note() -> Iterator[Note]:
    """Takes rows of the table, which is printed in the end."""
    rows: list[tuple[str, ...]] = []
    yield lambda *row: rows.append(row)
    for row in [("what is wrong", "road", "the line that says so", "where the records are"), *rows]:
        print("\n" + "\n    ".join(row))


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def log(url: str, namespace: str, spool: Path, *calls: str, **environ: str) -> list[str]:
    """Run a program that logs to Elasticsearch; returns what otelbridge said."""
    ended = finish(
        f"""
        import logging, otelbridge
        handle = otelbridge.instrument()
        log = logging.getLogger("app")
        log.setLevel(logging.INFO)
        {"; ".join(calls)}
        handle.flush(10)
        handle.shutdown(5)
        """,
        OTELBRIDGE_SINKS="elasticsearch",
        OTELBRIDGE_ELASTICSEARCH_URL=url,
        OTELBRIDGE_ELASTICSEARCH_NAMESPACE=namespace,
        OTELBRIDGE_SPOOL_DIR=str(spool),
        OTELBRIDGE_HEARTBEAT="0",
        OTEL_SERVICE_NAME="app",
        **environ,
    )
    return ended.err.splitlines()


def one(lines: list[str], words: str) -> str:
    """The one line with some words."""
    (line,) = [line for line in lines if words in line]
    return line


def command(*arguments: str) -> tuple[int, str]:
    """Run ``otelbridge``; returns its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "otelbridge", *arguments], capture_output=True, text=True
    )
    return done.returncode, (done.stdout + done.stderr).strip()


def bodies(stored: Stored) -> list[str]:
    return sorted(doc["body"]["text"] for doc in stored.documents(scope__name="app").values())


# --- documents ----------------------------------------------------------------------------------


DOCUMENTS = {
    "code is a number, then a text": ["17", "'E17'"],
    "code is a text, then an object": ["'E17'", "{'major': 17}"],
    "10,000 keys": ["{f'k{n}': n for n in range(10_000)}"],
    "a text of 900,000 characters": ["'x' * 900_000"],
}


@pytest.mark.parametrize("what", DOCUMENTS)
def test_documents_that_might_not_fit_are_stored(
    what: str, elasticsearch_url: str, stored: Stored, spool: Path, note: Note
):
    values = DOCUMENTS[what]
    calls = [
        f"log.info('number {n}', extra={{'code': {value}}}); handle.flush(5)"
        for n, value in enumerate(values)
    ]
    said = log(elasticsearch_url, stored.namespace, spool, *calls)
    assert bodies(stored) == [f"number {n}" for n in range(len(values))]
    assert said == []
    note(what, "direct", "(none: nothing is wrong with it)", "stored, every value as it was sent")


def test_a_document_that_is_refused_is_kept_with_the_reason(
    elasticsearch: Elasticsearch,
    elasticsearch_url: str,
    stored: Stored,
    spool: Path,
    note: Note,
    monkeypatch: pytest.MonkeyPatch,
):
    log(elasticsearch_url, stored.namespace, spool, "log.info('before')")
    strict = {"attributes.size": {"type": "integer", "ignore_malformed": False}}
    stream = data_stream("logs", stored.namespace)
    elasticsearch.indices.put_mapping(index=stream, properties=strict)
    calls = ("log.info('conflict', extra={'size': 'large'})", "log.info('after')")
    log(elasticsearch_url, stored.namespace, spool, *calls)
    line = _checked(monkeypatch, elasticsearch_url, stored.namespace)
    assert bodies(stored) == ["after", "before"]
    assert f"{stream}::failures" in line
    assert "size" in line
    (letter,) = _letters(elasticsearch, stored.namespace)
    assert letter["document"]["source"]["body"] == {"text": "conflict"}
    note(
        "a field that somebody made strict",
        "direct, then otelbridge check",
        line,
        f"{stream}::failures",
    )


def test_a_document_larger_than_the_server_takes_becomes_a_dead_letter(
    elasticsearch: Elasticsearch,
    elasticsearch_url: str,
    stored: Stored,
    spool: Path,
    note: Note,
    monkeypatch: pytest.MonkeyPatch,
):
    def limited(lines: list[dict[str, Any]]) -> Answer:
        # One a request, as of a proxy in front of the server; the letter itself is let through.
        return (413, {}) if "x" * 1000 in json.dumps(lines) and "original" not in lines[1] else None

    with Gate(elasticsearch_url, answer=limited) as gate:
        calls = ("log.info('large', extra={'page': 'x' * 100_000})", "log.info('small')")
        log(gate.address, stored.namespace, spool, *calls)
        line = _checked(monkeypatch, elasticsearch_url, stored.namespace)
    assert bodies(stored) == ["small"]
    assert "larger than the server takes" in line
    (letter,) = _letters(elasticsearch, stored.namespace)
    assert json.loads(letter["original"])["body"] == {"text": "large"}
    note(
        "a document over the size limit",
        "direct, then otelbridge check",
        line,
        letter["data_stream"]["dataset"],
    )


def _checked(monkeypatch: pytest.MonkeyPatch, url: str, namespace: str) -> str:
    """What ``otelbridge check`` says of the documents that were refused."""
    monkeypatch.setenv("OTELBRIDGE_ELASTICSEARCH_NAMESPACE", namespace)
    with Elasticsearch(url) as client:
        client.indices.refresh(index=refused(namespace), ignore_unavailable=True)
    code, said = command("check", "--sinks", "elasticsearch", "--elasticsearch-url", url)
    assert code == 0, said
    return one(said.splitlines(), "1 in the last 24 hours")


def _letters(client: Elasticsearch, namespace: str) -> list[dict[str, Any]]:
    places = refused(namespace)
    client.indices.refresh(index=places, ignore_unavailable=True)
    found = client.search(index=places, ignore_unavailable=True)
    return [hit["_source"] for hit in found["hits"]["hits"]]


# --- servers ------------------------------------------------------------------------------------


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _expired(lines: list[dict[str, Any]]) -> Answer:
    error = {"type": "security_exception", "reason": "API key is expired"}
    return 401, {"error": error, "status": 401}


def test_a_wrong_address_is_told_and_what_was_logged_arrives_when_it_is_put_right(
    elasticsearch_url: str, stored: Stored, spool: Path, note: Note
):
    wrong = f"http://127.0.0.1:{_closed_port()}"
    line = one(log(wrong, stored.namespace, spool, "log.info('kept')"), wrong)
    assert "cannot be reached" in line
    assert "it is kept" in line
    log(elasticsearch_url, stored.namespace, spool, "log.info('next')")
    wait_until(lambda: bodies(stored) == ["kept", "next"], "what was kept")
    note("a wrong address", "direct", line, "on disk; stored by the next process that reaches it")


def test_an_expired_key_is_told_and_what_was_logged_arrives_with_a_new_one(
    elasticsearch_url: str, stored: Stored, spool: Path, note: Note
):
    with Gate(elasticsearch_url, answer=_expired) as gate:
        line = one(log(gate.address, stored.namespace, spool, "log.info('kept')"), gate.address)
        assert "the API key has expired" in line
        gate.answer = lambda lines: None
        log(gate.address, stored.namespace, spool, "log.info('next')")
    wait_until(lambda: bodies(stored) == ["kept", "next"], "what was kept")
    note("an expired key (stand-in)", "direct", line, "on disk; stored when the key is renewed")


@pytest.mark.parametrize("what", ["a wrong address", "an expired key (stand-in)"])
def test_the_collector_tells_and_keeps_until_it_is_put_right(
    what: str,
    collector: Callable[..., Collector],
    elasticsearch_url: str,
    stored: Stored,
    note: Note,
):
    with Gate(elasticsearch_url, answer=_expired) as gate:
        port = _closed_port() if "address" in what else gate.port
        running = collector(
            ELASTICSEARCH_URL=f"http://127.0.0.1:{port}",
            OTELBRIDGE_ELASTICSEARCH_NAMESPACE=stored.namespace,
            COLLECTOR_LOG_LEVEL="debug",
        )
        (running.files / "app.jsonl").write_text('{"message": "kept", "logger": "app"}\n')
        words = "connection refused" if "address" in what else "401"

        def told() -> list[str]:
            return [one for one in running.log.read_text().splitlines() if words in one]

        wait_until(told, f"a line with {words}")
        running.kill()
        gate.answer = lambda lines: None
        running.environ = {**running.environ, "ELASTICSEARCH_URL": elasticsearch_url}
        running.start()
        wait_until(lambda: bodies(stored) == ["kept"], "what was kept")
    line = json.loads(told()[0])
    reason = line.get("reason") or line.get("status")
    note(what, "Collector (debug)", f"{line['msg']} {reason}", "in its queue on disk")


@pytest.mark.parametrize(
    ("what", "version", "headers", "words"),
    [
        (
            "Elasticsearch 8 (stand-in)",
            {"number": "8.19.2"},
            PRODUCT,
            "is Elasticsearch 8.19.2; 9.1 or newer is needed",
        ),
        (
            "OpenSearch (stand-in)",
            {"number": "3.1.0", "distribution": "opensearch"},
            {},
            "OpenSearch, another server, or a proxy?",
        ),
    ],
)
def test_another_server_is_named_by_every_command_and_nothing_is_sent_to_it(
    what: str, version: Any, headers: dict[str, str], words: str, note: Note
):
    with answering(200, {"version": version}, headers) as url:
        for arguments in (
            ("setup", "--elasticsearch-url", url, "--wait", "0s"),
            ("check", "--sinks", "elasticsearch", "--elasticsearch-url", url),
            ("serve", "--store", url, "--grpc-port", "0", "--http-port", "0", "--web-port", "0",
             "--udp-port", "0"),
        ):  # fmt: skip
            code, said = command(*arguments)
            assert code == 1, said
            (line,) = [one for one in said.splitlines() if url in one]
            assert words in line
            note(what, f"otelbridge {arguments[0]}", line, "nothing was sent")


def test_what_is_sent_to_another_server_is_kept(
    elasticsearch_url: str, stored: Stored, spool: Path, note: Note
):
    with answering(200, {"version": {"number": "8.19.2"}}, {}) as url:
        line = one(log(url, stored.namespace, spool, "log.info('kept')"), url)
    log(elasticsearch_url, stored.namespace, spool, "log.info('next')")
    wait_until(lambda: bodies(stored) == ["kept", "next"], "what was kept")
    note("another server (stand-in)", "direct", line, "on disk; stored by the next process")


def test_a_kibana_that_is_not_there_is_told_and_elasticsearch_is_set_up_all_the_same(
    elasticsearch: Elasticsearch, elasticsearch_url: str, note: Note
):
    kibana = f"http://127.0.0.1:{_closed_port()}"
    code, said = command(
        "setup", "--elasticsearch-url", elasticsearch_url, *WITHOUT, "--kibana-url", kibana,
        "--wait", "0s",
    )  # fmt: skip
    assert code == 1
    assert "index template logs-otelbridge.otel" in said
    line = said.splitlines()[-1]
    assert re.search(rf"{kibana} cannot be reached: .*refused", line)
    note("no Kibana", "otelbridge setup", line, "templates are there; run it again")
