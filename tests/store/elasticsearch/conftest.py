"""A real server with the templates in it, and stores of their own namespaces over it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from otelbridge.elasticsearch.client import make_client
from otelbridge.elasticsearch.install import install_templates
from otelbridge.elasticsearch.templates import TemplateOptions
from otelbridge.settings import read_settings
from tests.store.elasticsearch.stored import OpenStore, opened

# What the test bed lacks of a distribution.
WITHOUT = ("histogram", "aggregate_metric_double")


@pytest.fixture(scope="session")
def prepared_elasticsearch(elasticsearch_url: str) -> str:
    """The server's address, its templates installed."""
    client = make_client(read_settings({}), url=elasticsearch_url)
    options = TemplateOptions(retention=86400.0, without=WITHOUT)
    for _ in install_templates(client, elasticsearch_url, options):
        pass
    client.close()
    return elasticsearch_url


@pytest.fixture
def store(prepared_elasticsearch: str) -> Iterator[OpenStore]:
    """An empty store."""
    with opened(prepared_elasticsearch, uuid.uuid4().hex) as store:
        yield store
