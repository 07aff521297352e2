"""What a record says of an exception: type, message, traceback, and which error it is."""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple

from otelbridge.records.fingerprint import fingerprint
from otelbridge.records.own_code import own_code
from otelbridge.records.tracebacks import cut_middle, entries, format_traceback, minimal_line
from otelbridge.records.values import DEFAULT_MAX_CHARS, plain_text, text_of, type_name
from otelbridge.records.variables import local_variables
from otelbridge.schema import ERROR_VARIABLES, FINGERPRINT, TRACEBACK_CLEAN, TRACEBACK_MINIMAL

# Where the texts are kept on a LogRecord, so that several sinks write one traceback once.
EXCEPTION_ATTRIBUTE: Final = "_otelbridge_exception"


class ExceptionFields(NamedTuple):
    """What is written of an exception.

    Attributes:
        type: the qualified name, such as ``ValueError`` or ``shop.orders.Declined``; empty where
            only a traceback's text is left of it.
        message: ``str(exception)``.
        stack_trace: the traceback as Python prints it, with causes, contexts, groups and notes.
        fingerprint: the same for every occurrence of one error; empty where only a text is left.
        clean: the traceback with the program's own frames only; empty where it has no others.
        minimal: the error in one line.
        variables: the local variables of its own frames, if they are wanted.
    """

    type: str
    message: str
    stack_trace: str
    fingerprint: str = ""
    clean: str = ""
    minimal: str = ""
    variables: tuple[dict[str, Any], ...] = ()

    def attributes(self) -> dict[str, Any]:
        """Name what is not told by the conventions' own fields, by :mod:`otelbridge.schema`."""
        named = {
            FINGERPRINT: self.fingerprint,
            TRACEBACK_CLEAN: self.clean,
            TRACEBACK_MINIMAL: self.minimal,
            ERROR_VARIABLES: list(self.variables),
        }
        return {name: value for name, value in named.items() if value}


class _Wanted:
    """What this process tells of exceptions beyond the necessary."""

    variables = False


def tell_variables(wanted: bool) -> None:
    """Tell the local variables of errors from now on, or no longer."""
    _Wanted.variables = wanted


def record_exception(
    record: logging.LogRecord, max_chars: int = DEFAULT_MAX_CHARS
) -> ExceptionFields | None:
    """Describe the exception a log record carries.

    Args:
        record: any log record.
        max_chars: the longest text of message and of traceback each.

    Returns:
        ``None`` where the record carries none.
    """
    known = record.__dict__.get(EXCEPTION_ATTRIBUTE)
    if known is None and record.exc_info is None and record.exc_text is None:
        return None
    if known is not None and known[0] == max_chars:
        return ExceptionFields(*known[1:])
    described = exception_fields(record.exc_info, max_chars, f"{record.module}:{record.funcName}")
    if described is None and record.exc_text:
        # A record that came through a queue or a socket has its traceback as text only.
        described = ExceptionFields("", "", cut_middle(text_of(record.exc_text), max_chars))
    if described is not None:
        # A plain tuple, so that a record pickled to another program can be read there.
        record.__dict__[EXCEPTION_ATTRIBUTE] = (max_chars, *described)
    return described


def exception_fields(
    exc_info: Any, max_chars: int = DEFAULT_MAX_CHARS, origin: str = ""
) -> ExceptionFields | None:
    """Describe an exception; never raises, in time linear in the text's length.

    Args:
        exc_info: an exception, or what ``sys.exc_info()`` returns.
        max_chars: the longest text of message and of traceback each.
        origin: where it was logged, for one that was never raised.

    Returns:
        ``None`` for anything that holds no exception.
    """
    exception: Any = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) == 3 else exc_info
    if not isinstance(exception, BaseException):
        return None
    frames = exc_info[2] if isinstance(exc_info, tuple) else exception.__traceback__
    own = own_code()
    found = entries(frames, own)
    full = format_traceback(exception, frames=frames, max_chars=max_chars, own=own)
    clean = format_traceback(exception, "clean", frames=frames, max_chars=max_chars, own=own)
    return ExceptionFields(
        type_name(type(exception)),
        plain_text(text_of(exception), max_chars),
        full,
        fingerprint(exception, found, origin),
        clean if len(clean) < len(full) else "",
        minimal_line(exception, found),
        tuple(local_variables(found)) if _Wanted.variables else (),
    )
