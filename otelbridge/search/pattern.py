"""Patterns: an unquoted text in which ``*`` stands for any characters.

``\\*`` is a star and ``\\\\`` a backslash; every other character, a backslash before anything else
included, is itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"\\([*\\])|\*")


def pieces(pattern: str) -> list[str]:
    """Split a pattern at its wildcards: ``pay*ent`` is ``["pay", "ent"]``.

    A pattern without a wildcard has one piece, the text it stands for: ``a\\*b`` is ``["a*b"]``.
    """
    found = [""]
    end = 0
    for special in _SPECIAL.finditer(pattern):
        found[-1] += pattern[end : special.start()] + (special[1] or "")
        if special[0] == "*":
            found.append("")
        end = special.end()
    found[-1] += pattern[end:]
    return found


def pattern_of(parts: Sequence[str]) -> str:
    """Join pieces to a pattern: the inverse of :func:`pieces`."""
    return "*".join(part.replace("\\", "\\\\").replace("*", "\\*") for part in parts)


def matches(parts: Sequence[str], text: str) -> bool:
    """Whether the whole text fits the pieces with any characters between them.

    The leftmost place of each piece is as good as any other, so there is nothing to try twice:
    the time is the text's length times the number of pieces at worst.
    """
    if len(parts) == 1:
        return text == parts[0]
    first, last = parts[0], parts[-1]
    if len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    if not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def words(pattern: str) -> list[str]:
    """Split a pattern at white space into patterns of one word each."""
    return pattern.split()
