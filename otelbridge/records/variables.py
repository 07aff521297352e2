"""The local variables of the frames an error passed through, without what must stay secret.

Off unless ``OTELBRIDGE_ERROR_VARIABLES`` is true. No code of the program is called to write a
value: a class of the program's, or of a library's, may query a database to say what it is. Of
those only the class is named; what Python's own types hold is written, cut to a few hundred
characters.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from otelbridge.records.own_code import short_path
from otelbridge.records.redaction import MASK, is_secret, redact_text
from otelbridge.records.tracebacks import Entry
from otelbridge.records.values import plain_text, type_name

MAX_FRAMES: Final = 10
MAX_VARIABLES: Final = 50
MAX_VALUE_CHARS: Final = 300
_MAX_MEMBERS: Final = 20
_MAX_DEPTH: Final = 3


def local_variables(found: list[Entry]) -> list[dict[str, Any]]:
    """Describe the variables of the last own frames.

    Args:
        found: a traceback.

    Returns:
        For each of at most ten frames ``{"frame": "shop/orders.py:12 in pay", "variables":
        {name: text}}``, the one that raised last.
    """
    own = [entry for entry in found if entry.own] or found[-1:]
    return [_frame(entry) for entry in own[-MAX_FRAMES:]]


def _frame(entry: Entry) -> dict[str, Any]:
    code = entry.frame.f_code
    variables: dict[str, str] = {}
    for name, value in islice(_locals(entry).items(), MAX_VARIABLES):
        if name.startswith("__") and name.endswith("__"):
            continue
        variables[name] = MASK if is_secret(name) else written(value)
    place = f"{short_path(code.co_filename)}:{entry.line} in {code.co_name}"
    return {"frame": place, "variables": variables}


def _locals(entry: Entry) -> Mapping[str, Any]:
    try:
        found = entry.frame.f_locals
        if entry.frame.f_globals is not found:
            return dict(found)
        # A module's own frame: its imports and functions say nothing.
        return {
            name: value
            for name, value in tuple(found.items())
            if not issubclass(type(value), type(sys) | type) and not callable(value)
        }
    except Exception:
        return {}


def written(value: Any) -> str:
    """Write a value in at most a few hundred characters; never raises, calls no foreign code."""
    try:
        text = _written(value, 0)
    except Exception as error:
        return f"…[{type(error).__name__}]"
    return plain_text(redact_text(text), MAX_VALUE_CHARS)


def _written(value: Any, depth: int) -> str:
    kind = type(value)
    if kind is str or kind is bytes or kind is bytearray:
        shown = repr(value[: MAX_VALUE_CHARS * 2])
        return f"{shown} …[{len(value)}]" if len(value) > MAX_VALUE_CHARS * 2 else shown
    if kind is int:
        return str(value) if value.bit_length() < 2_000 else f"<int of {value.bit_length()} bits>"
    if value is None or kind in {bool, float, complex}:
        return repr(value)
    if kind in {dict, list, tuple, set, frozenset}:
        if depth >= _MAX_DEPTH:
            return f"<{kind.__name__} of {len(value)}>"
        more = f", …[{len(value)}]" if len(value) > _MAX_MEMBERS else ""
        if kind is dict:
            inner = ", ".join(
                f"{_written(key, depth + 1)}: {_member(key, member, depth)}"
                for key, member in islice(tuple(value.items()), _MAX_MEMBERS)
            )
            return f"{{{inner}{more}}}"
        inner = ", ".join(_written(member, depth + 1) for member in islice(value, _MAX_MEMBERS))
        left, right = {"list": ("[", "]"), "tuple": ("(", ")")}.get(kind.__name__, ("{", "}"))
        return f"{left}{inner}{more}{right}"
    if _is_pythons_own(kind):
        return repr(value)
    return f"<{type_name(kind)}>"


def _member(key: Any, member: Any, depth: int) -> str:
    if type(key) is str and is_secret(key):
        return MASK
    return _written(member, depth + 1)


# What of the standard library says what it is at once, and nothing that it was given.
_TELLING: Final = frozenset({"datetime", "decimal", "fractions", "uuid", "pathlib", "ipaddress"})


def _is_pythons_own(kind: type) -> bool:
    module = kind.__module__
    return isinstance(module, str) and module.partition(".")[0] in _TELLING
