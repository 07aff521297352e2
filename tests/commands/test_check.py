"""``otelbridge check``: a record through every sink, and which hop fails."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from programs import finish

from otelbridge.cli import main
from otelbridge.elasticsearch.bulk import write_documents
from otelbridge.elasticsearch.client import make_client
from otelbridge.elasticsearch.documents import Document
from otelbridge.elasticsearch.install import install_templates
from otelbridge.elasticsearch.templates import MAY_LACK, TemplateOptions
from otelbridge.settings import read_settings
from tests.served import ServedBridge

NOWHERE = "http://127.0.0.1:9"


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["check", "--json", *arguments])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_records_are_found_in_the_bridge(
    ask: ServedBridge, capsys: pytest.CaptureFixture[str]
) -> None:
    code, hops = check(
        capsys,
        *("--sinks", "otlp,udp"),
        *("--otlp-endpoint", f"http://127.0.0.1:{ask.http_port}"),
        *("--udp-endpoint", f"127.0.0.1:{ask.udp_port}"),
    )
    assert code == 0, hops
    own = [(hop["sink"], hop["hop"], hop["ok"]) for hop in hops if hop["hop"] != "counted"]
    assert own == [
        ("otlp", "send", True),
        ("otlp", "find", True),
        ("udp", "send", True),
        ("udp", "find", True),
    ]
    assert hops[1]["detail"] == f"in the bridge at {ask.url}"


def test_a_file_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTELBRIDGE_FILE", str(tmp_path / "app.jsonl"))
    code, hops = check(capsys, "--sinks", "file,console")
    assert code == 0
    assert [hop["hop"] for hop in hops] == ["send", "find", "send"]
    (line,) = (tmp_path / "app.jsonl").read_text().splitlines()
    assert json.loads(line)["log.logger"] == "otelbridge.check"


def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("OTELBRIDGE_FILE", str(tmp_path / "taken" / "app.jsonl"))
    code, hops = check(capsys, "--sinks", "file")
    assert code == 1
    assert [hop["ok"] for hop in hops] == [False]
    assert str(tmp_path / "taken") in hops[0]["detail"]


def test_a_receiver_that_is_not_there_fails_at_sending(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, hops = check(capsys, "--sinks", "otlp", "--otlp-endpoint", NOWHERE)
    assert code == 1
    assert [(hop["hop"], hop["ok"]) for hop in hops] == [("send", False)]
    assert "Connection refused" in hops[0]["detail"]


def test_a_datagram_that_nobody_receives_fails_at_finding(
    ask: ServedBridge, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{deaf.getsockname()[1]}"
        code, hops = check(
            capsys, "--sinks", "udp", "--udp-endpoint", endpoint, "--patience", "0.5"
        )
    assert code == 1
    assert [(hop["hop"], hop["ok"]) for hop in hops] == [("send", True), ("find", False)]
    assert f"not in the bridge at {ask.url} after 0.5 s" in hops[1]["detail"]


def test_the_elasticsearch_sink_is_read_back(
    elasticsearch_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_client(read_settings({}, elasticsearch_url=elasticsearch_url))
    list(install_templates(client, elasticsearch_url, TemplateOptions(86400, without=MAY_LACK)))
    client.close()
    namespace = f"check.{uuid4().hex}"
    monkeypatch.setenv("OTELBRIDGE_ELASTICSEARCH_NAMESPACE", namespace)
    code, hops = check(capsys, "--sinks", "elasticsearch", "--elasticsearch-url", elasticsearch_url)
    assert code == 0, hops
    assert [(hop["hop"], hop["ok"]) for hop in hops] == [("send", True), ("find", True)]
    assert f"logs-otelbridge.otel-{namespace}" in hops[0]["detail"]


def test_what_elasticsearch_refused_lately_is_told(
    elasticsearch_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_client(read_settings({}, elasticsearch_url=elasticsearch_url))
    list(install_templates(client, elasticsearch_url, TemplateOptions(86400, without=MAY_LACK)))
    namespace = f"check.{uuid4().hex}"
    stream = f"logs-otelbridge.otel-{namespace}"
    source = {"@timestamp": "2026-11-21T12:00:00Z", "attributes": {"": "no name"}}
    refused = Document(stream, "1", source)
    write_documents(client, [refused], url=elasticsearch_url, namespace=namespace)
    client.indices.refresh(index=f"{stream}::failures")
    client.close()
    monkeypatch.setenv("OTELBRIDGE_ELASTICSEARCH_NAMESPACE", namespace)

    code, hops = check(capsys, "--sinks", "elasticsearch", "--elasticsearch-url", elasticsearch_url)

    assert code == 0, "what this check sent has arrived"
    assert [hop["hop"] for hop in hops] == ["send", "find", "refused"]
    assert "1 in the last 24 hours" in hops[2]["detail"]
    assert f"{stream}::failures" in hops[2]["detail"]
    assert "1 document_parsing_exception" in hops[2]["detail"]
    assert "cannot be an empty string" in hops[2]["detail"]


def test_an_elasticsearch_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--sinks", "elasticsearch", "--elasticsearch-url", NOWHERE]) == 1
    said = capsys.readouterr().out
    assert said.startswith("FAIL  elasticsearch")
    assert f"{NOWHERE} cannot be reached" in said


def test_without_sinks_there_is_nothing_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--sinks", "none"]) == 1
    assert "no sink is configured" in capsys.readouterr().err


def test_what_could_not_be_sent_yet_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "spool"
    finish(
        """
        import logging, otelbridge
        handle = otelbridge.instrument(service_name="shop")
        logging.warning("kept")
        """,
        OTELBRIDGE_SPOOL_DIR=str(folder),
        OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE,
    )
    monkeypatch.setenv("OTELBRIDGE_SPOOL_DIR", str(folder))
    code, (_, kept) = check(capsys, "--sinks", "console")
    assert code == 0
    assert (kept["sink"], kept["hop"], kept["ok"]) == ("otlp", "kept", True)
    assert "bytes of logs since 20" in kept["detail"]
    assert kept["detail"].endswith(f"UTC in {folder}/shop/otlp/logs")


def test_what_became_of_programs_records_is_told(
    ask: ServedBridge, capsys: pytest.CaptureFixture[str]
) -> None:
    service = f"shop-{uuid4().hex}"
    for _ in range(2):
        finish(
            f"""
            import logging, otelbridge
            otelbridge.instrument(service_name={service!r})
            for number in range(3):
                logging.warning("counted")
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{ask.http_port}",
            OTELBRIDGE_HEARTBEAT="0",
        )
    code, hops = check(
        capsys, "--sinks", "otlp", "--otlp-endpoint", f"http://127.0.0.1:{ask.http_port}"
    )
    assert code == 0, hops
    assert [
        hop["detail"] for hop in hops if hop["hop"] == "counted" and service in hop["detail"]
    ] == [f"logs of {service}: 2 processes, 6 accepted, 6 sent (0 again), 0 waiting, 0 dropped"]
