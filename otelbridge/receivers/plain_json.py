"""Reading one JSON object that anybody may have written."""

from __future__ import annotations

import json
from typing import Any

import orjson

from otelbridge.receivers.otlp_records import CUT, MAX_DEPTH

_INTEGER_END = 2**63


def parse_json(data: bytes) -> Any:
    """Parse JSON, also as Python's own encoder writes it.

    ``NaN`` and the infinities become their names, lone surrogates become U+FFFD, integers beyond
    64 bits become text, and what is nested too deeply is cut with a mark.

    Args:
        data: valid UTF-8.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            return _plain(json.loads(data, parse_constant=str), 0)
        except RecursionError:
            raise ValueError("nested too deeply") from None
    # Only brackets make depth, so most lines need not be walked.
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        return _plain(value, 0)
    return value


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value)
    if type(value) is int and not -_INTEGER_END <= value < _INTEGER_END:
        return str(value)
    if isinstance(value, (dict, list)) and depth > MAX_DEPTH:
        return CUT
    if isinstance(value, dict):
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return value


def _text(value: str) -> str:
    # Pairs of surrogates become their character, single ones the replacement mark.
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
