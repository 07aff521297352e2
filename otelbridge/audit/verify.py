"""Finding the first line of an audit trail that was changed, removed, put in or moved."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otelbridge.audit.chain import BEGINNING, Link, digest, is_unchanged, read_link
from otelbridge.sinks.rotation import dated_files

_PROGRESS_LINES: Final = 10_000


@dataclass
class Verification:
    """What a trail was found to be.

    Attributes:
        lines: how many lines fit.
        torn: how many unfinished lines there are, left by processes that were killed.
        head: the last line that fits.
        met: whether the line that was expected has been met.
        broken: the first that does not, as ``file:line: what is wrong``; ``None`` if all fit.
    """

    lines: int = 0
    torn: int = 0
    head: Link = BEGINNING
    met: bool = False
    broken: str | None = None


def trail_files(path: Path) -> list[Path]:
    """List the files of a trail, the oldest first: those of earlier days, then the one at the path.

    Raises:
        FileNotFoundError: there is none.
    """
    files = [*(dated_files(path) if path.parent.is_dir() else []), path]
    found = [file for file in files if file.exists()]
    if not found:
        raise FileNotFoundError(errno.ENOENT, "there is no such trail", str(path))
    return found


def verify(
    files: Iterable[Path],
    key: bytes | None = None,
    after: Link = BEGINNING,
    expect: Link | None = None,
) -> Iterator[Verification]:
    """Check a trail line by line, up to the first that does not fit.

    A trail cannot tell by itself whether its last lines were cut off: compare the head with one
    that was noted down.

    Args:
        files: the trail's, the oldest first.
        key: with which it was written, if it was.
        after: the line before the first one; the trail's beginning by default.
        expect: a head that was noted down.

    Yields:
        The same object again and again as work goes on, and a last time at the end.
    """
    state = Verification(head=after)
    state.met = expect is None or _is_same(after, expect)
    torn: tuple[str, str] | None = None
    for place, raw in _raw_lines(files):
        line = raw.removesuffix(b"\n")
        link = read_link(line)
        if torn is not None and (link is None or link.torn != torn[1]):
            break
        if link is None:
            # It may be what a killed process left: the next line says so then.
            torn = place, digest(line)
            if not raw.endswith(b"\n"):
                # Nobody has written since.
                state.torn, torn = state.torn + 1, None
            continue
        state.torn += torn is not None
        torn = None
        what = _misfit(line, link, state.head, key)
        if what is not None:
            state.broken = f"{place}: {what}"
            break
        state.lines += 1
        state.head = link
        state.met = state.met or (expect is not None and _is_same(link, expect))
        if state.lines % _PROGRESS_LINES == 0:
            yield state
    if torn is not None:
        state.broken = f"{torn[0]}: is not a line of an audit trail"
    yield state


def _raw_lines(files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for path in files:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                yield f"{path}:{number}", raw


def _is_same(link: Link, other: Link) -> bool:
    return (link.sequence, link.hash) == (other.sequence, other.hash)


def _misfit(line: bytes, link: Link, head: Link, key: bytes | None) -> str | None:
    """Say why a line does not follow the one before it; ``None`` if it does."""
    if not is_unchanged(line, link, key):
        hint = " (or the key is another)" if key is not None else ""
        return f"was changed: its hash does not fit what it says{hint}"
    if link.previous == head.hash and link.sequence == head.sequence + 1:
        return None
    missing = link.sequence - head.sequence - 1
    if missing > 0:
        return f"{missing} {'line is' if missing == 1 else 'lines are'} missing before it"
    if missing < 0:
        return f"was put in or moved: it is number {link.sequence}, after {head.sequence}"
    return "the line before it was replaced: it follows another one"
