"""Keeping secrets out of logs and spans while a channel sends.

HTTP clients' own log lines name whole URLs, which for Telegram, Discord and Slack are the secrets;
spans of HTTP clients carry them as an attribute. Both are held back on the thread or task that
sends, and nowhere else.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

# Each logger that writes URLs, and the level below which it does.
_LOGGERS: Final = {
    "httpx": logging.CRITICAL,
    "urllib3.connectionpool": logging.CRITICAL,
    # Apprise says at WARNING what went wrong, without secrets; lower levels show requests.
    "apprise": logging.WARNING,
}

_sending: ContextVar[bool] = ContextVar("otelbridge_channel_sending", default=False)


def prepare_quiet() -> None:
    """Load what :func:`quietly` needs, where it holds up nobody."""
    import opentelemetry.instrumentation.utils  # noqa: F401


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Hold back what would show a secret, for as long as a channel sends."""
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    for name, level in _LOGGERS.items():
        logger = logging.getLogger(name)
        if not any(isinstance(one, _HeldBack) for one in logger.filters):
            logger.addFilter(_HeldBack(level))
    token = _sending.set(True)
    try:
        with suppress_instrumentation():
            yield
    finally:
        _sending.reset(token)


class _HeldBack(logging.Filter):
    def __init__(self, level: int) -> None:
        super().__init__()
        self.level = level

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self.level or not _sending.get()
