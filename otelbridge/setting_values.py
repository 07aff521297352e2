"""The values of settings as text: reading them, and writing them as one would type them.

A parser's ``ValueError`` says what is allowed; :func:`otelbridge.settings.read_settings` puts the
variable and the value before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Parser = Callable[[str], T]


def parse_text(text: str) -> str:
    """Take the text as it is."""
    return text


def parse_boolean(text: str) -> bool:
    """Read ``true``/``false`` (also ``1``/``0``, ``yes``/``no``, ``on``/``off``)."""
    lowered = text.strip().lower()
    if lowered in {"true", "1", "yes", "on"}:
        return True
    if lowered in {"false", "0", "no", "off"}:
        return False
    raise ValueError("allowed: true or false")


def parse_integer(minimum: int, maximum: int) -> Parser[int]:
    """Make a parser of whole numbers from ``minimum`` to ``maximum``, both allowed."""

    def parse(text: str) -> int:
        try:
            number = int(text.strip())
        except ValueError:
            number = minimum - 1
        if not minimum <= number <= maximum:
            raise ValueError(f"allowed: a whole number from {minimum} to {maximum}")
        return number

    return parse


def parse_choice(*choices: str) -> Parser[str]:
    """Make a parser that takes one of ``choices``, in any case."""

    def parse(text: str) -> str:
        value = text.strip().lower()
        if value not in choices:
            raise ValueError(f"allowed: {', '.join(choices)}")
        return value

    return parse


def parse_choices(*choices: str) -> Parser[tuple[str, ...]]:
    """Make a parser of a comma list of ``choices``; ``none`` is the empty list."""
    one = parse_choice(*choices, "none")

    def parse(text: str) -> tuple[str, ...]:
        try:
            found = [one(part) for part in text.split(",") if part.strip()]
        except ValueError:
            found = []
        if not found or ("none" in found and len(found) > 1):
            raise ValueError(f"allowed: a comma list of {', '.join(choices)}; or none")
        return tuple(dict.fromkeys(name for name in found if name != "none"))

    return parse


def parse_import_paths(text: str) -> tuple[str, ...]:
    """Read a comma list of classes' import paths, or ``none``; none of them is imported."""
    if text.strip().lower() == "none":
        return ()
    found = [one.strip().replace(":", ".") for one in text.split(",") if one.strip()]
    if not all(re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", one) for one in found):
        raise ValueError(
            "allowed: a comma list of import paths, such as package.module.Class; or none"
        )
    return tuple(dict.fromkeys(found))


DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

# 136 years: longer ones overflow what threads and databases take.
_LONGEST = 2.0**32


def parse_duration(text: str) -> float:
    """Read a duration such as ``500ms``, ``5s``, ``15m``, ``3h``, ``7d`` or ``2w``, in seconds."""
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d|w)?\s*", text)
    seconds = float(match[1]) * DURATION_UNITS[match[2] or "s"] if match else _LONGEST
    if seconds >= _LONGEST:
        raise ValueError("allowed: a duration such as 500ms, 5s, 15m, 3h or 7d")
    return seconds


def parse_period(text: str) -> float:
    """Read a duration that is not zero, in seconds."""
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError("allowed: a duration longer than 0, such as 500ms, 5s, 15m, 3h or 7d")
    return seconds


SIZE_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_size(text: str) -> int:
    """Read a size such as ``512MB``, ``5GB`` or ``100000``, in bytes (units of 1024)."""
    match = re.fullmatch(r"\s*([0-9]+)(\.[0-9]+)?\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    # Beyond 19 digits it is beyond 64 bits whatever the unit.
    if match is None or len(match[1]) > 19:
        raise ValueError("allowed: a size such as 100000, 512MB or 5GB")
    unit = SIZE_UNITS[match[3].upper()]
    size = int(match[1]) * unit + int(float(match[2] or 0) * unit)
    if size >= 2**63:
        raise ValueError("allowed: a size such as 100000, 512MB or 5GB, below 8388608TB")
    return size


def parse_address(text: str) -> tuple[str, int]:
    """Read ``host:port``, or ``[address]:port`` for IPv6."""
    match = re.fullmatch(
        r"\s*(?:udp://)?"
        r"(?:\[([0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%[^\s\[\]]+)?)\]|([^:\s\[\]/]+)):([0-9]{1,5})\s*",
        text,
    )
    if match is None or not 0 < int(match[3]) < 65536:
        raise ValueError("allowed: host:port, such as 127.0.0.1:4320 or [::1]:4320")
    return match[1] or match[2], int(match[3])


def parse_url(text: str) -> str:
    """Read a server's address, ``http(s)://host[:port][/path]``, without a user and a password."""
    url = text.strip().rstrip("/")
    if not re.fullmatch(
        r"https?://(?:\[[0-9a-fA-F:.]+\]|[^\s\[\]/:@?#]+)(?::[0-9]{1,5})?(?:/\S*)?", url
    ):
        raise ValueError("allowed: http(s)://host:port, with no user or password in it")
    return url


def parse_store(text: str) -> str:
    """Read a store's URL: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or a server's."""
    if text.startswith(("http://", "https://")):
        return parse_url(text)
    if not text.startswith("sqlite:///") or len(text) <= len("sqlite:///"):
        raise ValueError(
            "allowed: sqlite:///path/to/file.db, or Elasticsearch's http(s)://host:port"
        )
    return text


def parse_folder(text: str) -> Path | None:
    """Read a folder's path, ``~`` for the home folder; ``none`` is no folder at all."""
    if text.strip().lower() == "none":
        return None
    try:
        # Absolute, for the program may move to another folder later.
        return Path(text).expanduser().absolute()
    except (OSError, RuntimeError):
        raise ValueError("allowed: a folder's path, or none") from None


def parse_namespace(text: str) -> str:
    """Read a data stream's namespace, as Elasticsearch allows it."""
    namespace = text.strip()
    if not re.fullmatch(r'[^\s\\/*?"<>|,#:A-Z-]{1,100}', namespace):
        raise ValueError("allowed: up to 100 lower-case letters, digits, _ and .")
    return namespace


def parse_notify(text: str) -> str:
    """Check a list of destinations for messages, and keep it as text.

    A class of the program's own is not imported here: settings are read while the program's
    modules are still being loaded.
    """
    from otelbridge.channels.definition import parse_destinations

    parse_destinations(text, importing=False)
    return text


def in_units(value: float, units: Mapping[str, float], suffix: str = "") -> str:
    """Write a value as a whole number of the largest unit that allows it, if one does."""
    for unit, size in sorted(units.items(), key=lambda item: -item[1]):
        # A week is 7d: what people say, and what the examples show.
        if unit and unit != "w" and value and value % size == 0:
            return f"{value / size:.0f}{unit}{suffix}"
    return ""
