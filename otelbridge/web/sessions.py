"""The token: compared, turned into a session, and slow to guess."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable

SESSION_SECONDS = 14 * 86400


def same(given: str, expected: str) -> bool:
    """Compare two secrets in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())


def open_session(token: str, now: float) -> str:
    """Make a session's cookie: when it ends, signed with the token.

    It needs no memory, outlives a restart, and ends when the token is changed.
    """
    ends = str(int(now) + SESSION_SECONDS)
    return f"{ends}.{_signature(token, ends)}"


def session_holds(cookie: str, token: str, now: float) -> bool:
    """Tell whether a session's cookie is ours and has not ended."""
    ends, _, signature = cookie.partition(".")
    if not (ends.isascii() and ends.isdigit() and len(ends) <= 12):
        return False
    return same(signature, _signature(token, ends)) and now < int(ends)


def _signature(token: str, ends: str) -> str:
    message = f"otelbridge session until {ends}"
    return hmac.new(token.encode(), message.encode(), hashlib.sha256).hexdigest()


class Attempts:
    """Counts wrong tokens, so that guessing is slow.

    Args:
        limit: wrong tokens allowed within a minute.
    """

    def __init__(self, limit: int = 10, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def wait(self, client: str) -> float:
        """Seconds until this client may try again; 0 for now."""
        failures = self._failures.get(client)
        if failures is None:
            return 0.0
        now = self._clock()
        while failures and failures[0] <= now - 60:
            failures.popleft()
        if not failures:
            del self._failures[client]
            return 0.0
        return 60 - (now - failures[0]) if len(failures) >= self._limit else 0.0

    def fail(self, client: str) -> None:
        """Count a wrong token."""
        if len(self._failures) > 10_000:
            for known in list(self._failures):
                self.wait(known)
        self._failures.setdefault(client, deque(maxlen=self._limit)).append(self._clock())
