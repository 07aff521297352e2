"""Keeping secrets in URLs out of telemetry."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from otelbridge.records.redaction import MASK, is_secret

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_USER_INFO: Final = re.compile(r"(?<=://)[^/?#@\s]+@")
_PARAMETER: Final = re.compile(r"([^=&;]+)=([^&;]*)")
_PARAMETER_IN_TEXT: Final = re.compile(r"""(?<=[?&;])([^=&;\s"'<>]+)=([^&;\s"'<>]+)""")

# Loggers of servers whose lines hold the request's address as the client sent it.
ACCESS_LOGGERS: Final = frozenset(
    {"werkzeug", "gunicorn.access", "uvicorn.access", "hypercorn.access", "django.server"}
)


def redact_query(query: str) -> str:
    """Write ``***`` for the value of every secret in a query string (without its ``?``)."""
    if "=" not in query:
        return query
    # Looked at before they are written anew: hardly ever is one of them secret.
    for each in query.replace(";", "&").split("&"):
        if is_secret(each.lstrip("=").partition("=")[0]):
            break
    else:
        return query
    return _PARAMETER.sub(
        lambda found: f"{found[1]}={MASK}" if found[2] and is_secret(found[1]) else found[0],
        query,
    )


def redact_url(url: str) -> str:
    """Write ``***`` for the secrets in a URL's query, and leave out ``user:password@``."""
    address, mark, query = url.partition("?")
    address = _USER_INFO.sub("", address)
    if not mark:
        return address
    query, fragment_mark, fragment = query.partition("#")
    return f"{address}?{redact_query(query)}{fragment_mark}{fragment}"


def redact_span(span: Span, *_: object) -> None:
    """Redact the URL attributes that an instrumentation has put on a span, old and new names.

    Serves as the request hook of OpenTelemetry's client instrumentations, whatever else those pass.
    """
    attributes = getattr(span, "attributes", None)
    if not attributes:
        return
    for name in ("url.full", "url.query", "http.url", "http.target"):
        value = attributes.get(name)
        if isinstance(value, str):
            redacted = redact_query(value) if name == "url.query" else redact_url(value)
            if redacted != value:
                span.set_attribute(name, redacted)


def redact_access_record(record: logging.LogRecord) -> logging.LogRecord:
    """Return a server's access record without the secrets of the request's query.

    Returns:
        The record itself where there are none, else a changed copy; the program's own handlers
        go on writing what they always wrote.
    """
    try:
        text = record.getMessage()
    except Exception:
        return record  # whoever formats the record next deals with it
    redacted = _PARAMETER_IN_TEXT.sub(
        lambda found: f"{found[1]}={MASK}" if is_secret(found[1]) else found[0], text
    )
    if redacted == text:
        return record
    changed = logging.makeLogRecord(record.__dict__)
    changed.msg, changed.args = redacted, ()
    return changed
