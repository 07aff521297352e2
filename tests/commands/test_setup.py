"""``otelbridge setup`` on a real server, and what it says where it cannot."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result

from otelbridge.cli import cli
from otelbridge.elasticsearch.client import make_client
from otelbridge.elasticsearch.templates import MAY_LACK
from otelbridge.settings import read_settings

# What the test bed lacks, and the retention that other tests on the same server have.
WITHOUT = [argument for name in MAY_LACK for argument in ("--without", name)]
WITHOUT += ["--retention", "1d"]


def setup(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["setup", "--elasticsearch-url", url, *arguments])


DEAD_LETTERS = "logs-otelbridge.deadletter"
STREAM = "logs-otelbridge.otel-setup"


def write_as_version(url: str, version: int) -> None:
    """Leave the template of dead letters as another version would have written it."""
    client = make_client(read_settings({}), url=url)
    client.indices.put_index_template(
        name=DEAD_LETTERS,
        index_patterns=[f"{DEAD_LETTERS}-*"],
        data_stream={},
        priority=300,
        version=version,
    )
    client.close()


def test_it_says_what_it_changed_and_the_second_time_that_there_is_nothing_to_do(
    elasticsearch_url: str,
) -> None:
    setup(elasticsearch_url, *WITHOUT)
    write_as_version(elasticsearch_url, 0)

    first = setup(elasticsearch_url, *WITHOUT)
    second = setup(elasticsearch_url, *WITHOUT, "--json")

    assert first.exit_code == 0, first.output
    assert f"~ index template {DEAD_LETTERS}: updated (version 0 to 2)" in first.stdout
    assert [change["done"] for change in json.loads(second.stdout)] == ["unchanged"] * 5


@pytest.fixture
def stream(elasticsearch_url: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """Tells of a data stream that this version of the templates made."""
    client = make_client(read_settings({}), url=elasticsearch_url)
    setup(elasticsearch_url, *WITHOUT)
    client.indices.create_data_stream(name=STREAM)

    def tell() -> dict[str, Any]:
        (found,) = client.indices.get_data_stream(name=STREAM)["data_streams"]
        return dict(found)

    yield tell
    client.indices.delete_data_stream(name=STREAM)
    setup(elasticsearch_url, *WITHOUT)
    client.close()


def write(url: str, **attributes: Any) -> None:
    with make_client(read_settings({}), url=url) as client:
        document = {"@timestamp": "2026-11-21T12:00:00Z", "attributes": attributes}
        client.index(index=STREAM, op_type="create", document=document)


def test_a_data_stream_is_told_of_another_retention_and_goes_on_with_its_index(
    elasticsearch_url: str, stream: Callable[[], dict[str, Any]]
) -> None:
    changed = setup(elasticsearch_url, *WITHOUT, "--retention", "3d")
    again = setup(elasticsearch_url, *WITHOUT, "--retention", "3d")

    assert f"~ data stream {STREAM}: updated (kept for 259200s; " in changed.stdout
    assert STREAM not in again.stdout
    write(elasticsearch_url)
    found = stream()
    assert found["generation"] == 1
    assert found["lifecycle"]["data_retention"] == "259200s"
    assert found["failure_store"]["lifecycle"]["data_retention"] == "259200s"


def test_a_data_stream_goes_on_with_a_new_index_where_its_template_indexes_otherwise(
    elasticsearch_url: str, stream: Callable[[], dict[str, Any]]
) -> None:
    changed = setup(elasticsearch_url, *WITHOUT, "--logsdb")
    again = setup(elasticsearch_url, *WITHOUT, "--logsdb")

    assert f"~ data stream {STREAM}: rolled over" in changed.stdout
    assert STREAM not in again.stdout
    assert stream()["generation"] == 1, "an index that nothing is written to is not made"
    write(elasticsearch_url)
    assert stream()["generation"] == 2
    assert "unchanged" in setup(elasticsearch_url, *WITHOUT, "--logsdb").stdout
    write(elasticsearch_url)
    assert stream()["generation"] == 2


def test_an_older_versions_data_stream_is_upgraded_in_place(elasticsearch_url: str) -> None:
    client = make_client(read_settings({}), url=elasticsearch_url)
    client.options(ignore_status=404).indices.delete_data_stream(name=STREAM)
    client.indices.put_index_template(
        name="logs-otelbridge.otel",
        index_patterns=["logs-otelbridge.otel-*"],
        data_stream={},
        priority=300,
        version=1,
        template={"mappings": {"properties": {"attributes": {"type": "object"}}}},
    )
    try:
        write(elasticsearch_url, user="before")
        changed = setup(elasticsearch_url, *WITHOUT)
        write(elasticsearch_url, user="after")
        write(elasticsearch_url, **{"": "a field without a name is refused, and kept"})

        assert "~ index template logs-otelbridge.otel: updated (version 1 to 2)" in changed.stdout
        assert f"~ data stream {STREAM}: rolled over (kept for 86400s; what it" in changed.stdout
        client.indices.refresh(index=STREAM)
        # A field of the newer mapping finds the newer document; the older one is still there.
        assert client.count(index=STREAM, query={"term": {"user": "after"}})["count"] == 1
        assert client.count(index=STREAM)["count"] == 2
        client.indices.refresh(index=f"{STREAM}::failures")
        assert client.count(index=f"{STREAM}::failures")["count"] == 1
    finally:
        client.indices.delete_data_stream(name=STREAM)
        client.close()


def test_what_a_newer_version_wrote_is_left_alone(elasticsearch_url: str) -> None:
    write_as_version(elasticsearch_url, 1000)
    try:
        result = setup(elasticsearch_url, *WITHOUT)
        again = setup(elasticsearch_url, *WITHOUT)
    finally:
        write_as_version(elasticsearch_url, 0)
        setup(elasticsearch_url, *WITHOUT)

    line = f"= index template {DEAD_LETTERS}: newer (version 1000"
    assert line in result.stdout
    assert line in again.stdout


# --- servers that are something else -------------------------------------------------------------


@contextmanager
def answering(status: int, body: Any, headers: dict[str, str]) -> Iterator[str]:
    """A server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


PRODUCT = {"X-Elastic-Product": "Elasticsearch"}


def error(type: str, reason: str) -> Any:
    return {"error": {"type": type, "reason": reason}}


@pytest.mark.parametrize(
    ("status", "body", "headers", "message"),
    [
        (
            200,
            {"version": {"number": "8.19.2"}},
            PRODUCT,
            "is Elasticsearch 8.19.2; 9.1 or newer is needed",
        ),
        (
            200,
            {"version": {"number": "3.1.0", "distribution": "opensearch"}},
            {},
            "answers, but not as Elasticsearch does: OpenSearch, another server, or a proxy?",
        ),
        (
            401,
            error("security_exception", "missing authentication credentials"),
            PRODUCT,
            "does not let us in (401): missing authentication credentials; check OTELBRIDGE_",
        ),
        (401, error("security_exception", "api key is expired"), PRODUCT, "API key has expired"),
        (403, error("security_exception", "no rights"), PRODUCT, "not allow it (403): no rights"),
        (404, "nothing here", {}, "not found (404): nothing here; is the address Elasticsearch's"),
    ],
)
def test_each_thing_that_is_wrong_has_its_one_line(
    status: int, body: Any, headers: dict[str, str], message: str
) -> None:
    with answering(status, body, headers) as url:
        result = setup(url, "--wait", "0s")

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert message in line
    assert url in line


def test_a_server_that_does_not_answer_is_waited_for_as_long_as_asked() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        result = setup(url, "--wait", "700ms")

    lines = result.stderr.splitlines()
    assert result.exit_code == 1
    assert all(line.startswith("waiting up to") for line in lines[:-1])
    assert len(lines) >= 2
    assert "cannot be reached" in lines[-1]
