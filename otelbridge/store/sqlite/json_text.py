"""Values as JSON text that SQLite's JSON functions and this module both read back unchanged."""

from __future__ import annotations

import json
from typing import Any

import orjson

from otelbridge.model import Json

# Deeper nesting than this is kept as text: SQLite's and orjson's own limits lie above.
MAX_DEPTH = 100

_LARGEST = 2**63


def dumps(value: Json) -> str:
    """Write a value as compact JSON."""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return orjson.dumps(clean(value)).decode()


def dumps_sorted(value: dict[str, Json]) -> str:
    """Write an object with its keys in order, so that equal objects are equal texts."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except (TypeError, ValueError):
        return orjson.dumps(clean(value), option=orjson.OPT_SORT_KEYS).decode()


def loads(text: str) -> Any:
    """Read JSON text that this module wrote."""
    return orjson.loads(text)


def clean_text(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 text can hold."""
    return text.encode("utf-8", "replace").decode()


def clean(value: Json, depth: int = 0) -> Json:
    """Turn what is not quite JSON into JSON: foreign types, huge numbers, lone surrogates.

    Args:
        depth: how deep ``value`` lies in what is being cleaned.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int):
        return int(value) if -_LARGEST <= value < _LARGEST else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, (dict, list, tuple)):
        if depth >= MAX_DEPTH:
            return _as_text(value)
        if isinstance(value, dict):
            return {clean_text(str(k)): clean(v, depth + 1) for k, v in value.items()}
        return [clean(item, depth + 1) for item in value]
    return clean_text(str(value))


def _as_text(value: Any) -> str:
    try:
        return clean_text(json.dumps(value, default=str, ensure_ascii=False))
    except (ValueError, RecursionError):
        return "[nested too deeply]"
