"""The search language: text to tree and back, and help while typing."""

from otelbridge.search.completion import Completion, complete
from otelbridge.search.parser import QueryError, parse
from otelbridge.search.printer import exclude, only, to_text
from otelbridge.search.query import Query

__all__ = ["Completion", "Query", "QueryError", "complete", "exclude", "only", "parse", "to_text"]
