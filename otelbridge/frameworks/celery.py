"""Celery: every task in its trace, every failure told once and in full, nothing lost with a child.

Spans are made by OpenTelemetry's own Celery instrumentation, where it is installed. Celery logs
what becomes of each task itself, so no record is added here. This module

- ends the telemetry of pool processes, which end by ``os._exit``, recycled or not;
- has what the worker's main process logs of a task belong to the task's trace;
- gives the records of failed tasks the error as it was raised: Celery logs a copy that can be
  pickled, of another type where the error's own cannot, with stand-ins for its frames;
- makes no spans of what the main process has to say to the broker while nothing happens;
- ends the span of a task that could not be sent, which would else stay current for good.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from celery import signals  # type: ignore[import-untyped]
from celery._state import get_current_task  # type: ignore[import-untyped]
from opentelemetry import propagate, trace
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,
    Context,
    attach,
    detach,
    get_current,
    set_value,
)
from opentelemetry.trace import Status, StatusCode
from wrapt import wrap_function_wrapper

from otelbridge.imports import when_imported
from otelbridge.records.uid import record_uid

_RUNS: Final = "celery.app.trace"
_RECEIVES: Final = "celery.worker.strategy"
_REQUESTS: Final = "celery.worker.request"
# Whose records tell of tasks.
TASK_LOGGERS: Final = (_RUNS, _RECEIVES, _REQUESTS)

_POOL_OF_PROCESSES: Final = "celery.concurrency.prefork"

# What Celery gives to its records under one name, and what it is called here, as on its spans. Not
# the arguments and the result: which of them are secret, their names would say, and have none.
_FIELDS: Final = {
    "id": "messaging.message.id",
    "name": "celery.task_name",
    "hostname": "celery.hostname",
    "runtime": "celery.runtime",
    "eta": "celery.eta",
}
# A recycled child's exit code (billiard's EX_RECYCLE).
_RECYCLED: Final = 0x9B


class Ended(NamedTuple):
    """How a process of a worker's pool ends.

    Attributes:
        code: its exit code; 0 if it is recycled.
        signal: the number of the signal that ends it, if one does.
        recycled: whether another one takes its place.
    """

    code: int
    signal: int | None
    recycled: bool


def watch_worker(ended: Callable[[Ended], object]) -> None:
    """Have each process of a worker's pool end its telemetry; for when Celery is imported.

    Args:
        ended: is called in such a process.
    """

    def process_ended(exitcode: int = 0, **_: Any) -> None:
        recycled = exitcode == _RECYCLED
        signal = 256 + exitcode if exitcode < 0 else None
        ended(Ended(0 if recycled else exitcode & 0xFF, signal, recycled))

    signals.worker_process_shutdown.connect(process_ended, weak=False)
    signals.celeryd_after_setup.connect(_quieten_main_process, weak=False)
    signals.worker_process_init.connect(_trace_pool_process, weak=False)
    signals.task_failure.connect(_excuse_expected, weak=False)
    wrap_function_wrapper("celery.app.base", "Celery.send_task", _send_task)
    when_imported(_RECEIVES, _follow_requests)


def complete_record(record: logging.LogRecord) -> logging.LogRecord:
    """Say in a record of :data:`TASK_LOGGERS` what it knows, under names that can be searched.

    Returns:
        A changed copy.
    """
    record_uid(record)  # the copy's too
    changed = logging.makeLogRecord(record.__dict__)
    known = changed.__dict__.pop("data", None)
    if isinstance(known, dict):
        named = {name: known[key] for key, name in _FIELDS.items() if known.get(key) is not None}
        changed.__dict__.update(named)
        task = get_current_task() if record.name == _RUNS else None
        if task is not None and task.request.retries:
            changed.__dict__["celery.retries"] = task.request.retries
        if "exc" in known and "description" not in known:  # of failures it tells more
            changed.__dict__["celery.retry.reason"] = known["exc"]
    changed.exc_info = _as_raised(record)
    return changed


def _as_raised(record: logging.LogRecord) -> Any:
    """Return the error that a record is about, as the task raised it."""
    if not isinstance(record.exc_info, tuple) or record.exc_info[1] is None:
        return record.exc_info
    handled = sys.exc_info()
    if record.name == _RUNS and handled[1] is not None:
        return handled
    kind, error, frames = record.exc_info
    inner = getattr(error, "exc", None)
    if kind is not type(error) and isinstance(inner, BaseException):
        # Packed with a traceback's text, to be carried from one process to another.
        return type(inner), inner, frames
    return record.exc_info


def _quieten_main_process(instance: Any = None, **_: Any) -> None:
    """Have no spans made of a main process's own talk with the broker; it runs no tasks itself."""
    if getattr(instance.pool_cls, "__module__", "") == _POOL_OF_PROCESSES:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))


def _trace_pool_process(**_: Any) -> None:
    attach(Context())  # not the main process's, from which it was forked


def _follow_requests() -> None:
    wrap_function_wrapper(_RECEIVES, "default", _strategy)
    for method in ("on_failure", "on_timeout"):
        wrap_function_wrapper(_REQUESTS, f"Request.{method}", _within_trace)


def _strategy(make: Any, _: Any, given: Any, named: Any) -> Any:
    """Make what a worker does with each message, and have it done in the message's trace."""
    handle = make(*given, **named)

    def handle_message(message: Any, *rest: Any, **options: Any) -> Any:
        return _in_trace_of(message.headers, handle, message, *rest, **options)

    return handle_message


def _within_trace(method: Any, request: Any, given: Any, named: Any) -> Any:
    return _in_trace_of(request.request_dict, method, *given, **named)


def _in_trace_of(headers: Any, act: Any, *given: Any, **named: Any) -> Any:
    context = get_current()
    if isinstance(headers, dict):
        carried = {key: value for key, value in headers.items() if isinstance(value, str)}
        context = propagate.extract(carried, context)
    token = attach(context)
    try:
        return act(*given, **named)
    finally:
        detach(token)


def _send_task(send: Any, _: Any, given: Any, named: Any) -> Any:
    """Send a task; afterwards its span is not current, whatever became of it.

    The instrumentation ends it when the task was published, and only then.
    """
    before = trace.get_current_span()
    token = attach(get_current())
    try:
        return send(*given, **named)
    except Exception as error:
        span = trace.get_current_span()
        if span is not before:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__qualname__}: {error}"))
        raise
    finally:
        span = trace.get_current_span()
        if span is not before and span.is_recording():
            span.end()
        detach(token)


def _excuse_expected(sender: Any = None, exception: Any = None, **_: Any) -> None:
    """Take the mark of an error from the span of a task that failed as its ``throws`` expects."""
    expected = getattr(sender, "throws", ())
    if expected and isinstance(exception, expected):
        trace.get_current_span().set_status(Status(StatusCode.OK))
