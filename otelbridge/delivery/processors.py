"""Where OpenTelemetry's SDK, and our own logging handler, hand records over to be delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context import get_current
from opentelemetry.sdk._logs import Logger, LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk._logs._internal import SynchronousMultiLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from otelbridge.delivery.lean_span import OwnSpanProcessor
from otelbridge.delivery.taken_record import NO_CONTEXT
from otelbridge.records.scope_fields import fields_in_use

if TYPE_CHECKING:
    from collections.abc import Callable

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
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self.delivery.put(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is queued; gives up waiting after ``timeout_millis``."""
        return self.delivery.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Take no more spans; the pipeline sees to what is left."""
        self.delivery.close()


def hand_over(
    logger: Any, take: Callable[[Any], TakenRecord], write: Callable[[Any], bytes | None], of: Any
) -> None:
    """Emit a record.

    What it does is what ``logger.emit()`` of its ``log_record`` does. Where nobody but deliveries
    listens, and no limit is to be applied, it leaves out the SDK's copying and checking of
    attributes, which takes as long as everything else together, and that record itself.

    Args:
        logger: of whatever provider.
        take: makes the record; attributes and body are plain data, and every key is a text that
            is not empty.
        write: encodes it without making it, or returns ``None``.
        of: what both make it of.
    """
    processors = _only_deliveries(logger)
    if processors is None:
        made = take(of).log_record
        made.context = get_current()
        logger.emit(made)
        return
    if not logger._is_enabled():
        return
    logger._logger_metrics.emit_log()
    written: bytes | None = None
    record: TakenRecord | None = None
    for processor in processors:
        delivery = processor.delivery
        if delivery.takes_encoded and (written := written or write(of)) is not None:
            delivery.put_encoded((written, logger._instrumentation_scope, logger._resource))
            continue
        if record is None:
            record = take(of)
            record.resource = logger._resource
            record.instrumentation_scope = logger._instrumentation_scope
            record.limits = logger._log_record_limits
        delivery.put(record)


def _only_deliveries(logger: Any) -> tuple[LogProcessor, ...] | None:
    """List a logger's processors if they are all ours; asked each time, since one may be added."""
    if type(logger) is not Logger:
        return None
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
