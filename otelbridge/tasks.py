"""Ending what runs in the background of an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended.

    Raises:
        Exception: what it had ended with before.
    """
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
