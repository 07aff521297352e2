"""A logging handler that makes an OpenTelemetry log record of each of Python's."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber, get_logger_provider
from opentelemetry.context import get_current

from otelbridge.delivery.processors import emit
from otelbridge.records.exceptions import record_exception
from otelbridge.records.extras import EVENT_ATTRIBUTE, extra_fields
from otelbridge.records.message import message_text
from otelbridge.records.uid import record_uid
from otelbridge.records.values import DEFAULT_MAX_CHARS, json_key, json_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry._logs import Logger
    from opentelemetry.util.types import AnyValue

_SEVERITIES = tuple(SeverityNumber(number) for number in range(25))


def severity_number(level: int) -> int:
    """Map a level of Python's logging, custom ones included, to OpenTelemetry's 0 to 24.

    The five standard levels are the first number of their range; a level between two of them lies
    between their numbers (logs data model, "Mapping of SeverityNumber"). ``NOTSET`` is 0.
    """
    if level <= 0:
        return 0
    return min(24, 1 + level // 10 * 4 + level % 10 * 4 // 10)


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
        self._loggers: dict[str, Logger] = {}

    def createLock(self) -> None:  # noqa: N802
        """Make no lock: records of several threads may pass at once."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass a record on if the filters let it through."""
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
            logger = self._loggers.get(record.name)
            if logger is None:
                provider = self._provider or get_logger_provider()
                logger = self._loggers[record.name] = provider.get_logger(record.name)
            emit(logger, self._translate(record))
        except Exception:
            self._failed(record)

    def _translate(self, record: logging.LogRecord) -> LogRecord:
        return LogRecord(
            timestamp=round(record.created * 1e9),
            observed_timestamp=time.time_ns(),
            context=get_current(),
            severity_text=record.levelname,
            severity_number=_SEVERITIES[severity_number(record.levelno)],
            body=message_text(record, self._value_max_chars),
            attributes=self._attributes(record),
            event_name=record.__dict__.get(EVENT_ATTRIBUTE),
        )

    def _attributes(self, record: logging.LogRecord) -> dict[str, AnyValue]:
        attributes: dict[str, Any] = {}
        for key, value in extra_fields(record).items():
            attributes[json_key(key) or '""'] = _carried(json_value(value, self._value_max_chars))
        own: dict[str, Any] = {
            "log.record.uid": record_uid(record),
            "code.file.path": record.pathname,
            "code.line.number": record.lineno,
            "code.function.name": record.funcName,
            "thread.id": record.thread,
            "thread.name": record.threadName,
        }
        exception = record_exception(record, self._value_max_chars)
        if exception is not None:
            own["exception.type"] = exception.type
            own["exception.message"] = exception.message
            own["exception.stacktrace"] = exception.stack_trace
            own.update(exception.attributes())
        if record.stack_info:
            own["code.stacktrace"] = str(record.stack_info)
        for key, value in own.items():
            if key in attributes:
                attributes[f"extra.{key}"] = attributes[key]
            if type(value) is int or (type(value) is str and value.isascii()):
                attributes[key] = value
            elif value is not None:
                # A record that somebody made by hand, or a file's name that is no Unicode.
                attributes[key] = _carried(json_value(value, self._value_max_chars))
        return attributes


def _carried(value: Any) -> Any:
    """Give empty keys of nested objects a name: attributes without a key are not carried."""
    if type(value) is dict:
        return {key or '""': _carried(member) for key, member in value.items()}
    if type(value) is list:
        return [_carried(member) for member in value]
    return value
