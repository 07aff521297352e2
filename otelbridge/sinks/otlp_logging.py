"""A logging handler that makes an OpenTelemetry log record of each of Python's."""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import LoggerProvider, SeverityNumber, get_logger_provider
from opentelemetry.trace import get_current_span

from otelbridge.delivery.processors import Way
from otelbridge.delivery.taken_record import Origin, TakenRecord
from otelbridge.records.exceptions import record_exception
from otelbridge.records.extras import EVENT_ATTRIBUTE, extra_fields
from otelbridge.records.message import message_text
from otelbridge.records.uid import record_uid
from otelbridge.records.values import DEFAULT_MAX_CHARS, MAX_KEY_CHARS, json_key, json_value
from otelbridge.sinks.otlp_plain_log import write_plain_log
from otelbridge.sinks.otlp_wire import severity

if TYPE_CHECKING:
    from collections.abc import Callable

_TWO_63: Final = 2**63


def severity_number(level: int) -> int:
    """Map a level of Python's logging, custom ones included, to OpenTelemetry's 0 to 24.

    The five standard levels are the first number of their range; a level between two of them lies
    between their numbers (logs data model, "Mapping of SeverityNumber"). ``NOTSET`` is 0.
    """
    if level <= 0:
        return 0
    return min(24, 1 + level // 10 * 4 + level % 10 * 4 // 10)


@lru_cache(maxsize=256, typed=True)
def _severity(level: int) -> SeverityNumber:
    return SeverityNumber(severity_number(level))


@lru_cache(maxsize=256, typed=True)
def _written_severity(level: int, name: str) -> bytes:
    return severity(_severity(level), name)


class OTLPHandler(logging.Handler):
    """Hands log records to an OpenTelemetry logger provider, complete.

    The logger's name becomes the instrumentation scope, the message the body, and ``extra`` keys,
    origin, thread, exception and ``log.record.uid`` attributes. The trace context is that of the
    current span. Nothing that ``extra`` holds is lost, whatever its type.
    """

    def __init__(
        self,
        provider: LoggerProvider | None = None,
        *,
        value_max_chars: int = DEFAULT_MAX_CHARS,
        level: int | str = logging.NOTSET,
        failed: Callable[[logging.LogRecord], None] | None = None,
    ) -> None:
        """Make a handler.

        Args:
            provider: where records go; the global one by default.
            value_max_chars: the longest text of one value, in characters.
            level: records below it are left out.
            failed: is told of a record that could not be handed over, while the exception is
                handled; by default it is reported the way logging's own handlers do.
        """
        super().__init__(level)
        self._failed = failed or self.handleError
        self._provider = provider
        self._value_max_chars = value_max_chars
        self._ways: dict[str, Way] = {}

    def createLock(self) -> None:  # noqa: N802
        """Make no lock: records of several threads may pass at once."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass a record on if the filters let it through."""
        if not self.filters:
            self.emit(record)
            return True
        # From Python 3.12 on a filter may put another record in the place of this one.
        passed: Any = self.filter(record)
        if isinstance(passed, logging.LogRecord):
            record = passed
        if passed:
            self.emit(record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record over; never raises."""
        try:
            way = self._ways.get(record.name)
            if way is None:
                provider = self._provider or get_logger_provider()
                way = self._ways[record.name] = Way(provider.get_logger(record.name))
            delivery = way.delivery_of_encoded()
            if delivery is not None:
                written = self._write(record)
                if written is not None:
                    logger = way.logger
                    logger._logger_metrics.emit_log()
                    delivery.put_encoded(written, logger._instrumentation_scope, logger._resource)
                    return
            way.hand_over(self._take(record))
        except Exception:
            self._failed(record)

    def _write(self, record: logging.LogRecord) -> bytes | None:
        try:
            return write_plain_log(
                record,
                _written_severity(record.levelno, record.levelname),
                get_current_span().get_span_context(),
                _known_origin(
                    record.pathname,
                    record.lineno,
                    record.funcName,
                    record.thread,
                    record.threadName,
                    self._value_max_chars,
                ),
                self._value_max_chars,
            )
        except Exception:
            # What cannot be formatted, or is no Unicode.
            return None

    def _take(self, record: logging.LogRecord) -> TakenRecord:
        max_chars = self._value_max_chars
        told: dict[str, Any] = {}
        exception = record_exception(record, max_chars)
        if exception is not None:
            told["exception.type"] = exception.type
            told["exception.message"] = exception.message
            told["exception.stacktrace"] = exception.stack_trace
            told.update(exception.attributes())
        if record.stack_info:
            told["code.stacktrace"] = str(record.stack_info)
        return TakenRecord(
            round(record.created * 1e9),
            time.time_ns(),
            get_current_span().get_span_context(),
            _severity(record.levelno),
            record.levelname,
            message_text(record, max_chars),
            self._extras(record),
            record_uid(record),
            self._origin(record),
            _plain(told, max_chars) if told else told,
            record.__dict__.get(EVENT_ATTRIBUTE),
        )

    def _extras(self, record: logging.LogRecord) -> dict[str, Any]:
        extras: dict[str, Any] = extra_fields(record)
        max_chars = self._value_max_chars
        for key, value in extras.items():
            # What nearly all of them are needs no look inside, nor a copy.
            kind = type(value)
            if type(key) is not str or not key.isascii() or not 0 < len(key) <= MAX_KEY_CHARS:
                break
            if kind is str:
                if not value.isascii() or len(value) > max_chars:
                    break
            elif kind is int:
                if not -_TWO_63 <= value < _TWO_63:
                    break
            elif kind is float:
                if value - value != 0.0:  # infinite, or no number
                    break
            elif kind is not bool:
                break
        else:
            return extras
        return {
            json_key(key) or '""': _carried(json_value(value, max_chars))
            for key, value in extras.items()
        }

    def _origin(self, record: logging.LogRecord) -> Origin:
        given: Any = (
            record.pathname,
            record.lineno,
            record.funcName,
            record.thread,
            record.threadName,
            self._value_max_chars,
        )
        try:
            return _known_origin(*given)
        except TypeError:
            # Somebody has made it by hand, of what cannot be the key of a dictionary.
            return _make_origin(*given)


def _make_origin(
    path: Any, line: Any, function: Any, thread: Any, thread_name: Any, max_chars: int
) -> Origin:
    attributes = {
        "code.file.path": path,
        "code.line.number": line,
        "code.function.name": function,
        "thread.id": thread,
        "thread.name": thread_name,
    }
    return Origin(_plain(attributes, max_chars))


# Typed, or a line number that is ``True`` would be 1. Not without end: a server may have a thread
# for each request.
_known_origin = lru_cache(maxsize=1024, typed=True)(_make_origin)


def _plain(own: dict[str, Any], max_chars: int) -> dict[str, Any]:
    """Leave out what there is not, and make plain data of what is none.

    A record may be made by hand, and a file's name be no Unicode.
    """
    plain = {}
    for key, value in own.items():
        kind = type(value)
        if (kind is str and value.isascii()) or (kind is int and -_TWO_63 <= value < _TWO_63):
            plain[key] = value
        elif value is not None:
            plain[key] = _carried(json_value(value, max_chars))
    return plain


def _carried(value: Any) -> Any:
    """Give empty keys of nested objects a name: attributes without a key are not carried."""
    if type(value) is dict:
        return {key or '""': _carried(member) for key, member in value.items()}
    if type(value) is list:
        return [_carried(member) for member in value]
    return value
