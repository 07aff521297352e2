"""Puts what was measured into a document, between its marks."""

from __future__ import annotations

from pathlib import Path

from benchmarks.sink_process import ROOT

PERFORMANCE = ROOT / "docs" / "performance.md"


def put_between(text: str, name: str, content: str) -> str:
    """Return a document with something else between the two marks of a name.

    Raises:
        ValueError: it has no such marks, or not one after the other.
    """
    begins, ends = f"<!-- {name}: generated -->\n", f"<!-- {name}: ends -->\n"
    before, found, rest = text.partition(begins)
    _, closed, after = rest.partition(ends)
    if not found or not closed:
        raise ValueError(f"no marks of {name!r}")
    return f"{before}{begins}\n{content.strip()}\n\n{ends}{after}"


def put_into(path: Path, name: str, content: str) -> None:
    """Do so in a file."""
    path.write_text(put_between(path.read_text(), name, content))
