"""Tokens and sessions: compared, turned into cookies, and slow to guess."""

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


def open_session(key: str | bytes, now: float, name: str = "") -> str:
    """Make a session's cookie: when it ends, signed, and whose it is.

    It needs no memory, outlives a restart, and ends when the token or the password is changed.

    Args:
        key: the token, or what goes with the user's password.
        now: seconds since the epoch.
        name: the user; none for the token's.
    """
    ends = str(int(now) + SESSION_SECONDS)
    return ".".join((ends, _signature(key, ends, name), *([name.encode().hex()] if name else [])))


def session_name(cookie: str) -> str:
    """Read whose session a cookie says it is; nothing for the token's. It may be made up."""
    try:
        return bytes.fromhex("".join(cookie.split(".")[2:])).decode()
    except ValueError:
        return ""


def session_holds(cookie: str, key: str | bytes, now: float) -> bool:
    """Tell whether a session's cookie is ours and has not ended."""
    ends, _, rest = cookie.partition(".")
    if not (ends.isascii() and ends.isdigit() and len(ends) <= 12):
        return False
    signature = rest.partition(".")[0]
    return same(signature, _signature(key, ends, session_name(cookie))) and now < int(ends)


def _signature(key: str | bytes, ends: str, name: str) -> str:
    message = f"otelbridge session until {ends}" + (f" of {name}" if name else "")
    secret = key.encode() if isinstance(key, str) else key
    return hmac.new(secret, message.encode(), hashlib.sha256).hexdigest()


class Attempts:
    """Counts wrong tokens and passwords, so that guessing is slow.

    Args:
        limit: how many are allowed within a minute, for each address and for each name.
    """

    def __init__(self, limit: int = 10, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def wait(self, *whose: str) -> float:
        """Seconds until all of these may try again; 0 for now."""
        return max((self._wait(one) for one in whose), default=0.0)

    def fail(self, *whose: str) -> None:
        """Count a wrong guess."""
        for one in whose:
            if len(self._failures) > 10_000:
                for known in list(self._failures):
                    self._wait(known)
            self._failures.setdefault(one, deque(maxlen=self._limit)).append(self._clock())

    def forgive(self, *whose: str) -> None:
        """Take one guess back, which was right."""
        for one in whose:
            if failures := self._failures.get(one):
                failures.pop()

    def _wait(self, whose: str) -> float:
        failures = self._failures.get(whose)
        if failures is None:
            return 0.0
        now = self._clock()
        while failures and failures[0] <= now - 60:
            failures.popleft()
        if not failures:
            del self._failures[whose]
            return 0.0
        return 60 - (now - failures[0]) if len(failures) >= self._limit else 0.0
