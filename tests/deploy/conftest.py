"""An Elasticsearch with the project's templates, a namespace for each test."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator

import pytest
from elasticsearch import Elasticsearch

from otelbridge.elasticsearch.install import install_templates
from otelbridge.elasticsearch.templates import MAY_LACK, TemplateOptions
from tests.deploy.stored import Stored
from tests.testbed.collector_process import Collector


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what asks compose itself where it is not installed, and say so."""
    if shutil.which("docker-compose") or os.environ.get("OTELBRIDGE_REQUIRE_SERVERS") == "1":
        return
    asking = {"test_compose.py", "test_walkthrough.py"}
    left_out = [item for item in items if item.path.name in asking]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"{len(left_out)} tests left out: no docker-compose found")


@pytest.fixture(scope="session")
def elasticsearch(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    """A client of the server, which has the templates."""
    with Elasticsearch(elasticsearch_url, request_timeout=60) as client:
        options = TemplateOptions(retention=86_400, without=MAY_LACK)
        list(install_templates(client, elasticsearch_url, options))
        yield client


@pytest.fixture
def stored(elasticsearch: Elasticsearch) -> Iterator[Stored]:
    """What the test's own namespace holds; removed afterwards."""
    namespace = f"test{uuid.uuid4().hex[:12]}"
    yield Stored(elasticsearch, namespace)
    elasticsearch.options(ignore_status=404).indices.delete_data_stream(name=f"*-{namespace}")


@pytest.fixture
def running(
    collector: Callable[..., Collector], elasticsearch_url: str, stored: Stored
) -> Collector:
    """A Collector that writes into the test's namespace."""
    return collector(
        ELASTICSEARCH_URL=elasticsearch_url, OTELBRIDGE_ELASTICSEARCH_NAMESPACE=stored.namespace
    )
