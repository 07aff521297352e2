"""What makes two errors the same error."""

from __future__ import annotations

import hashlib
import os
from typing import Final

from otelbridge.records.own_code import short_path
from otelbridge.records.tracebacks import Entry, is_group, members
from otelbridge.records.values import type_name

# Before Python 3.12 a comprehension has a frame of its own.
_COMPREHENSIONS: Final = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})

_MAX_MEMBERS: Final = 1_000
_HEX_DIGITS: Final = 16


def fingerprint(exception: BaseException, found: list[Entry], origin: str = "") -> str:
    """Identify an error by its type and the program's own functions it passed through.

    Line numbers, messages and values do not count, nor where the program is installed, nor how
    deep a recursion went: the same error has the same fingerprint on every host, in every release
    that has not moved it to another function. A group counts with the types of its members.

    Args:
        exception: what was raised.
        found: its traceback.
        origin: tells errors apart that were never raised, such as the place that logged them.

    Returns:
        16 hexadecimal digits.
    """
    own = [entry for entry in found if entry.own] or found[-1:]
    parts = [type_name(type(exception))]
    if is_group(exception):
        parts += sorted(_member_types(exception))
    # A dict keeps the order, and each function once.
    functions = {entry.frame.f_code: entry for entry in reversed(own)}
    parts += dict.fromkeys(
        place for entry in reversed(functions.values()) if (place := _place(entry))
    )
    if not own:
        parts.append(origin)
    text = "\n".join(parts).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()[:_HEX_DIGITS]


def _place(entry: Entry) -> str:
    code = entry.frame.f_code
    if code.co_name in _COMPREHENSIONS:
        return ""
    module = entry.frame.f_globals.get("__name__")
    if not isinstance(module, str) or module in {"__main__", "__mp_main__"}:
        module = os.path.basename(short_path(code.co_filename))  # noqa: PTH119
    return f"{module}:{code.co_name}"


def _member_types(group: BaseException) -> set[str]:
    found: set[str] = set()
    waiting = [group]
    for _ in range(_MAX_MEMBERS):
        if not waiting:
            break
        each = waiting.pop()
        if is_group(each):
            waiting += members(each)
        else:
            found.add(type_name(type(each)))
    return found
