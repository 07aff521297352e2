"""Which error records are the same error, whose they are, and how to ask for them.

Records of otelbridge's own senders carry a fingerprint (:mod:`otelbridge.records.fingerprint`).
Those of others are given one when they arrive, made of what they have: the exception's type and
the text of its traceback. What came to the store by another road and has none is grouped by its
type.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from otelbridge import schema
from otelbridge.model import LogRecord
from otelbridge.search.query import And, Compare, Exists, Match, Not, Query
from otelbridge.traceback_text import is_library

# Attributes that name who was touched. A record may have several.
USER_KEYS: Final = ("user.id", "enduser.id", "user")

_ERROR_LEVEL: Final = Compare("severity_number", ">=", str(schema.SEVERITY_NUMBERS["ERROR"]))
_OF_A_LIFE: Final = Match("log.logger", schema.LIFECYCLE_SCOPE, quoted=True)
# What counts as an error record, wherever errors are counted and not grouped. A process that
# crashed tells so in an event of level CRITICAL, which is no error of its own.
ERROR_RECORDS: Final[Query] = And((_ERROR_LEVEL, Not(_OF_A_LIFE)))
# What has an error's level and is none.
FAILED_ENDS: Final[Query] = And(
    (_ERROR_LEVEL, Match("event_name", schema.PROCESS_END, quoted=True), _OF_A_LIFE)
)

_BY_TYPE: Final = "type:"
_HEX_DIGITS: Final = 16
# Of a longer text the end is read: it says what was raised, and where.
_MOST_CHARS: Final = 2**18
_FRAME: Final = re.compile(r'^([ |]*)File "([^"\n]+)", line \d+, in (.+)$', re.MULTILINE)
_HEADER: Final = re.compile(r"^([ |+]*)(?:Exception Group )?Traceback \(most", re.MULTILINE)
# A frame as Java, JavaScript and .NET write it.
_AT: Final = re.compile(r"^\s+at ([^\n(]+)", re.MULTILINE)
_PLACE: Final = re.compile(r"(.{1,1000}?:\d+ in \S+) - ")
_LONGEST_USER: Final = 256


def identify(records: Iterable[LogRecord]) -> None:
    """Give a fingerprint to each record that tells of an exception and has none."""
    for record in records:
        attributes = record.attributes
        if schema.FINGERPRINT in attributes:
            continue
        kind = attributes.get("exception.type")
        stack = attributes.get("exception.stacktrace")
        if kind or stack:
            attributes[schema.FINGERPRINT] = text_fingerprint(str(kind or ""), str(stack or ""))


def text_fingerprint(kind: str, stack: str) -> str:
    """Identify an error of which only texts are known.

    As with a fingerprint made of frames, line numbers and messages do not count, nor where the
    program is installed: the type does, and the own functions of the traceback that was raised
    last, each once; or the last of all, where none is own.

    Args:
        kind: the exception's type; empty where it is not known.
        stack: the traceback's text.

    Returns:
        16 hexadecimal digits.
    """
    stack = stack[-_MOST_CHARS:]
    frames = [(found[2], found[3]) for found in _last_traceback(stack)]
    own = [frame for frame in frames if not is_library(frame[0])] or frames[-1:]
    # By the base name: where a program is installed must not matter.
    places = [f"{_base_name(file)}:{function}" for file, function in own]
    if not frames:
        places = [found.strip() for found in _AT.findall(stack)[:1]]
    if not kind and stack:
        kind = stack.rstrip().rpartition("\n")[2].partition(":")[0].strip(" |")
    text = "\n".join([kind, *dict.fromkeys(places)]).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()[:_HEX_DIGITS]


def _last_traceback(stack: str) -> list[re.Match[str]]:
    """The frames of the traceback that was raised last; of a group, the group's own."""
    headers = list(_HEADER.finditer(stack))
    start = 0
    if headers:
        outermost = min(_depth(found) for found in headers)
        start = [found for found in headers if _depth(found) == outermost][-1].end()
    frames = list(_FRAME.finditer(stack, start))
    if not frames:
        return []
    outermost = min(_depth(found) for found in frames)
    return [found for found in frames if _depth(found) == outermost]


def _depth(line: re.Match[str]) -> int:
    """How far within a group a line stands; -1 for outside of any, as its own heading is."""
    margin: str = line[1]
    return margin.find("|")


def _base_name(file: str) -> str:
    return os.path.basename(file.replace("\\", "/"))  # noqa: PTH119 - paths of another machine


def group_of(attributes: Mapping[str, Any]) -> str | None:
    """Name the group of a record by its attributes; ``None`` where it is no error."""
    fingerprint = attributes.get(schema.FINGERPRINT)
    if isinstance(fingerprint, str) and fingerprint:
        return fingerprint
    kind = attributes.get("exception.type")
    return f"{_BY_TYPE}{kind}" if isinstance(kind, str) and kind else None


def group_of_type(kind: str) -> str:
    """Name the group of the errors of a type that have no fingerprint."""
    return f"{_BY_TYPE}{kind}"


def group_query(group: str) -> Query:
    """Ask for all records of a group."""
    if group.startswith(_BY_TYPE):
        kind = Match("exception.type", group.removeprefix(_BY_TYPE), quoted=True)
        return And((kind, Not(Exists(schema.FINGERPRINT))))
    return Match(schema.FINGERPRINT, group, quoted=True)


def users_of(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Who was touched by a record, by each name it gives."""
    found: dict[str, None] = {}
    for key in USER_KEYS:
        value = attributes.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            found[str(value)[:_LONGEST_USER]] = None
    return tuple(found)


def place_of(minimal: Any) -> str:
    """The place in a traceback's minimal form, which names it before the error."""
    found = _PLACE.match(minimal) if isinstance(minimal, str) else None
    return found[1] if found else ""
