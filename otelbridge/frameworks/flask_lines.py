"""The two lines that tell what a request asked for and what it was answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

import flask

from otelbridge.frameworks.request_address import request_address

_INTERNAL_ERROR: Final = f"500 {HTTPStatus.INTERNAL_SERVER_ERROR.phrase.upper()}"


class RequestState:
    """What is known of one request between its two lines."""

    answered = False
    fields: Mapping[str, Any] = {}
    started = 0.0


class RequestLines:
    """Writes an app's lines, each exactly once for a request that has a span."""

    def __init__(
        self,
        app: flask.Flask,
        written: bool,
        report: Callable[[logging.LogRecord], None] | None,
    ) -> None:
        """Prepare.

        Args:
            app: whose logger writes.
            written: whether lines are to be written at all.
            report: is given the ERROR record of an exception that Flask passes on to the server
                without logging it, as it does in debug mode, and the lines where that logger has
                been silenced by ``dictConfig``, as every logger is that it was not told of.
        """
        self.written = written
        self._app, self._report = app, report

    def begin(self, state: RequestState, request: flask.Request) -> None:
        """Write what is asked for."""
        if self.written:
            state.started = perf_counter()
            state.fields = fields = _asked(request)
            self._write("Request %s %s", (request.method, fields["url.full"]), fields)

    def answer(self, state: RequestState, status: str, status_code: int) -> None:
        """Write what is answered, if nothing has been written of that."""
        if not state.answered:
            state.answered = True
            if self.written:
                fields = {
                    **state.fields,
                    "http.response.status_code": status_code,
                    "http.server.request.duration": round(perf_counter() - state.started, 6),
                }
                self._write("Response %s", (status,), fields)

    def fail(self, state: RequestState, error: BaseException, *, passed_on: bool) -> None:
        """Write that the server answers 500, where no other answer has come by.

        Args:
            state: the request's.
            error: what ended it.
            passed_on: whether Flask has passed it on to the server.
        """
        if state.answered:
            return
        if passed_on and self._report and not isinstance(error, SystemExit | KeyboardInterrupt):
            self._report(_exception_record(self._app, error))
        self.answer(state, _INTERNAL_ERROR, 500)

    def _write(self, message: str, values: tuple[str, ...], fields: dict[str, Any]) -> None:
        logger = self._app.logger
        if logger.isEnabledFor(logging.INFO):
            # As logger.info() does it, without looking for who called.
            logger.handle(_line(logger, message, values, fields))
        elif logger.disabled and self._report and logger.getEffectiveLevel() <= logging.INFO:
            self._report(_line(logger, message, values, fields))


def _asked(request: flask.Request) -> dict[str, Any]:
    fields = {"http.request.method": request.method, "url.full": request_address(request)}
    if request.url_rule is not None:
        fields["http.route"] = request.url_rule.rule
    return fields


def _line(
    logger: logging.Logger, message: str, values: tuple[str, ...], fields: dict[str, Any]
) -> logging.LogRecord:
    return logger.makeRecord(
        logger.name, logging.INFO, __file__, 0, message, values, None, "_write", fields
    )


def _exception_record(app: flask.Flask, error: BaseException) -> logging.LogRecord:
    """Make the record that Flask writes of an exception it answers with 500 itself."""
    return app.logger.makeRecord(
        app.logger.name,
        logging.ERROR,
        flask.app.__file__,
        0,
        "Exception on %s [%s]",
        (flask.request.path, flask.request.method),
        (type(error), error, error.__traceback__),
        "log_exception",
    )
