"""The page as in ``tests/web``, with Elasticsearch behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from otelbridge.model import LogRecord, MetricPoint, Span
from otelbridge.settings import read_settings
from otelbridge.store.elasticsearch.following import Arriving
from otelbridge.store.protocol import Arrivals
from tests.store.elasticsearch.stored import make_findable, prepare, remove_streams
from tests.web.conftest import Page, start


class ElasticsearchPage(Page):
    """The page; what it stores can be found when it has."""

    def store(self, *records: LogRecord | Span | MetricPoint) -> Arrivals:
        """Store records, and wait until they can be found; returns the ids they are found by."""
        store: Any = self.bridge.store
        make_findable(store)
        arriving = Arriving(store._open_server)
        arriving.look()
        super().store(*records)
        make_findable(store)
        return arriving.look() or Arrivals([], [], 0)


@pytest.fixture(scope="session")
def prepared_elasticsearch(elasticsearch_url: str) -> str:
    """The server's address, its templates installed."""
    return prepare(elasticsearch_url)


@pytest.fixture
def open_page(prepared_elasticsearch: str, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens a page with settings of the test's choice."""
    with ExitStack() as stack:
        # Opened again, it is the same store.
        namespace = uuid4().hex

        def open_(**overrides: Any) -> Page:
            settings = read_settings(
                {},
                store=prepared_elasticsearch,
                elasticsearch_namespace=namespace,
                # What the bridge itself keeps stands beside it.
                spool_dir=tmp_path / "spool",
                **overrides,
            )
            stack.callback(remove_streams, settings)
            return start(stack, settings, ElasticsearchPage)

        yield open_


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """A page that asks for no token."""
    return open_page()
