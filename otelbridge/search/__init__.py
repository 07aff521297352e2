"""The search language: text to tree and back, and help while typing."""

from otelbridge.search.parser import QueryError, parse
from otelbridge.search.query import Query

__all__ = ["Query", "QueryError", "parse"]
