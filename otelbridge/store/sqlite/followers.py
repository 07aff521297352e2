"""Following commits: each follower has at most one answer waiting, into which others merge."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import AsyncIterator

from otelbridge.store.protocol import Arrivals

# A follower that fell behind is told of this many of the newest ids.
_MOST_IDS = 20_000


class Follower(AsyncIterator[Arrivals]):
    """What :meth:`Followers.follow` gives: iterate it in the loop it was made in."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._waiting: Arrivals | None = None
        self._ended = False

    async def begun(self) -> None:
        """Return at once: what is committed after this was made is told."""

    async def __anext__(self) -> Arrivals:
        await self._ready.wait()
        if self._waiting is None:
            raise StopAsyncIteration
        arrivals, self._waiting = self._waiting, None
        if not self._ended:
            self._ready.clear()
        return arrivals

    def tell(self, arrivals: Arrivals | None) -> None:
        """Tell of a commit, from any thread; of the end by ``None``."""
        # A loop that closed has nobody left who follows.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._receive, arrivals)

    def _receive(self, arrivals: Arrivals | None) -> None:
        if arrivals is None:
            self._ended = True
        elif self._waiting is None:
            self._waiting = arrivals
        else:
            before = self._waiting
            self._waiting = Arrivals(
                [*before.logs, *arrivals.logs][-_MOST_IDS:],
                [*before.spans, *arrivals.spans][-_MOST_IDS:],
                before.points + arrivals.points,
            )
        self._ready.set()


class Followers:
    """Everyone who follows; a follower that is no longer referred to is gone by itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: weakref.WeakSet[Follower] = weakref.WeakSet()

    def __len__(self) -> int:
        with self._lock:
            return len(self._all)

    def follow(self) -> Follower:
        """Follow from now on."""
        follower = Follower()
        with self._lock:
            self._all.add(follower)
        return follower

    def tell(self, arrivals: Arrivals | None) -> None:
        """Tell everyone, from any thread."""
        with self._lock:
            everyone = list(self._all)
        for follower in everyone:
            follower.tell(arrivals)
