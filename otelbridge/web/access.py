"""What opens the page: the token, and users with their passwords; neither is guessed quickly."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time

from starlette.concurrency import run_in_threadpool

from otelbridge.users import Users
from otelbridge.web.sessions import Attempts, same, session_holds, session_name

# Of the API's callers, who send name and password with every request.
_MOST_KNOWN = 1000


class TooManyError(Exception):
    """Too many wrong guesses came from this address, or for this name.

    Attributes:
        wait: seconds until the next one is looked at.
    """

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many wrong guesses; wait {wait:g} s")
        self.wait = wait


class Access:
    """Who may use the page.

    Args:
        token: opens everything; none where it is ``None``.
        users: who may sign in by name.
        open: nobody has to show anything where there is neither; only where no network leads here.
    """

    def __init__(self, token: str | None, users: Users, *, open: bool) -> None:
        self.token = token
        self.users = users
        self.attempts = Attempts()
        self._open = open
        self._checking: dict[bytes, asyncio.Task[bool]] = {}
        self._secret = secrets.token_bytes(32)
        self._known: dict[bytes, bytes] = {}

    @property
    def required(self) -> bool:
        """Whether anybody has to show anything."""
        return not self._open or self.token is not None or bool(self.users)

    def key(self, name: str) -> str | bytes | None:
        """Give what a session is signed with: the token's without a name, a user's with one."""
        return self.users.key(name) if name else self.token

    def holds(self, cookie: str) -> bool:
        """Tell whether a session's cookie is one of ours."""
        key = self.key(session_name(cookie))
        return key is not None and session_holds(cookie, key, time.time())

    def is_token(self, given: str, client: str) -> bool:
        """Tell whether this is the token.

        Args:
            client: the address it comes from.

        Raises:
            TooManyError: this address guessed too often.
        """
        self._count(client)
        if self.token is None or not same(given, self.token):
            return False
        self.attempts.forgive(client)
        return True

    async def is_user(self, name: str, password: str, client: str) -> bool:
        """Tell whether a user has this password.

        Args:
            client: the address it comes from.

        Raises:
            TooManyError: this address guessed too often, or somebody did for this name.
        """
        mark = hmac.new(
            self._secret, f"{name}\0{password}".encode("utf-8", "surrogatepass"), hashlib.sha256
        ).digest()
        key = self.users.key(name)
        if key is not None and self._known.get(mark) == key:
            return True
        checking = self._checking.get(mark)
        if checking is None:
            # A program's first requests come side by side: they are one guess, looked at once.
            checking = asyncio.create_task(self._check(name, password, client))
            self._checking[mark] = checking
            checking.add_done_callback(lambda _: self._checking.pop(mark, None))
        right = await asyncio.shield(checking)
        if right and key is not None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[mark] = key
        return right

    async def _check(self, name: str, password: str, client: str) -> bool:
        whose = (client, f"user {name}")
        # Counted before it is looked at: that takes a while, and others may ask meanwhile.
        self._count(*whose)
        right = await run_in_threadpool(self.users.check, name, password)
        if right:
            self.attempts.forgive(*whose)
        return right

    def _count(self, *whose: str) -> None:
        wait = self.attempts.wait(*whose)
        if wait:
            raise TooManyError(wait)
        self.attempts.fail(*whose)
