"""Two log lines for each request, one when it comes and one when it is answered.

    Request GET http://127.0.0.1:8000/orders?token=***
    Response 200 OK

They are written at INFO through a logger of the framework's, so that levels and handlers are the
program's to set.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any

from otelbridge.frameworks.urls import redact_url

if TYPE_CHECKING:
    from collections.abc import Callable


class Asked:
    """What is known of one request between its two lines."""

    __slots__ = ("answered", "fields", "started")

    def __init__(self, method: str, url: str, route: str | None) -> None:
        """Start the clock."""
        self.started = perf_counter()
        self.answered = False
        self.fields: dict[str, Any] = {
            "http.request.method": method,
            "url.full": redact_url(url),
        }
        if route:
            self.fields["http.route"] = route


class RequestLog:
    """Writes the lines of one framework's requests."""

    def __init__(
        self, logger: str, take: Callable[[logging.LogRecord], None], *, written: bool = True
    ) -> None:
        """Prepare.

        Args:
            logger: the name of the logger that writes.
            take: is given the lines where ``disable_existing_loggers`` has silenced that logger,
                which is what ``dictConfig`` does to every logger it was not told of.
            written: whether there are lines at all.
        """
        self._logger = logging.getLogger(logger)
        self._take = take
        self._written = written

    def request(self, method: str, url: str, route: str | None = None) -> Asked:
        """Write that a request has come.

        Args:
            method: such as ``GET``.
            url: its whole address, with its secrets; they are not written.
            route: the template of its path, where it is known already.
        """
        asked = Asked(method, url, route)
        self._write("Request %s %s", (method, asked.fields["url.full"]), asked.fields)
        return asked

    def response(self, asked: Asked, status_code: int, route: str | None = None) -> None:
        """Write how a request was answered; once, whoever says so first.

        The line carries ``http.server.request.duration``, in seconds, as the metric of that name
        does.
        """
        if asked.answered:
            return
        asked.answered = True
        fields = {
            **asked.fields,
            **({"http.route": route} if route else {}),
            "http.response.status_code": status_code,
            "http.server.request.duration": round(perf_counter() - asked.started, 6),
        }
        self._write("Response %s", (status_line(status_code),), fields)

    def _write(self, message: str, values: tuple[str, ...], fields: dict[str, Any]) -> None:
        if not self._written:
            return
        logger = self._logger
        if not logger.disabled:
            logger.info(message, *values, extra=fields)
        elif logger.getEffectiveLevel() <= logging.INFO:
            self._take(
                logger.makeRecord(
                    logger.name, logging.INFO, __file__, 0, message, values, None, "_write", fields
                )
            )


def status_line(status_code: int) -> str:
    """Write a status as Flask does, such as ``404 NOT FOUND``."""
    try:
        return f"{status_code} {HTTPStatus(status_code).phrase.upper()}"
    except ValueError:
        return f"{status_code} UNKNOWN"
