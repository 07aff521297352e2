"""Any Python value as plain JSON data.

What JSON has is kept. What it has not is written as text, never dropped: a class instance as its
``str()``, a date in ISO 8601, bytes as their text, NaN by its name. Whatever is cut or left out
carries a mark that says so, and begins with an ellipsis and a bracket: ``…[``.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import enum
import math
import numbers
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

# As OTELBRIDGE_VALUE_MAX_CHARS has it; see settings.py.
DEFAULT_MAX_CHARS: Final = 512 * 1024

# Protocol Buffers' decoders refuse messages nested deeper than 100 levels, and a level of data
# takes three in OTLP.
MAX_DEPTH: Final = 24

MAX_KEY_CHARS: Final = 1024

CIRCULAR: Final = "…[circular]"
TOO_DEEP: Final = f"…[cut: nested deeper than {MAX_DEPTH} levels]"

# What a number, a brace or a comma counts as, in characters.
_NODE_CHARS = 4

_INT64 = range(-(2**63), 2**63)

# Writing an integer in decimal takes quadratic time; Python can be set to refuse more than 640
# digits.
_MAX_DECIMAL_BITS = 2_000


def json_value(
    value: Any,
    max_chars: int = DEFAULT_MAX_CHARS,
    default: Callable[[Any], Any] | None = None,
) -> Any:
    """Turn any value into plain JSON data; never raises.

    ===================================  ==========================================================
    value                                becomes
    ===================================  ==========================================================
    ``str``, ``int``, ``float``,         itself; lone surrogates as ``\\udc80`` and so on, integers
    ``bool``, ``None``                   beyond 64 bits, ``NaN`` and the infinities as text
    mapping                              object; keys become text (:func:`json_key`)
    ``list``, ``tuple``, ``set``,        array
    ``frozenset``, ``deque``
    dataclass                            object of the fields its author lets ``repr`` show
    ``Enum``                             its value
    ``bytes``, ``bytearray``,            the text, if it is UTF-8; else base64
    ``memoryview``
    ``datetime``, ``date``, ``time``     ISO 8601
    exception                            ``Type: message``
    class                                its qualified name
    anything else                        ``str(value)``, or ``repr(value)`` where that raises
    ===================================  ==========================================================

    Args:
        value: anything.
        max_chars: the longest text the value may take, in characters, all it contains together;
            the rest is cut with a mark that tells the whole length.
        default: asked first about what JSON has no type for; what it returns is written in the
            value's place, unless it raises.

    Returns:
        ``str``, ``int`` (64 bits), ``float`` (finite), ``bool``, ``None``, or lists and
        string-keyed dicts of them, nested no deeper than :data:`MAX_DEPTH`, all text valid UTF-8.
    """
    kind = type(value)
    if kind is str:
        return plain_text(value, max_chars)
    if value is None or kind is bool:
        return value
    if kind is int and value in _INT64:
        return value
    if kind is float:
        return _float(value)
    try:
        return _Writer(max_chars, default).write(value, 0)
    except Exception as error:
        return _unprintable(value, error)


def json_key(key: Any) -> str:
    """Turn a mapping's key, of any type, into text; never raises.

    ``None``, ``True`` and ``False`` become ``null``, ``true`` and ``false``, as in JSON.
    """
    if type(key) is str:
        return plain_text(key, MAX_KEY_CHARS)
    if key is None:
        return "null"
    if key is True or key is False:
        return "true" if key else "false"
    try:
        written = _Writer(MAX_KEY_CHARS).write(key, 0)
        return written if type(written) is str else plain_text(str(written), MAX_KEY_CHARS)
    except Exception as error:
        return _unprintable(key, error)


def plain_text(text: str, max_chars: int) -> str:
    """Cut a text to ``max_chars``, with a mark, and write lone surrogates so that they show."""
    if len(text) <= max_chars and text.isascii():
        return text
    if len(text) > max_chars:
        mark = f"…[cut: {len(text)} characters]"
        text = text[: max(max_chars, 0)]
    else:
        mark = ""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode(errors="backslashreplace").decode()
    return text + mark if mark else text


def text_of(value: Any) -> str:
    """Return ``str(value)``, or ``repr(value)`` where that raises, or a mark where both do."""
    try:
        return str.__str__(str(value))
    except Exception as error:
        try:
            return str.__str__(repr(value))
        except Exception:
            return _unprintable(value, error)


def type_name(kind: type) -> str:
    """Name a type as a reader would import it; built-in types without their module."""
    try:
        module, name = kind.__module__, kind.__qualname__
        return name if module == "builtins" else f"{module}.{name}"
    except Exception:
        return type.__repr__(kind)


def free_key(name: str, taken: Mapping[str, Any], repeats: dict[str, int]) -> str:
    """Return ``name``, or ``name#2``, ``name#3`` and so on where it is taken.

    Args:
        name: the key wanted.
        taken: the object the key is for.
        repeats: the numbers given so far, one dict for each object; keeps this linear.
    """
    free, number = name, repeats.get(name, 1)
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    if number > 1:
        repeats[name] = number
    return free


def _unprintable(value: Any, error: Exception) -> str:
    name = plain_text(type_name(type(value)), MAX_KEY_CHARS)
    return f"…[unprintable {name}: {type(error).__name__}]"


def _shown_fields(value: Any) -> list[tuple[str, Any]]:
    """List a dataclass instance's fields, but those with ``repr=False``, which may be secret."""
    shown = []
    for spec in dataclasses.fields(value):
        if spec.repr:
            try:
                shown.append((spec.name, getattr(value, spec.name)))
            except Exception as error:
                shown.append((spec.name, _unprintable(value, error)))
    return shown


class _Writer:
    """Writes one value; counts what it wrote, and knows the containers it is inside of."""

    __slots__ = ("default", "inside", "left")

    def __init__(self, max_chars: int, default: Callable[[Any], Any] | None = None) -> None:
        self.left = max_chars
        self.default = default
        self.inside: set[int] = set()

    def write(self, value: Any, depth: int) -> Any:
        # By type(), not isinstance(): a proxy may claim to be of another class than it is, and
        # asking it may run code of its own.
        kind = type(value)
        if issubclass(kind, str):
            return self.text(value if kind is str else str.__str__(value))
        if kind is int:
            return self.integer(value)
        if value is None or kind is bool:
            return value
        if issubclass(kind, enum.Enum):
            return self.write(value.value, depth + 1) if depth < MAX_DEPTH else TOO_DEEP
        if issubclass(kind, int):
            return self.integer(int.__int__(value))
        if issubclass(kind, float):
            return _float(float.__float__(value))
        if issubclass(kind, dict):
            return self.object(value, dict.items(value), dict.__len__(value), depth)
        if self.default is not None and not issubclass(kind, (list, tuple)):
            replaced = self.replaced(value, self.default)
            if replaced is not value:
                return self.write(replaced, depth + 1) if depth < MAX_DEPTH else TOO_DEEP
        for base in (list, tuple, set, frozenset, deque):
            if issubclass(kind, base):
                return self.array(value, base.__iter__(value), base.__len__(value), depth)
        if issubclass(kind, (bytes, bytearray, memoryview)):
            return self.bytes(bytes(value))
        return self.other(value, kind, depth)

    def other(self, value: Any, kind: type, depth: int) -> Any:
        if issubclass(kind, (datetime.datetime, datetime.date, datetime.time)):
            return self.text(value.isoformat())
        if issubclass(kind, BaseException):
            message = text_of(value)
            return self.text(f"{type_name(kind)}: {message}" if message else type_name(kind))
        if issubclass(kind, type):
            return self.text(type_name(value))
        if dataclasses.is_dataclass(kind):
            shown = _shown_fields(value)
            return self.object(value, shown, len(shown), depth)
        if issubclass(kind, Mapping):
            return self.object(value, value.items(), len(value), depth)
        if issubclass(kind, numbers.Integral):
            return self.integer(int(value))
        if issubclass(kind, numbers.Real) and not issubclass(kind, numbers.Rational):
            return _float(float(value))
        return self.text(text_of(value))

    @staticmethod
    def replaced(value: Any, default: Callable[[Any], Any]) -> Any:
        try:
            return default(value)
        except Exception:
            # As with any encoder's default function: it raises for what is not its concern.
            return value

    def text(self, text: str) -> str:
        room = max(self.left, 0)
        self.left -= len(text)
        return plain_text(text, room)

    def integer(self, number: int) -> int | str:
        if number in _INT64:
            return number
        return self.text(str(number) if number.bit_length() <= _MAX_DECIMAL_BITS else hex(number))

    def bytes(self, data: bytes) -> str:
        try:
            return self.text(data.decode())
        except UnicodeDecodeError:
            # No more is encoded than is kept; the mark tells the number of bytes.
            keep = max(self.left, 0) // 4 * 3
            text = self.text(base64.b64encode(data[:keep]).decode())
            return text if len(data) <= keep else f"{text}…[cut: {len(data)} bytes]"

    def array(self, value: Any, items: Iterable[Any], size: int, depth: int) -> Any:
        if id(value) in self.inside:
            return CIRCULAR
        if depth >= MAX_DEPTH:
            return TOO_DEEP
        taken = self.affordable(items)
        self.inside.add(id(value))
        written = []
        for item in taken:
            if self.left <= 0:
                break
            written.append(self.item(item, depth + 1))
        self.inside.discard(id(value))
        if len(written) < size:
            written.append(f"…[cut: {size} items]")
        return written

    def object(
        self, value: Any, items: Iterable[tuple[Any, Any]], size: int, depth: int
    ) -> dict[str, Any] | str:
        if id(value) in self.inside:
            return CIRCULAR
        if depth >= MAX_DEPTH:
            return TOO_DEEP
        taken = self.affordable(items)
        self.inside.add(id(value))
        written: dict[str, Any] = {}
        repeats: dict[str, int] = {}
        for key, item in taken:
            if self.left <= 0:
                break
            name = free_key(json_key(key), written, repeats)
            self.left -= len(name)
            written[name] = self.item(item, depth + 1)
        self.inside.discard(id(value))
        if len(written) < size:
            written[free_key("…", written, repeats)] = f"…[cut: {size} items]"
        return written

    def item(self, value: Any, depth: int) -> Any:
        """Write what a container holds; what raises takes none of its neighbours with it."""
        self.left -= _NODE_CHARS
        try:
            return self.write(value, depth)
        except Exception as error:
            return _unprintable(value, error)

    def affordable(self, items: Iterable[Any]) -> list[Any]:
        """Take at most the items there is room for, before another thread changes them."""
        return list(islice(items, max(self.left, 0) // _NODE_CHARS + 1))


def _float(number: float) -> float | str:
    if math.isfinite(number):
        return number
    # The names OTLP's JSON mapping gives them.
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"
