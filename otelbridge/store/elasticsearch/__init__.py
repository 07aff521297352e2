"""The store over an Elasticsearch cluster."""

from otelbridge.store.elasticsearch.store import ElasticsearchStore

__all__ = ["ElasticsearchStore"]
