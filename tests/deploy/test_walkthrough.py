"""README's compose section followed by hand, with processes in the place of containers.

``pytest tests/deploy/test_walkthrough.py -s`` prints each step.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import yaml
from elasticsearch import Elasticsearch

from otelbridge.elasticsearch.templates import MAY_LACK
from otelbridge.search import parse
from otelbridge.settings import read_settings
from otelbridge.store import open_store
from otelbridge.store.protocol import TimeRange
from tests.deploy.stack import Stack
from tests.kibana.kibana_stand_in import KibanaStandIn
from tests.testbed.fixtures import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def namespace() -> str:
    return f"walk{time.time_ns()}"


@pytest.fixture(scope="module")
def kibana() -> Iterator[KibanaStandIn]:
    with KibanaStandIn() as running:
        yield running


@pytest.fixture(scope="module")
def stack(
    elasticsearch: Elasticsearch,
    elasticsearch_url: str,
    kibana: KibanaStandIn,
    namespace: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """Everything that `docker compose up --build --wait` starts."""
    folder = tmp_path_factory.mktemp("stack")
    changed = {
        "OTELBRIDGE_ELASTICSEARCH_NAMESPACE": namespace,
        "OTELBRIDGE_RETENTION": "1d",
        "LOG_FOLDER": str(folder / "logs"),
    }
    done = subprocess.run(
        ["docker-compose", "config"], cwd=DEPLOY, env=os.environ | changed, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    outside = {
        "elasticsearch:9200": urlsplit(elasticsearch_url).netloc,
        "kibana:5601": urlsplit(kibana.url).netloc,
    }
    # The test bed's Elasticsearch is no whole distribution; see its README.
    without = [argument for name in MAY_LACK for argument in ("--without", name)]
    services = yaml.safe_load(done.stdout)["services"]
    one = Stack(services, folder, outside, more={"setup": without})
    try:
        one.up()
        yield one
    finally:
        one.down()
        elasticsearch.options(ignore_status=404).indices.delete_data_stream(name=f"*-{namespace}")


def found(url: str, namespace: str, query: str) -> int:
    """Count the logs of the last hour that a query finds, as the page, `search` and Kibana do."""

    async def ask() -> int:
        settings = read_settings({}, store=url, elasticsearch_namespace=namespace)
        store = open_store(settings)
        await store.open()
        try:
            now = time.time_ns()
            within = TimeRange(now - 3600 * 10**9, now + 60 * 10**9)
            return len(list(await asyncio.to_thread(store.logs, parse(query), within, limit=1000)))
        finally:
            await store.close()

    return asyncio.run(ask())


def test_all_services_of_the_file_run_or_have_ended_well(stack: Stack):
    assert stack.ended() == []
    started = {key.partition(":")[0] for key in stack.outside}
    logs = {path.stem for path in stack.folder.glob("*.log")}
    assert stack.services.keys() == started | logs


def test_setup_brought_templates_and_dashboards(stack: Stack, kibana: KibanaStandIn):
    said = stack.output("setup")
    print(said)
    assert "index template logs-otelbridge.otel" in said
    dashboards = [one for type, one in kibana.objects if type == "dashboard"]
    assert len(dashboards) == 6
    assert said.count("Kibana dashboard ") == 6


def test_the_collector_says_that_it_is_available(stack: Stack):
    with urlopen(f"http://{stack.addresses['collector:13133']}/", timeout=10) as answer:
        assert json.load(answer)["status"] == "Server available"


@pytest.mark.parametrize(
    "query",
    [
        "user: alice and log.level: ERROR",
        "trace.id: *",
        "service.name: gateway",
        "service.name: orders",
        "service.name: payments",
        "error.type: *",
        "status: critical",
        "code >= 500",
    ],
)
def test_the_shops_records_are_found_by_kql(
    stack: Stack, elasticsearch_url: str, namespace: str, query: str
):
    wait_until(lambda: found(elasticsearch_url, namespace, query), f"records for {query}", 120)
    print(f"{query}: {found(elasticsearch_url, namespace, query)} records")


def test_the_shops_requests_are_traces_over_three_services(
    stack: Stack, elasticsearch: Elasticsearch, namespace: str
):
    def whole() -> list[dict[str, Any]]:
        service = {"field": "resource.attributes.service.name", "size": 5}
        answer = elasticsearch.search(
            index=f"traces-otelbridge.otel-{namespace}",
            size=0,
            aggs={
                "traces": {
                    "terms": {"field": "trace_id", "size": 200},
                    "aggs": {"services": {"terms": service}},
                }
            },
        )
        traces = answer["aggregations"]["traces"]["buckets"]
        return [one for one in traces if len(one["services"]["buckets"]) == 3]

    wait_until(whole, "a trace over gateway, orders and payments", 60)


def test_a_line_by_udp_is_found_within_seconds_and_its_number_stays_whole(
    stack: Stack, elasticsearch: Elasticsearch, elasticsearch_url: str, namespace: str
):
    host, _, port = stack.addresses["collector:4320"].partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b'{"message":"by hand","code":17}', (host, int(port)))
    query = 'message: "by hand"'
    wait_until(lambda: found(elasticsearch_url, namespace, query), query)
    answer = elasticsearch.search(
        index=f"logs-otelbridge.otel-{namespace}", query={"match_phrase": {"message": "by hand"}}
    )
    code = answer["hits"]["hits"][0]["_source"]["attributes"]["code"]
    assert (code, type(code)) == (17, int)
    print(f"{query}: code is {code}")


def test_a_line_in_a_file_is_found(stack: Stack, elasticsearch_url: str, namespace: str):
    folder = stack.path("collector", "/var/log/otelbridge")
    (folder / "hand.jsonl").write_text('{"message":"from a file"}\n')
    query = 'message: "from a file"'
    wait_until(lambda: found(elasticsearch_url, namespace, query), query)


def test_setup_once_more_changes_nothing(stack: Stack):
    stack._start("setup")
    said = stack.output("setup")
    print(said)
    changes = [line for line in said.splitlines() if line[:2] in {"+ ", "~ ", "= "}]
    assert changes
    assert [line for line in changes if not line.startswith("= ")] == []
