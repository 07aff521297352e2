"""A real server with the templates in it, and stores of their own namespaces over it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.store.elasticsearch.stored import OpenStore, opened, prepare


@pytest.fixture(scope="session")
def prepared_elasticsearch(elasticsearch_url: str) -> str:
    """The server's address, its templates installed."""
    return prepare(elasticsearch_url)


@pytest.fixture
def store(prepared_elasticsearch: str) -> Iterator[OpenStore]:
    """An empty store."""
    with opened(prepared_elasticsearch, uuid.uuid4().hex) as store:
        yield store
