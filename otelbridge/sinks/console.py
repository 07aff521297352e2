"""Writing records to the terminal, or to whatever standard error is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, TextIO

from otelbridge.records.formatter import JsonFormatter
from otelbridge.records.terminal import is_terminal, wants_colour
from otelbridge.records.text import TextFormatter
from otelbridge.sinks.line import record_line

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    # It takes no type argument before Python 3.11.
    _StreamHandler = logging.StreamHandler


class ConsoleHandler(_StreamHandler):
    """Writes readable, coloured text on a terminal, and JSON lines into a pipe or a file.

    Args:
        stream: where to write; standard error by default.
        format: ``text``, ``json``, or ``auto``, which is ``text`` if the stream is a terminal.

    Text is coloured on a terminal, never if the variable ``NO_COLOR`` is set, and in any case if
    ``FORCE_COLOR`` is.

    Raises:
        ValueError: for another format.
    """

    def __init__(
        self, stream: TextIO | None = None, format: Literal["auto", "text", "json"] = "auto"
    ) -> None:
        super().__init__(stream)
        if format not in {"auto", "text", "json"}:
            raise ValueError(f"format is {format!r}; allowed: auto, text, json")
        if format == "text" or (format == "auto" and is_terminal(self.stream)):
            self.formatter = TextFormatter(colour=wants_colour(self.stream))
        else:
            self.formatter = JsonFormatter()

    def format(self, record: logging.LogRecord) -> str:
        """Format the record, with escapes for what the stream's encoding does not have."""
        text = record_line(super().format, record)
        if text.isascii():
            return text
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return text.encode(encoding, "backslashreplace").decode(encoding)
        except LookupError:
            # The stream's own idea of an encoding; writing to it may still work.
            return text
        return text
