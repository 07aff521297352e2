"""Tracebacks in the terminal, with the program's own lines told from the others.

``myline`` prints what Python prints, the program's own frames highlighted; ``clean`` prints only
those. To standard error, like Python, and nothing but the traceback: what the program prints is
left alone. There is colour on a terminal, unless ``NO_COLOR`` is set; never in a pipe, unless
``FORCE_COLOR`` is.
"""

from __future__ import annotations

import re
import sys
import threading
from types import TracebackType
from typing import Any, Final

from otelbridge.records.own_code import own_code
from otelbridge.records.terminal import wants_colour
from otelbridge.records.tracebacks import Kind, Piece, cut_middle, pieces

_COLOURS: Final = {
    "red": 31,
    "green": 32,
    "yellow": 33,
    "blue": 34,
    "magenta": 35,
    "cyan": 36,
    "white": 37,
}
_RESET: Final = "\x1b[0m"
_DIM: Final = "\x1b[2m"
_BOLD: Final = "\x1b[1m"

_MAX_CHARS: Final = 1_000_000

# Written as they are, these could move the cursor, retitle the window or hide text.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Backlight:
    """Prints tracebacks in place of Python.

    Args:
        form: ``myline`` or ``clean``.
        colour: the colour of own lines, by name.
    """

    def __init__(self, form: str, colour: str) -> None:
        self._only_own = form == "clean"
        self._styles: dict[Kind, str] = {
            "own": f"\x1b[1;{_COLOURS[colour]}m",
            "library": _DIM,
            "error": _BOLD,
        }

    def print(
        self, exception: BaseException, frames: TracebackType | None, header: str = ""
    ) -> bool:
        """Print a traceback to standard error.

        Returns:
            Whether it was printed; if not, nothing was.
        """
        stream = sys.stderr
        if stream is None:
            return False
        try:
            found = list(pieces(exception, frames, own_code(), only_own=self._only_own))
            text = header + self._text(found, wants_colour(stream))
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except Exception:
            # Python prints it then.
            return False
        return True

    def print_thread(self, given: Any) -> bool:
        """Print what ended a thread, as ``threading.excepthook`` does; same result as ``print``."""
        if given.exc_type is SystemExit:
            return True
        if given.exc_value is None:
            return False
        thread = given.thread
        name = threading.get_ident() if thread is None else thread.name
        return self.print(given.exc_value, given.exc_traceback, f"Exception in thread {name}:\n")

    def _text(self, found: list[Piece], colour: bool) -> str:
        if not colour:
            return cut_middle("".join(piece.text for piece in found), _MAX_CHARS)
        return "".join(
            self._painted(cut_middle(piece.text, _MAX_CHARS), self._styles.get(piece.kind, ""))
            for piece in found
        )

    def _painted(self, text: str, style: str) -> str:
        text = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
        if not style:
            return text
        body = text[:-1] if text.endswith("\n") else text
        return f"{style}{body}{_RESET}" + text[len(body) :]
