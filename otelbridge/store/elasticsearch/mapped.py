"""Which fields the data streams have, and how each is indexed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from otelbridge.elasticsearch.templates import ANY_CASE, AS_TEXT, AS_WORDS, METRIC_KIND

_SUBFIELDS: Final = (AS_TEXT, AS_WORDS, ANY_CASE)
_NUMBERS: Final = frozenset(
    {"long", "integer", "short", "byte", "double", "float", "half_float", "unsigned_long"}
)


class MappedFields:
    """The fields of one signal by path; one path may be indexed differently in older indices."""

    def __init__(self, capabilities: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the ``fields`` of an answer to ``_field_caps``."""
        self._types = {path: frozenset(types) for path, types in capabilities.items()}
        self._capabilities = capabilities

    def is_text(self, path: str) -> bool:
        """Whether the field itself is indexed by words."""
        return "text" in self._types.get(path, ())

    def is_number(self, path: str) -> bool:
        return not _NUMBERS.isdisjoint(self._types.get(path, ()))

    def is_keyword(self, path: str) -> bool:
        return "keyword" in self._types.get(path, ())

    def is_known(self, path: str) -> bool:
        return path in self._types

    def under(self, path: str) -> Iterator[str]:
        """Fields that are an object's keys at this path."""
        start = f"{path}."
        for found in self.leaves():
            if found.startswith(start):
                yield found

    def leaves(self) -> Iterator[str]:
        """Every field that is no other one's subfield, and no object."""
        for path, types in self._types.items():
            if "object" in types or "nested" in types or "passthrough" in types:
                continue
            parent, _, name = path.rpartition(".")
            if not (name in _SUBFIELDS and parent in self._types):
                yield path

    def words(self, *prefixes: str) -> list[str]:
        """Fields of words at or under these prefixes, a prefix of a whole name or with ``.``."""
        return [
            path
            for path, types in self._types.items()
            if "text" in types and path.startswith(prefixes)
        ]

    def is_counter(self, path: str) -> bool:
        """Whether the mapping says that a metric counts up."""
        found = self._capabilities.get(path, {}).values()
        return any("counter" in one.get("meta", {}).get(METRIC_KIND, ()) for one in found)
