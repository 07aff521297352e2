"""An exception's traceback as text, in three forms.

``full``
    What Python prints, with causes, contexts, groups and notes.
``clean``
    The same with the program's own frames only. An exception without any keeps the frame that
    raised it.
``minimal``
    One line: ``shop/orders.py:12 in pay - ValueError: no such order``, of the exception that was
    raised last and its last own frame.

All work on the exception and its frames, never on text. Every frame and every exception of a chain
is looked at once, and what is written is bounded, so that neither deep recursion nor an endless
chain costs much.
"""

from __future__ import annotations

import builtins
import sys
import traceback
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from otelbridge.records.own_code import OwnCode, own_code, short_path
from otelbridge.records.values import DEFAULT_MAX_CHARS, plain_text, text_of

Form: TypeAlias = Literal["full", "clean", "minimal"]
Kind: TypeAlias = Literal["text", "own", "library", "error"]

# Up to these Python writes the traceback itself, in full; beyond them it is written here.
_MAX_WHOLE_FRAMES: Final = 2_000
_MAX_WHOLE_EXCEPTIONS: Final = 100

# Of more frames than this in one exception the middle is left out, of more exceptions in a chain
# too. The limits of groups are Python's own.
_MAX_FRAMES: Final = 200
_MAX_CHAIN: Final = 50
_MAX_GROUP_WIDTH: Final = 15
_MAX_GROUP_DEPTH: Final = 10
# As Python has it: the same line this often in a row, and the rest are counted.
_MAX_REPEATED: Final = 3

_MINIMAL_MESSAGE_CHARS: Final = 500

_CAUSE: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"


class Entry(NamedTuple):
    """One frame of a traceback, where it stood when the exception passed, and whose it is."""

    frame: FrameType
    line: int
    instruction: int
    own: bool


class Piece(NamedTuple):
    """A part of a traceback's text: one or more whole lines of one kind."""

    text: str
    kind: Kind


def format_traceback(
    exception: BaseException,
    form: Form = "full",
    *,
    frames: TracebackType | None = None,
    max_chars: int = DEFAULT_MAX_CHARS,
    own: OwnCode | None = None,
) -> str:
    """Write an exception; never raises, in time linear in the text's length.

    Args:
        exception: what was raised.
        form: ``full``, ``clean`` or ``minimal``.
        frames: its traceback; the exception's own by default.
        max_chars: the longest text; of a longer one the middle is left out.
        own: tells the program's own frames; by ``OTELBRIDGE_OWN_CODE`` by default.

    Returns:
        The text, without a line's end at its end.
    """
    frames = _traceback_of(exception) if frames is None else frames
    own = own_code() if own is None else own
    if form == "minimal":
        return minimal_line(exception, entries(frames, own))
    if form == "full" and _may_be_written_whole(exception, frames):
        try:
            lines = traceback.format_exception(type(exception), exception, frames)
            return cut_middle("".join(lines).rstrip("\n"), max_chars)
        except Exception as error:
            # An exception class may have attributes of its own that raise when they are read.
            mark = f"\n…[its causes could not be written: {type(error).__name__}]"
            return cut_middle(_frames_and_message(exception, frames, own) + mark, max_chars)
    written = "".join(
        piece.text for piece in pieces(exception, frames, own, only_own=form == "clean")
    )
    return cut_middle(written.rstrip("\n"), max_chars)


def entries(frames: TracebackType | None, own: OwnCode) -> list[Entry]:
    """List a traceback's frames, the one that raised last."""
    found = []
    while frames is not None:
        frame = frames.tb_frame
        found.append(Entry(frame, frames.tb_lineno or 0, frames.tb_lasti, own.is_own(frame)))
        frames = frames.tb_next
    return found


def telling_entry(found: list[Entry]) -> Entry | None:
    """Choose the frame that says most of where an error is: the last own one, else the last."""
    return next((entry for entry in reversed(found) if entry.own), found[-1] if found else None)


def minimal_line(exception: BaseException, found: list[Entry]) -> str:
    """Write an exception in one line."""
    message = " ".join(text_of(exception)[: 4 * _MINIMAL_MESSAGE_CHARS].split())
    if len(message) > _MINIMAL_MESSAGE_CHARS:
        message = message[: _MINIMAL_MESSAGE_CHARS - 1] + "…"
    what = _printed_name(exception) + (f": {message}" if message else "")
    entry = telling_entry(found)
    if entry is None:
        return what
    code = entry.frame.f_code
    return f"{short_path(code.co_filename)}:{entry.line} in {code.co_name} - {what}"


def cut_middle(text: str, max_chars: int) -> str:
    """Cut a text to ``max_chars`` by leaving out its middle, with a mark in its place.

    Of a traceback the first lines say where the call came from and the last ones what happened.
    """
    if len(text) > max_chars:
        head = max(max_chars, 0) // 2
        tail = max(max_chars, 0) - head
        text = f"{text[:head]}\n…[cut: {len(text)} characters]…\n{text[len(text) - tail :]}"
    return plain_text(text, len(text))


def is_group(exception: BaseException) -> bool:
    """Tell whether an exception is a group, Python's own or the ``exceptiongroup`` package's."""
    kind = getattr(builtins, "BaseExceptionGroup", None)
    if kind is None:
        kind = getattr(sys.modules.get("exceptiongroup"), "BaseExceptionGroup", None)
    return kind is not None and isinstance(exception, kind)


def members(group: BaseException) -> tuple[BaseException, ...]:
    """Return a group's exceptions."""
    found: tuple[BaseException, ...] = getattr(group, "exceptions", ())
    return found


def pieces(
    exception: BaseException, frames: TracebackType | None, own: OwnCode, *, only_own: bool
) -> Iterator[Piece]:
    """Write an exception piece by piece, as Python does.

    Args:
        exception: what was raised.
        frames: its traceback.
        own: tells the program's own frames.
        only_own: leave out the others, unless there are no own ones.
    """
    yield from _Writer(own, only_own).chain(exception, frames, 0)


class _Writer:
    """Writes one exception and all that belongs to it."""

    def __init__(self, own: OwnCode, only_own: bool) -> None:
        self._own, self._only_own = own, only_own
        self._seen: set[int] = set()

    def chain(
        self, exception: BaseException, frames: TracebackType | None, depth: int
    ) -> Iterator[Piece]:
        chain = self._linked(exception)
        left_out = range(0)
        if len(chain) > _MAX_CHAIN:
            left_out = range(_MAX_CHAIN // 2, len(chain) - _MAX_CHAIN // 2)
        margin = _margin(depth)
        for index in reversed(range(len(chain))):
            if index in left_out:
                if index == left_out.start:
                    mark = f"\n…[cut: {len(left_out)} exceptions]\n\n"
                    yield Piece(_indented(mark, margin), "text")
                continue
            link, each = chain[index]
            yield from self._one(each, frames if index == 0 else _traceback_of(each), depth)
            if index:
                yield Piece(_indented(link, margin), "text")

    def _linked(self, exception: BaseException) -> list[tuple[str, BaseException]]:
        """List an exception, what it came from, and so on, each with how the next came of it."""
        chain = [("", exception)]
        self._seen.add(id(exception))
        while True:
            before, link = _cause(chain[-1][1])
            if before is None or id(before) in self._seen:
                return chain
            self._seen.add(id(before))
            chain.append((link, before))

    def _one(
        self, exception: BaseException, frames: TracebackType | None, depth: int
    ) -> Iterator[Piece]:
        grouped = is_group(exception)
        if grouped:
            outermost, depth = depth == 0, max(depth, 1)
            header = "Exception Group Traceback (most recent call last):\n"
            margin = _margin(depth)
            mark = f"{' ' * 2 * depth}+ " if outermost else margin
        else:
            header = "Traceback (most recent call last):\n"
            mark = margin = _margin(depth)
        found = entries(frames, self._own)
        if self._only_own:
            kept = [entry for entry in found if entry.own]
            found = kept or found[-1:]
        if found:
            yield Piece(mark + header, "text")
            for piece in _frame_pieces(found):
                yield Piece(_indented(piece.text, margin), piece.kind)
        yield Piece(_indented(_message(exception, found), margin), "error")
        if grouped:
            yield from self._members(exception, depth)

    def _members(self, group: BaseException, depth: int) -> Iterator[Piece]:
        if depth >= _MAX_GROUP_DEPTH:
            yield Piece(f"{_margin(depth)}... (max_group_depth is {_MAX_GROUP_DEPTH})\n", "text")
            return
        inner = members(group)
        for number, member in enumerate(inner[:_MAX_GROUP_WIDTH], 1):
            yield Piece(_rule(depth, str(number), first=number == 1), "text")
            yield from self.chain(member, _traceback_of(member), depth + 1)
        more = len(inner) - _MAX_GROUP_WIDTH
        if more > 0:
            yield Piece(_rule(depth, "..."), "text")
            plural = "s" if more > 1 else ""
            yield Piece(f"{_margin(depth + 1)}and {more} more exception{plural}\n", "text")
        last = inner[-1] if inner and more <= 0 else None
        if last is None or not is_group(last):
            yield Piece(f"{' ' * 2 * (depth + 1)}+{'-' * 36}\n", "text")


def _rule(depth: int, title: str, *, first: bool = False) -> str:
    return f"{' ' * 2 * depth}{'+-' if first else '  '}+{'-' * 16} {title} {'-' * 16}\n"


def _margin(depth: int) -> str:
    return f"{' ' * 2 * depth}| " if depth else ""


def _indented(text: str, margin: str) -> str:
    if not margin:
        return text
    return "".join(margin + line for line in text.splitlines(keepends=True))


def _frame_pieces(found: list[Entry]) -> Iterator[Piece]:
    """Write frames; of too many the middle is left out, and repeated lines are counted."""
    if len(found) <= _MAX_FRAMES:
        yield from _repeating(found)
        return
    half = _MAX_FRAMES // 2
    yield from _repeating(found[:half])
    yield Piece(f"  …[cut: {len(found) - 2 * half} frames]\n", "text")
    yield from _repeating(found[-half:])


def _repeating(found: list[Entry]) -> Iterator[Piece]:
    last: tuple[str, int, str] | None = None
    times = 0
    for entry, summary in zip(found, _summaries(found), strict=True):
        place = (summary.filename, entry.line, summary.name)
        if place != last:
            yield from _repeated(times)
            last, times = place, 0
        times += 1
        if times <= _MAX_REPEATED:
            [text] = traceback.StackSummary.from_list([summary]).format()
            yield Piece(text, "own" if entry.own else "library")
    yield from _repeated(times)


def _repeated(times: int) -> Iterator[Piece]:
    more = times - _MAX_REPEATED
    if more > 0:
        yield Piece(f"  [Previous line repeated {more} more time{'s' * (more > 1)}]\n", "text")


def _summaries(found: Iterable[Entry]) -> traceback.StackSummary:
    """Describe frames as Python's ``traceback`` does, with source lines and positions in them."""
    found = list(found)
    if not all(map(_is_real, found)):
        # Stand-ins, as Celery has them for what happened in another process.
        codes = [(entry.frame.f_code, entry.line) for entry in found]
        return traceback.StackSummary.from_list(
            [(code.co_filename, line, code.co_name, None) for code, line in codes]
        )
    chain: TracebackType | None = None
    for entry in reversed(found):
        chain = TracebackType(chain, entry.frame, entry.instruction, entry.line)
    return traceback.extract_tb(chain)


def _is_real(entry: Entry) -> bool:
    return type(entry.frame) is FrameType  # isinstance() believes what a stand-in says it is


def _message(exception: BaseException, found: list[Entry]) -> str:
    """Write type, message and notes; for errors of syntax the place too; suggestions as Python."""
    try:
        if not is_group(exception):
            chain = None
            if found and _is_real(found[-1]):
                last = found[-1]
                chain = TracebackType(None, last.frame, last.instruction, last.line)
            # As one of a chain, so that the others are left out: they are written each for itself.
            described: Any = traceback.TracebackException(
                type(exception), exception, chain, limit=0, _seen=set()
            )
            # Python 3.13 asks one of a chain for it, too, and does not make it.
            described.__dict__.setdefault("exceptions", None)
            return "".join(described.format_exception_only())
    except Exception as error:
        return f"{_printed_name(exception)}: {text_of(exception)} …[{type(error).__name__}]\n"
    notes = getattr(exception, "__notes__", None)
    lines = [f"{_printed_name(exception)}: {text_of(exception)}"]
    if isinstance(notes, list | tuple):
        lines += map(text_of, notes)
    return "\n".join(lines) + "\n"


def _printed_name(exception: BaseException) -> str:
    """Name an exception's type as Python prints it."""
    kind = type(exception)
    try:
        module, name = kind.__module__, kind.__qualname__
        return name if module in {"builtins", "__main__"} else f"{module}.{name}"
    except Exception:
        return type.__repr__(kind)


def _cause(exception: BaseException) -> tuple[BaseException | None, str]:
    """Return what an exception came from, and how."""
    try:
        if exception.__cause__ is not None:
            return exception.__cause__, _CAUSE
        if exception.__context__ is not None and not exception.__suppress_context__:
            return exception.__context__, _CONTEXT
    except Exception:
        return None, ""
    return None, ""


def _traceback_of(exception: BaseException) -> TracebackType | None:
    try:
        return exception.__traceback__
    except Exception:
        return None


def _may_be_written_whole(exception: BaseException, frames: TracebackType | None) -> bool:
    """Tell whether an exception, with all that belongs to it, is small enough for Python."""
    waiting: list[tuple[BaseException, TracebackType | None]] = [(exception, frames)]
    seen = {id(exception)}
    counted = 0
    try:
        while waiting:
            each, passed = waiting.pop()
            while passed is not None:
                counted += 1
                passed = passed.tb_next
            related: list[Any] = [each.__cause__, each.__context__]
            if is_group(each):
                inner = members(each)
                if len(inner) > _MAX_WHOLE_EXCEPTIONS:
                    return False
                related += inner
            for other in related:
                if other is not None and id(other) not in seen:
                    seen.add(id(other))
                    waiting.append((other, other.__traceback__))
            if counted > _MAX_WHOLE_FRAMES or len(seen) > _MAX_WHOLE_EXCEPTIONS:
                return False
    except Exception:
        # Attributes that raise: whoever writes the exception deals with them.
        return True
    return True


def _frames_and_message(
    exception: BaseException, frames: TracebackType | None, own: OwnCode
) -> str:
    found = entries(frames, own)
    header = ["Traceback (most recent call last):\n"] if found else []
    written = [piece.text for piece in _frame_pieces(found)]
    return "".join([*header, *written, _message(exception, found)]).rstrip("\n")
