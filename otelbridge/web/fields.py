"""The fields of a record as a page shows them: name, text, and what to ask a query for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from otelbridge.schema import (
    ERROR_VARIABLES,
    FINGERPRINT,
    ORIGIN_ATTRIBUTES,
    RECORD_UID,
    TRACEBACK_CLEAN,
    TRACEBACK_MINIMAL,
)
from otelbridge.store.protocol import StoredLog

# Shown by the traceback view, not repeated as plain text.
EXCEPTION_ATTRIBUTES = frozenset(
    {
        "exception.type",
        "exception.message",
        "exception.stacktrace",
        TRACEBACK_CLEAN,
        TRACEBACK_MINIMAL,
        ERROR_VARIABLES,
    }
)

# What names a record or its group, and is no use to look at.
_TELLS_NOTHING = frozenset({RECORD_UID, FINGERPRINT})

# Behind a message there is room for a glance only.
GLANCE_FIELDS = 6
GLANCE_CHARS = 60


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record.

    Attributes:
        value: what a query compares with, ``None`` where no query can name it (lists, objects).
    """

    name: str
    text: str
    value: str | None


def value_text(value: Any) -> str:
    """Write a value as text: JSON for lists and objects, its own text for the rest."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, (int, float)):
        return repr(value)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def fields_of(attributes: Mapping[str, Any]) -> list[Field]:
    """List attributes in the order of their names."""
    return [
        Field(
            name, value_text(value), None if isinstance(value, (list, dict)) else value_text(value)
        )
        for name, value in sorted(attributes.items())
    ]


def glance(attributes: Mapping[str, Any], message: str) -> list[Field]:
    """Choose what to show behind a message: a few short fields that it does not say itself.

    The caller's own keys come first (``user``, ``status``), then the conventions' dotted ones.
    """
    chosen = []
    for name in sorted(attributes, key=lambda name: "." in name):
        if name in ORIGIN_ATTRIBUTES or name in EXCEPTION_ATTRIBUTES or name in _TELLS_NOTHING:
            continue
        value = attributes[name]
        text = (
            orjson.dumps(value).decode() if isinstance(value, (list, dict)) else value_text(value)
        )
        if "." in name and text in message:
            continue
        if len(text) > GLANCE_CHARS:
            text = text[: GLANCE_CHARS - 1] + "…"
        chosen.append(Field(name, text, None))
        if len(chosen) == GLANCE_FIELDS:
            break
    return chosen


def body_text(stored: StoredLog) -> str:
    """The message; a structured body as JSON."""
    return value_text(stored.record.body)
