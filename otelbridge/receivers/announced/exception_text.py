"""The exception that a traceback's text is of."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# What Python writes before an exception's line, at the same depth as that.
_HEADER: Final = "Traceback (most recent call last):"
_TYPE: Final = re.compile(r"[A-Za-z_][\w.]*\Z")


class Raised(NamedTuple):
    """An exception's type and message; empty where the text does not say."""

    type: str
    message: str


def raised_by(text: str) -> Raised:
    """Find what was raised last: of ``raise A from B`` that is A, of a group the group itself.

    Every line is looked at once.

    Args:
        text: what ``traceback.format_exception`` writes, or nearly.
    """
    lines = text.splitlines()
    start, depth = _last_header(lines)
    if start is None:
        return Raised("", "")
    at = start + 1
    # Frames, their source and markers stand deeper than the exception itself.
    while at < len(lines) and (_depth(lines[at]) > depth or not lines[at].strip(" |+")):
        at += 1
    if at == len(lines):
        return Raised("", "")
    head, found, message = lines[at][depth:].partition(": ")
    if not found:
        head = head.rstrip().removesuffix(":")
    if not _TYPE.match(head):
        return Raised("", "\n".join([lines[at][depth:], *_rest(lines, at, depth)]))
    return Raised(head, "\n".join([message, *_rest(lines, at, depth)]).strip("\n"))


def _last_header(lines: list[str]) -> tuple[int | None, int]:
    """Find the last header that is of no exception within a group."""
    found: int | None = None
    least = 0
    for index, line in enumerate(lines):
        if not line.endswith(_HEADER):
            continue
        margin = line.removesuffix(_HEADER).removesuffix("Exception Group ")
        if margin.strip(" |+"):
            continue
        if found is None or len(margin) <= least:
            found, least = index, len(margin)
    return found, least


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" |"))


def _rest(lines: list[str], at: int, depth: int) -> list[str]:
    """The further lines of a message, up to the exceptions of a group."""
    rest = []
    for line in lines[at + 1 :]:
        if line[depth:].lstrip(" |").startswith("+-"):
            break
        rest.append(line[depth:])
    return rest
