"""One call that turns a program's requests, logs and processes into telemetry."""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import sys
import threading
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, cast

from otelbridge.delivery.timing import Deadline
from otelbridge.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from typing import Literal

    from flask import Flask
    from starlette.applications import Starlette

    from otelbridge.capture import Capture
    from otelbridge.delivery.counters import Snapshot
    from otelbridge.errors.report import Errors
    from otelbridge.errors.watch import Watch
    from otelbridge.frameworks.celery import Ended
    from otelbridge.frameworks.wiring import Wiring
    from otelbridge.pipeline import Pipeline
    from otelbridge.process_metrics import ProcessMetrics

_logger = logging.getLogger(__name__)
# What the messages to people get at the end where nothing of the time allowed is left.
_CLOSE_SECONDS: Final = 0.1
# Of the time for the end, what a process gets whose place another is to take: the pool works with
# one less meanwhile. What it leaves in the spool is sent by the others.
_RECYCLED_SHARE: Final = 0.2
_lock = threading.RLock()
_handle: Instrumentation | None = None


def instrument(app: Flask | Starlette | None = None, **overrides: Any) -> Instrumentation:
    """Send this process's logs, spans and metrics to the configured sinks.

    Call it once, early, in every process or before they are forked; a second call returns the
    same handle, and instruments its app too. Without ``app``, every Flask, Django, FastAPI and
    Starlette app of the process is instrumented when it gets its first request.

    The standard ``OTEL_*`` variables apply; with ``OTEL_SDK_DISABLED=true`` nothing is done. A
    tracer, logger or meter provider that the program has set before is used as it is. The
    program's own logging goes on unchanged: see :mod:`otelbridge.capture`.

    A variable with a value that is not allowed must not keep a program from starting: it is named
    in one line on stderr, and its default taken. A wrong override is a mistake in the program and
    raises.

    Args:
        app: an app of Flask, FastAPI or Starlette; Flask's before its first request.
        overrides: settings by their field names in :class:`otelbridge.settings.Settings`, such as
            ``service_name="shop"`` or ``sinks="otlp,console"``. They win over the environment.

    Returns:
        A handle to flush and to end it with.

    Raises:
        SettingsError: an override is unknown or its value not allowed.
    """
    global _handle
    with _lock:
        if _handle is None:
            _handle = Instrumentation(_settings(overrides), app)
        elif overrides:
            _logger.warning(
                "instrument() was called before; these settings are ignored now: %s",
                ", ".join(sorted(overrides)),
            )
        if app is not None:
            _handle.instrument_app(app)
        return _handle


def shutdown(timeout: float | None = None) -> bool:
    """Send what is left and stop; does nothing if :func:`instrument` was not called.

    Args:
        timeout: seconds this may take; ``OTELBRIDGE_SHUTDOWN_TIMEOUT`` by default.
    """
    return True if _handle is None else _handle.shutdown(timeout)


class Instrumentation:
    """What :func:`instrument` has set up; ends itself with the process.

    Attributes:
        settings: what it was set up by.
        active: whether telemetry is sent.
    """

    def __init__(self, settings: Settings, app: Flask | Starlette | None = None) -> None:
        """Set everything up; what goes wrong is logged, and the program runs without telemetry."""
        self.settings = settings
        self.active = False
        self._pipeline: Pipeline | None = None
        self._capture: Capture | None = None
        self._process_metrics: ProcessMetrics | None = None
        self._watch: Watch | None = None
        self._handlers: list[logging.Handler] = []
        self._resource: dict[str, Any] = {}
        self._named = False
        self._pid = self._ready_pid = os.getpid()
        self._forking = threading.RLock()
        if settings.sdk_disabled:
            return
        try:
            self._start(app)
        except Exception:
            _logger.exception("could not start; the program runs without telemetry")

    def instrument_app(self, app: Flask | Starlette) -> None:
        """Instrument one more app; a second time does nothing."""
        from otelbridge.frameworks.apps import is_flask, own_name

        self._name_service(own_name(app))
        if is_flask(app):
            self._instrument_flask(app)

    # What extensions of Flask are called by in functions that make apps.
    init_app = instrument_app

    def _instrument_flask(self, app: Flask) -> None:
        if not self.active or self._pipeline is None or self._capture is None:
            return
        from otelbridge.frameworks.instrumentations import is_disabled

        if is_disabled("flask"):
            return
        from otelbridge.frameworks import flask

        flask.instrument_app(
            app,
            tracer_provider=self._pipeline.tracer_provider,
            meter_provider=self._pipeline.meter_provider,
            request_log=self.settings.request_log,
            report=self._capture.take,
            hook=self.settings.flask_hook,
        )

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what is queued.

        Args:
            timeout: seconds this may take.

        Returns:
            Whether everything was accepted in time.
        """
        if not self.active or self._pipeline is None:
            return True
        for handler in self._handlers:
            handler.flush()
        return self._pipeline.flush(timeout)

    def delivery(self) -> list[Snapshot]:
        """Tell what became of this process's log records and spans, for each sink that counts."""
        return [] if self._pipeline is None else self._pipeline.snapshots()

    def shutdown(self, timeout: float | None = None) -> bool:
        """Send what is left and stop, for good: the process is not instrumented again.

        Args:
            timeout: seconds this may take; ``OTELBRIDGE_SHUTDOWN_TIMEOUT`` by default.

        Returns:
            Whether everything was accepted.
        """
        with _lock:
            if not self.active or self._pipeline is None:
                return True
            self.active = False
        atexit.unregister(self.shutdown)
        if timeout is None:
            timeout = self.settings.shutdown_timeout
        if self.settings.capture_output:
            from otelbridge.records.streams import release_output

            release_output()
        if self._watch is not None:
            self._watch.end()
        if self._capture is not None:
            self._capture.handlers = ()
        deadline = Deadline(timeout)
        if self.settings.notify:
            from otelbridge import notify

            notify.hurry()  # side by side with what follows
        done = self._pipeline.shutdown(timeout)
        if self.settings.notify:
            notify.close(max(deadline.remaining(), _CLOSE_SECONDS))
        if self._capture is not None and done:
            # Else an exporter may still be at work, and what it logs must not reach the program.
            self._capture.remove()
        for handler in self._handlers:
            handler.flush()
            handler.close()
        if self._watch is not None:
            self._watch.leave()
        return done

    def _start(self, app: Flask | Starlette | None) -> None:
        # Imported here, so that `import otelbridge` stays light.
        from otelbridge.capture import Capture
        from otelbridge.frameworks.apps import own_name
        from otelbridge.frameworks.instrumentations import instrument_libraries, is_disabled
        from otelbridge.frameworks.urls import ACCESS_LOGGERS, redact_access_record
        from otelbridge.imports import when_imported
        from otelbridge.pipeline import Pipeline
        from otelbridge.resource import build_resource, has_own_name
        from otelbridge.sinks.otlp_trouble import overhear

        # The stable semantic conventions for HTTP, unless the user asks for others.
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        settings = self.settings
        name = own_name(app)
        resource = build_resource(settings, name or None)
        self._resource = dict(resource.attributes)
        self._named = bool(name) or has_own_name(settings)
        self._pipeline = Pipeline(settings, resource)
        self._handlers = self._build_handlers()
        self._set_resource({})
        self._capture = Capture(overhear, self._check_process)
        self._capture.rewrite(ACCESS_LOGGERS, redact_access_record)
        self._capture.failed = self._pipeline.note_failed
        if "console" in settings.sinks:
            self._capture.replaced = lambda handler: handler is logging.lastResort
        self._capture.install(self._handlers, getattr(logging, settings.log_level.upper()))
        if self._pipeline.meter_provider is not None:
            from otelbridge.delivery.metrics import start_delivery_metrics
            from otelbridge.process_metrics import start_process_metrics

            self._process_metrics = start_process_metrics(self._pipeline.meter_provider)
            start_delivery_metrics(self._pipeline.meter_provider, self._pipeline.snapshots)
        if settings.capture_output:
            from otelbridge.records.streams import capture_output

            capture_output()
        self.active = True
        instrument_libraries(self._pipeline.tracer_provider, self._pipeline.meter_provider)
        if not is_disabled("flask"):
            when_imported("flask", self._watch_flask)
        when_imported("starlette.applications", self._watch_starlette)
        when_imported("fastapi.applications", self._watch_fastapi)
        when_imported("django.core.handlers.base", self._watch_django)
        when_imported("celery.app", self._watch_celery)
        when_imported("gevent.events", self._watch_gevent)
        if hasattr(os, "register_at_fork"):
            # After the providers have registered theirs, which these build upon.
            os.register_at_fork(
                before=self._pipeline.before_fork,
                after_in_parent=self._pipeline.after_fork_in_parent,
                after_in_child=self._forked,
            )
        if settings.notify:
            from otelbridge import notify

            name = str(self._resource["service.name"])
            notify.configure(settings, project=name, closed_elsewhere=True)
        self._watch = self._start_watch()
        self._watch_ends()

    def _start_watch(self) -> Watch:
        from opentelemetry.sdk.trace import TracerProvider

        from otelbridge.errors.watch import Watch
        from otelbridge.sinks.otlp_logging import OTLPHandler

        assert self._pipeline is not None
        assert self._capture is not None
        announced = [handler for handler in self._handlers if isinstance(handler, OTLPHandler)]
        watch = Watch(self.settings, self._capture, announced)
        provider = self._pipeline.own_tracer_provider
        watch.start(provider if isinstance(provider, TracerProvider) else None)
        return watch

    def _watch_ends(self) -> None:
        from otelbridge.process_end import (
            watch_children,
            watch_exec,
            watch_signals,
            watch_uvicorn,
        )

        atexit.register(self.shutdown)
        watch_children(self._end)
        watch_signals(self._end_by, self.settings.shutdown_timeout)
        watch_uvicorn(self._end_by, self.settings.shutdown_timeout)
        watch_exec(self._keep)

    def _end(self) -> None:
        self.shutdown()

    def _end_by(self, signal_number: int) -> None:
        if self._watch is not None:
            self._watch.signalled(signal_number)
        self.shutdown()

    def _keep(self) -> None:
        if self.active and self._pipeline is not None:
            self._pipeline.keep()

    def _build_handlers(self) -> list[logging.Handler]:
        assert self._pipeline is not None
        settings = self.settings
        handlers: list[logging.Handler] = []
        if self._pipeline.logger_provider is not None:
            from otelbridge.sinks.otlp_logging import OTLPHandler

            handlers.append(
                OTLPHandler(
                    self._pipeline.logger_provider,
                    value_max_chars=settings.value_max_chars,
                    failed=self._pipeline.note_failed,
                )
            )
        if "udp" in settings.sinks:
            from otelbridge.sinks.udp import UDPHandler

            handlers.append(
                UDPHandler(address=settings.udp_endpoint, max_bytes=settings.udp_max_bytes)
            )
        if "file" in settings.sinks:
            from otelbridge.sinks.file import FileHandler

            handlers.append(
                FileHandler(
                    settings.file_path,
                    max_bytes=settings.file_max_bytes,
                    backups=settings.file_backups,
                )
            )
        if "console" in settings.sinks:
            from otelbridge.sinks.console import ConsoleHandler

            form = cast("Literal['auto', 'text', 'json']", settings.console_format)
            handlers.append(ConsoleHandler(format=form))
        for handler in handlers:
            if handler.formatter is not None and hasattr(handler.formatter, "max_chars"):
                handler.formatter.max_chars = settings.value_max_chars
        return handlers

    def _watch_flask(self) -> None:
        from otelbridge.frameworks import flask

        flask.instrument_every_app(self.instrument_app, self._check_process)
        if self._capture is not None and "console" in self.settings.sinks:
            self._capture.replaced = flask.writes_to_console

    def _watch_starlette(self) -> None:
        from otelbridge.frameworks import asgi

        asgi.watch(self._wiring())

    def _watch_fastapi(self) -> None:
        from otelbridge.frameworks import asgi

        asgi.watch_fastapi(self._wiring())

    def _watch_django(self) -> None:
        from otelbridge.frameworks import django
        from otelbridge.frameworks.instrumentations import is_disabled

        if not is_disabled("django"):
            django.watch(self._wiring())

    def _wiring(self) -> Wiring:
        from otelbridge.frameworks.wiring import Wiring

        assert self._pipeline is not None
        assert self._capture is not None
        return Wiring(
            tracer_provider=self._pipeline.tracer_provider,
            meter_provider=self._pipeline.meter_provider,
            request_log=self.settings.request_log,
            arrived=self._check_process,
            take=self._capture.take,
            name_service=self._name_service,
            errors=self._errors,
        )

    def _errors(self) -> Errors | None:
        return None if self._watch is None or not self.active else self._watch.errors

    def _name_service(self, name: str) -> None:
        """Name the service by its app, where nobody has named it yet."""
        if name and not self._named:
            self._named = True
            self._set_resource({"service.name": name})

    def _set_resource(self, attributes: dict[str, Any]) -> None:
        self._resource.update(attributes)
        if self._pipeline is not None and attributes:
            self._pipeline.update_resource(attributes)
        for handler in self._handlers:
            set_resource = getattr(handler.formatter, "set_resource", None)
            if set_resource is not None:
                set_resource(self._resource)

    def _watch_celery(self) -> None:
        from otelbridge.frameworks import celery

        assert self._capture is not None
        celery.watch_worker(self._end_pool_process)
        self._capture.rewrite(celery.TASK_LOGGERS, celery.complete_record)

    def _end_pool_process(self, ended: Ended) -> None:
        if self._watch is not None:
            self._watch.pool_process_ended(ended.code, ended.signal)
        if ended.signal is not None:
            self._keep()  # who sends the signal may not wait for what is on its way
        share = _RECYCLED_SHARE if ended.recycled and self.settings.spool_dir is not None else 1.0
        self.shutdown(share * self.settings.shutdown_timeout)

    def _watch_gevent(self) -> None:
        events = importlib.import_module("gevent.events")

        def changed(event: object) -> None:
            if not self.active or self._pipeline is None:
                return
            if isinstance(event, events.GeventWillPatchAllEvent):
                if self._watch is not None:
                    self._watch.before_patching()
                self._pipeline.before_patching()
            elif isinstance(event, events.GeventDidPatchAllEvent):
                self._pipeline.after_patching()
                if self._watch is not None:
                    self._watch.after_patching()

        events.subscribers.append(changed)

    def _check_process(self) -> None:
        """Notice that the process has forked where Python was not told, as under uWSGI.

        Threads that come by meanwhile wait until everything speaks of this process.
        """
        pid = os.getpid()
        if self._ready_pid == pid:
            return
        with self._forking:
            # The thread that is at it comes by again with whatever it logs.
            if self._pid != pid:
                self._after_fork()

    def _forked(self) -> None:
        # Whoever held it has no thread here.
        self._forking = threading.RLock()
        self._after_fork()

    def _after_fork(self) -> None:
        self._pid = os.getpid()
        try:
            self._become_child()
        finally:
            self._ready_pid = self._pid

    def _become_child(self) -> None:
        if not self.active or self._pipeline is None:
            return
        from otelbridge.resource import process_attributes

        self._pipeline.after_fork_in_child()
        self._set_resource(process_attributes())
        if self._process_metrics is not None:
            self._process_metrics.measure_this_process()
        if self._watch is not None:
            self._watch.become_child()


def _settings(overrides: dict[str, Any]) -> Settings:
    """Read the settings; wrong variables are named on stderr and left out, overrides raise."""
    read_settings({}, **overrides)
    environ = dict(os.environ)
    for spec in fields(Settings):
        variable = spec.metadata["variable"]
        if variable not in environ:
            continue
        try:
            read_settings({variable: environ[variable]})
        except SettingsError as error:
            print(f"otelbridge: {error}; its default is used", file=sys.stderr)
            del environ[variable]
    return read_settings(environ, **overrides)
