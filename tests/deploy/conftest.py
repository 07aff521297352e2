"""An Elasticsearch with the project's templates, a namespace for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from otelbridge.elasticsearch.install import install_templates
from otelbridge.elasticsearch.templates import MAY_LACK, TemplateOptions
from tests.deploy.stored import Stored
from tests.testbed.collector_process import Collector


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this machine cannot do, and say so."""
    if os.environ.get("OTELBRIDGE_REQUIRE_SERVERS") == "1":
        return
    if not shutil.which("docker-compose"):
        asking = {"test_compose.py", "test_walkthrough.py"}
        _leave_out(config, items, "no docker-compose found", lambda item: item.path.name in asking)
    if os.geteuid() != 0:
        _leave_out(
            config,
            items,
            "only root may mount a small disk",
            lambda item: "small_disk" in getattr(item, "fixturenames", ()),
        )


def _leave_out(
    config: pytest.Config,
    items: list[pytest.Item],
    why: str,
    asks: Callable[[pytest.Item], bool],
) -> None:
    left_out = [item for item in items if asks(item)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"{len(left_out)} tests left out: {why}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB; only who may mount one can run what asks for it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


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
