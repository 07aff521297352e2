"""A Python traceback's text, taken apart: own frames, library frames, and what stands between.

Reads what ``traceback.format_exception`` writes, chains and exception groups included. Text that
is not a traceback comes out as text. Every line is looked at once, by patterns that cannot
backtrack, so the time is in proportion to the length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeAlias

_FRAME = re.compile(r'^([ |]*)File "([^"\n]+)", line (\d+)(?:, in (.+))?$')
_HEADER = re.compile(r"^[ |+]*(?:Exception Group )?Traceback \(most recent call last\):$")

# Where a path says that the code is installed, not the project's own. The interpreter's own
# library is ``lib/python3.12/``: a project kept in a folder such as ``python3-shop`` is not.
_LIBRARY = re.compile(
    r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib(?:64)?[/\\]python\d+(?:\.\d+)?t?(?:\.zip)?[/\\]"
    r"|^<frozen |^<string>$|[/\\][Pp]ython\d*[/\\][Ll]ib[/\\]"
)


# Characters of a traceback that a page shows: more is read by nobody and slows the browser down.
MOST_SHOWN: Final = 200_000


@dataclass(slots=True)
class Frame:
    """One frame of a traceback.

    Attributes:
        code: the source lines as written, markers (``^^^``) among them.
        raising: the exception was raised here.
        leaving: the last own frame, which called the library that raised.
    """

    kind: ClassVar = "frame"
    file: str
    line: int
    function: str
    code: list[tuple[str, bool]] = field(default_factory=list)
    own: bool = True
    raising: bool = False
    leaving: bool = False


@dataclass(slots=True)
class Text:
    """Lines between frames: the exception itself, notes, how two exceptions relate."""

    kind: ClassVar = "text"
    lines: list[str]


@dataclass(slots=True)
class Folded:
    """Neighbouring library frames, shown as a count."""

    kind: ClassVar = "folded"
    frames: list[Frame]


Part: TypeAlias = "Frame | Text | Folded"


def is_library(path: str) -> bool:
    """Tell installed code from the project's own by its path."""
    return _LIBRARY.search(path) is not None


def shortened(text: str, most: int = MOST_SHOWN) -> str:
    """Leave out the middle of a text that is too long to be shown; line by line at both ends."""
    if len(text) <= most:
        return text
    head = text[: most // 2].rpartition("\n")[0] or text[: most // 2]
    tail = text[-(most // 2) :].partition("\n")[2] or text[-(most // 2) :]
    return f"{head}\n…[left out here: {len(text) - len(head) - len(tail):,} characters]…\n{tail}"


def parse_traceback(text: str, clean: str | None = None) -> list[Part]:
    """Take a traceback apart.

    Args:
        text: an exception's ``exception.stacktrace``.
        clean: the same with the program's own frames only, where the sender told them apart; else
            they are guessed from their paths.

    Returns:
        Its parts in order, without the ``Traceback`` lines that only announce it; one
        :class:`Text` where there is no frame in it. Where every frame is
        a library's, the last one of each traceback counts as own: something must be open.
    """
    is_own = _own_by(clean)
    parts: list[Frame | Text] = []
    current: Frame | None = None
    own: Frame | None = None
    indent = 0
    for line in text.splitlines():
        found = _FRAME.match(line)
        if found is not None:
            current = Frame(found[2], int(found[3]), found[4] or "", own=is_own(found))
            indent = len(found[1])
            parts.append(current)
            own = current if current.own else own
            continue
        # Source and marker lines stand deeper than their File line.
        if current is not None and _depth(line) > indent:
            code = line[indent + 2 :]
            current.code.append((code, _is_marker(code) and bool(current.code)))
            continue
        if current is not None and line.strip(" |").startswith("[Previous line repeated"):
            current.code.append((line.strip(" |"), False))
            continue
        if _HEADER.match(line):
            current, own = None, None
            continue
        if current is not None:
            current.raising = True
            if own is not None and not current.own:
                own.leaving = True
            current, own = None, None
        if not line.strip(" |"):
            continue
        if parts and isinstance(parts[-1], Text):
            parts[-1].lines.append(line)
        else:
            parts.append(Text([line]))
    if current is not None:
        current.raising = True
        if own is not None and not current.own:
            own.leaving = True
    if not any(isinstance(part, Frame) and part.own for part in parts):
        for part in parts:
            if isinstance(part, Frame) and part.raising:
                part.own = True
    return _fold(parts)


def own_stretches(text: str, clean: str | None = None) -> list[tuple[str, bool]]:
    """Cut a traceback's text where own frames begin and end; whether each piece is one of them.

    Args:
        clean: as for :func:`parse_traceback`.
    """
    is_own = _own_by(clean)
    stretches: list[tuple[list[str], bool]] = []
    own, indent = False, 0
    for line in text.splitlines(keepends=True):
        found = _FRAME.match(line)
        if found is not None:
            own, indent = is_own(found), len(found[1])
        elif _depth(line) <= indent:
            own = False
        if not stretches or stretches[-1][1] != own:
            stretches.append(([], own))
        stretches[-1][0].append(line)
    return [("".join(lines), own) for lines, own in stretches]


def _own_by(clean: str | None) -> Callable[[re.Match[str]], bool]:
    """Tell own frames from others by the short form, or where there is none by their paths."""
    if clean is None:
        return lambda frame: not is_library(frame[2])
    frames = (_FRAME.match(line) for line in clean.splitlines())
    known = {frame.group(2, 3, 4) for frame in frames if frame is not None}
    return lambda frame: frame.group(2, 3, 4) in known


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" |"))


def _is_marker(code: str) -> bool:
    stripped = code.strip()
    return bool(stripped) and not stripped.strip("~^")


def _fold(parts: list[Frame | Text]) -> list[Part]:
    folded: list[Part] = []
    for part in parts:
        if isinstance(part, Frame) and not part.own:
            if folded and isinstance(folded[-1], Folded):
                folded[-1].frames.append(part)
            else:
                folded.append(Folded([part]))
        else:
            folded.append(part)
    return folded
