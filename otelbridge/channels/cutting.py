"""Fitting text into a service's limit: counted in the service's unit, cut in the middle.

A traceback's first lines say where it began and its last ones what went wrong, so it is the middle
that can go. Services whose limit is documented in "characters" are counted in UTF-16 code units:
that is what Telegram's entity offsets and every client written in JavaScript count, and it is
never less than the number of code points.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

Measure = Callable[[str], int]

# Characters that XML, JSON parsers or terminals stumble over; tabs and line ends are kept.
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\ufeff]")
# They turn the order of what is read around, and with it what a person believes to read.
_DIRECTION: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")


def utf16_length(text: str) -> int:
    """Count UTF-16 code units: one a character, two beyond the basic plane."""
    return len(text) + sum(1 for character in text if character > "\uffff")


def plain(text: str) -> str:
    """Make text that every service takes: no control characters, no half of a character."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _DIRECTION.sub("\ufffd", _CONTROL.sub("\ufffd", text))


def one_line(text: str) -> str:
    """Put text on one line, for titles and headers."""
    return " ".join(plain(text).split())


def cut_end(text: str, limit: int, measure: Measure = utf16_length) -> str:
    """Keep the beginning, with ``…`` where something is missing."""
    if len(text) <= limit and measure(text) <= limit:
        return text
    if measure("…") > limit:
        return ""
    return text[: _fitting(text, limit - measure("…"), measure)] + "…"


def cut_middle(text: str, limit: int, measure: Measure = utf16_length) -> str:
    """Keep the beginning and the end, with a line between that says how much is missing.

    Args:
        text: what is to fit.
        limit: the most the result may measure.
        measure: what counts; it must not shrink when a character is added.

    Returns:
        The text itself where it fits. Two thirds of what is kept are from the end, where a
        traceback says what went wrong.
    """
    # The length alone is a bound from below: ten megabytes need not be measured to be too long.
    if len(text) <= limit and measure(text) <= limit:
        return text
    mark = f"\n… {len(text):,} characters cut …\n"
    room = limit - measure(mark)
    if room <= 0:
        return cut_end(text, limit, measure)
    head = text[: _fitting(text, room // 3, measure)]
    # The end is measured from the back, by turning what can fit at most around.
    last = text[-room:]
    kept = _fitting(last[::-1], room - measure(head), measure)
    tail = last[len(last) - kept :]
    missing = len(text) - len(head) - len(tail)
    return f"{head}\n… {missing:,} characters cut …\n{tail}"


def cut_bytes(text: str, limit: int) -> bytes:
    """Encode text for a file of at most ``limit`` bytes, cut in the middle where it must be."""
    if len(text) <= limit:
        encoded = text.encode("utf-8", "replace")
        if len(encoded) <= limit:
            return encoded
    return cut_middle(text, limit, lambda part: len(part.encode("utf-8", "replace"))).encode(
        "utf-8", "replace"
    )


def _fitting(text: str, limit: int, measure: Measure) -> int:
    """Count how many of the first characters measure at most ``limit``, by halving."""
    low, high = 0, max(0, min(len(text), limit))
    while low < high:
        middle = (low + high + 1) // 2
        if measure(text[:middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    return low
