"""Where in a file of rules something is wrong, for a person who has it open in an editor."""

from __future__ import annotations

import re
from pathlib import Path


def place_of_syntax_error(path: Path, said: str) -> str:
    """Write what the TOML reader said as one line that begins with file and line."""
    found = re.search(r" \(at line (\d+), column \d+\)$", said)
    if found is None:
        return f"{path}: {said}"
    return f"{path}:{found[1]}: {said[: found.start()]}"


def line_of(text: str, table: str | int | None, key: str = "") -> int | None:
    """Find the line of a key, or of its table where the key has no line of its own.

    Args:
        text: the file.
        table: a destination's name, or an alarm's number from 0.

    Returns:
        The line, from 1; ``None`` where the table is not written as a table.
    """
    if table is None:
        return None
    headers = re.compile(
        r"\[\[\s*alarms\s*\]\]"
        if isinstance(table, int)
        else rf"\[\s*destinations\s*\.\s*[\"']?{re.escape(table)}[\"']?\s*\]"
    )
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if headers.match(line.strip())]
    place = table if isinstance(table, int) else 0
    if place >= len(starts):
        return None
    start = starts[place]
    for number in range(start + 1, len(lines)):
        line = lines[number].strip()
        if line.startswith("["):
            break
        if key and re.match(rf"[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number + 1
    return start + 1
