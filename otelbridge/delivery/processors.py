"""Where OpenTelemetry's SDK, and our own logging handler, hand records over to be delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context import get_current
from opentelemetry.sdk._logs import Logger, LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk._logs._internal import SynchronousMultiLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import TraceFlags

from otelbridge.delivery.lean_span import OwnSpanProcessor
from otelbridge.delivery.taken_record import NO_CONTEXT
from otelbridge.records.scope_fields import fields_in_use

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from otelbridge.delivery.sender import Delivery
    from otelbridge.delivery.taken_record import TakenRecord


class LogProcessor(LogRecordProcessor):
    """Hands log records over to be delivered."""

    def __init__(self, delivery: Delivery) -> None:
        """Hand records to ``delivery``."""
        self.delivery = delivery

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take a record."""
        # Without its context, which may hold on to much and is not sent. As copy.copy() would do
        # it, in a quarter of the time.
        given = log_record.log_record
        record = object.__new__(type(given))
        record.__dict__.update(given.__dict__)
        record.context = NO_CONTEXT
        self.delivery.put(
            ReadableLogRecord(
                record,
                log_record.resource or Resource.get_empty(),
                log_record.instrumentation_scope,
                log_record.limits,
            )
        )

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is queued; gives up waiting after ``timeout_millis``."""
        return self.delivery.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Take no more records; the pipeline sees to what is left."""
        self.delivery.close()


class DeliveredSpanProcessor(OwnSpanProcessor):
    """Hands sampled spans over to be delivered when they end."""

    def __init__(self, delivery: Delivery) -> None:
        """Hand spans to ``delivery``."""
        self.delivery = delivery

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Put the fields of the scope on a span that begins in it."""
        if fields_in_use():
            from otelbridge.context_fields import put_on_span

            put_on_span(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span."""
        context = span.context
        if context is not None and context.trace_flags & TraceFlags.SAMPLED:
            self.delivery.put(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is queued; gives up waiting after ``timeout_millis``."""
        return self.delivery.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Take no more spans; the pipeline sees to what is left."""
        self.delivery.close()


class Way:
    """Where the records of one logger go.

    Where nobody but deliveries listens, and no limit is to be applied, what the SDK does with a
    record is left out: copying and checking its attributes takes as long as everything else.

    Attributes:
        logger: of whatever provider.
    """

    __slots__ = ("_delivery", "_listeners", "_of_sdk", "_ours", "logger")

    def __init__(self, logger: Any) -> None:
        """Remember a logger; who listens to it is asked for each record."""
        self.logger = logger
        self._of_sdk = type(logger) is Logger
        self._listeners: Any = None
        self._ours: tuple[LogProcessor, ...] | None = None
        self._delivery: Delivery | None = None

    def delivery_of_encoded(self) -> Delivery | None:
        """Return who alone takes the next record, if it is encoded; ``None`` for anybody else."""
        if self._of_sdk:
            logger = self.logger
            listeners = logger._multi_log_record_processor._log_record_processors
            if listeners is not self._listeners:
                self._find(listeners)
            if self._delivery is not None and logger._is_enabled():
                return self._delivery
        return None

    def hand_over(self, record: TakenRecord) -> None:
        """Emit a record, as ``logger.emit(record.log_record)`` would, to who listened just now.

        Args:
            record: attributes and body are plain data, and every key is a text that is not empty.
        """
        logger = self.logger
        if self._ours is None:
            made = record.log_record
            made.context = get_current()
            logger.emit(made)
        elif logger._is_enabled():
            logger._logger_metrics.emit_log()
            record.resource = logger._resource
            record.instrumentation_scope = logger._instrumentation_scope
            record.limits = logger._log_record_limits
            for processor in self._ours:
                processor.delivery.put(record)

    def _find(self, listeners: Any) -> None:
        """Look who listens; one that is added makes another tuple of them."""
        ours = self._ours = _only_deliveries(self.logger)
        alone = ours is not None and len(ours) == 1 and ours[0].delivery.takes_encoded
        self._delivery = ours[0].delivery if ours and alone else None
        self._listeners = listeners


def _only_deliveries(logger: Any) -> tuple[LogProcessor, ...] | None:
    """List a logger's processors if they are all ours."""
    together, limits = logger._multi_log_record_processor, logger._log_record_limits
    if (
        type(together) is not SynchronousMultiLogRecordProcessor
        or limits.max_log_record_attributes is not None
        or limits.max_log_record_attribute_length is not None
    ):
        return None
    processors: Any = together._log_record_processors
    for processor in processors:
        if type(processor) is not LogProcessor:
            return None
    return processors  # type: ignore[no-any-return]
