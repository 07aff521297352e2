"""The fields of OTLP/JSON: protobuf's JSON mapping with OTLP's own changes.

64-bit integers are strings or numbers, bytes are base64, ids are hexadecimal in any case, enums are
numbers (names are understood too), ``null`` and what is missing are the default, unknown fields are
passed over. See the OTLP specification, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, TypeAlias

from otelbridge.model import Attributes, Json, Scope
from otelbridge.receivers.otlp_records import CUT, MAX_DEPTH, NOT_HEX, finite

Message: TypeAlias = "dict[str, Any]"

_NUMBERS_BY_NAME = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_INTEGER = re.compile(r"-?[0-9]{1,20}(?:\.0{1,20})?")


class FieldError(ValueError):
    """A field does not hold what the protocol says; its text is one sentence for the sender."""


def message(value: Any, name: str) -> Message:
    """Read a message field."""
    if type(value) is dict:
        return value
    if value is None:
        return {}
    raise FieldError(f"{name} is not an object")


def messages(value: Any, name: str) -> list[Message]:
    """Read a repeated message field."""
    if value is None:
        return []
    if type(value) is not list:
        raise FieldError(f"{name} is not a list")
    for item in value:
        if type(item) is not dict:
            raise FieldError(f"{name} holds something that is not an object")
    return value


def items(value: Any, name: str) -> list[Any]:
    """Read a repeated field of single values."""
    if value is None:
        return []
    if type(value) is not list:
        raise FieldError(f"{name} is not a list")
    return value


def text(value: Any, name: str) -> str:
    """Read a string field."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise FieldError(f"{name} is not a string")


def integer(value: Any, name: str, low: int, high: int) -> int:
    """Read an integer field, a number or a string, from ``low`` up to but not ``high``."""
    if type(value) is str and _INTEGER.fullmatch(value):
        value = int(value.partition(".")[0])
    elif type(value) is float and value.is_integer():
        value = int(value)
    elif value is None:
        return 0
    if type(value) is not int:
        raise FieldError(f"{name} is not an integer")
    if not low <= value < high:
        raise FieldError(f"{name} is {value}, out of the field's range")
    return value


def unsigned(value: Any, name: str) -> int:
    """Read a fixed64 or uint64 field."""
    return integer(value, name, 0, 2**64)


def signed(value: Any, name: str) -> int:
    """Read an int64 or sfixed64 field."""
    return integer(value, name, -(2**63), 2**63)


def flags(value: Any) -> int:
    """Read a fixed32 field of flags."""
    return 0 if value is None else integer(value, "flags", 0, 2**32)


def double(value: Any, name: str) -> float:
    """Read a double field: a number, or text such as ``NaN``."""
    kind = type(value)
    if kind is float:
        return float(value)
    if kind is int:
        return float(value)
    if value is None:
        return 0.0
    if kind is str:
        if value in _NUMBERS_BY_NAME:
            return _NUMBERS_BY_NAME[value]
        try:
            return float(value)
        except ValueError:
            pass
    raise FieldError(f"{name} is not a number")


def boolean(value: Any, name: str) -> bool:
    """Read a boolean field."""
    if type(value) is bool:
        return value
    if value is None:
        return False
    raise FieldError(f"{name} is not true or false")


def enum(value: Any, names: Mapping[str, int], name: str) -> int:
    """Read an enum field: a number, or one of ``names``; an unknown name is the default, 0."""
    if value is None:
        return 0
    if type(value) is str and value in names:
        return names[value]
    if type(value) is str and not _INTEGER.fullmatch(value):
        return 0
    return integer(value, name, -(2**31), 2**31)


def identifier(value: Any, name: str) -> bytes:
    """Read a trace or span id; :data:`NOT_HEX` where it is text of another kind."""
    if not value:
        return b""
    try:
        return bytes.fromhex(text(value, name))
    except FieldError:
        raise
    except ValueError:
        return NOT_HEX


def attributes(value: Any, depth: int = 0) -> Attributes:
    """Turn key-value pairs into a dict; of a key that is given twice the last value stays."""
    found: Attributes = {}
    if value is None:
        return found
    for pair in messages(value, "attributes"):
        key = pair.get("key")
        held = pair.get("value")
        if type(key) is not str:
            key = text(key, "key")
        if type(held) is dict and type(string := held.get("stringValue")) is str:
            found[key] = string
        else:
            found[key] = any_value(held, depth)
    return found


def any_value(value: Any, depth: int = 0) -> Json:
    """Turn an ``AnyValue`` into plain JSON data; ``depth`` counts lists and dicts around it."""
    for kind, held in message(value, "value").items():
        if held is None:
            continue
        if kind == "stringValue":
            return text(held, kind)
        if kind == "intValue":
            return signed(held, kind)
        if kind == "boolValue":
            return boolean(held, kind)
        if kind == "doubleValue":
            return finite(double(held, kind))
        if kind == "bytesValue":
            return _base64(held)
        if kind == "arrayValue":
            if depth >= MAX_DEPTH:
                return CUT
            values = messages(message(held, kind).get("values"), "values")
            return [any_value(item, depth + 1) for item in values]
        if kind == "kvlistValue":
            if depth >= MAX_DEPTH:
                return CUT
            return attributes(message(held, kind).get("values"), depth + 1)
    return None


def scope(value: Any) -> Scope:
    """Read an instrumentation scope."""
    read = message(value, "scope")
    return Scope(
        text(read.get("name"), "scope.name"),
        text(read.get("version"), "scope.version"),
        attributes(read.get("attributes")),
    )


def _base64(value: Any) -> str:
    written = text(value, "bytesValue").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return b64encode(b64decode(written + "=" * (-len(written) % 4), validate=True)).decode()
    except ValueError:
        raise FieldError("bytesValue is not base64") from None
