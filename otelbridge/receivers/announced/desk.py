"""Where messages of programs without OpenTelemetry are taken in, whichever way they came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import orjson

from otelbridge.error_groups import identify
from otelbridge.projects import Roster
from otelbridge.receivers.announced.announcement import Announcement, MessageError
from otelbridge.receivers.announced.callers import Caller, Callers
from otelbridge.receivers.announced.records import complete, last_error, records_of
from otelbridge.receivers.decoded import Decoded
from otelbridge.receivers.intake import Intake
from otelbridge.store.protocol import StoreUnavailableError

# How long a message waits for the bridge to know who announced itself before its start.
_READY_SECONDS: Final = 10.0


class Desk:
    """Takes in messages: finds out whose they are, and stores them as records.

    Args:
        intake: into the store, with its counts.
        projects: knows who announced itself before.
        token: what senders must present, ``None`` for nothing.
        max_bytes: largest message.
    """

    def __init__(
        self, intake: Intake, projects: Roster, *, token: str | None, max_bytes: int
    ) -> None:
        self.intake = intake
        self.token = token
        self.max_bytes = max_bytes
        self.callers = Callers(projects.processes)
        self._projects = projects

    async def take(
        self,
        body: bytes | str,
        read: Callable[[Any], Announcement],
        host: str,
        caller: Caller | None = None,
        *,
        resumes: bool = False,
    ) -> Caller:
        """Take in one message; returns once it is stored.

        Args:
            body: JSON.
            read: makes an announcement of it.
            host: where it came from.
            caller: whose connection it came by, where that is known.
            resumes: a start may be of a process whose connection was lost.

        Raises:
            DecodeError: it cannot be used.
            StoreUnavailableError: nothing of it was stored; later it may be.
            StoreError: it can never be stored.
        """
        try:
            await asyncio.wait_for(self._projects.ready(), _READY_SECONDS)
        except asyncio.TimeoutError:
            message = "the bridge has only just begun"
            self.intake.reject("store_unavailable", message)
            raise StoreUnavailableError(message, retry_after=5.0) from None
        found: list[Caller] = []

        def decode() -> Decoded:
            said = read(_json(body))
            complete(said)
            whose = self.callers.find(said, host, caller, resumes=resumes)
            found.append(whose)
            uptime = self.callers.uptime(whose)
            batch = records_of(said, whose, uptime, time.time_ns())
            if said.event == "error":
                identify(batch.logs)
                whose.last_error = last_error(batch.logs[0])
            return Decoded(batch)

        await self.intake.take(decode, len(body))
        return found[0]

    def end(self, caller: Caller) -> Announcement:
        """Say for a program that it has ended, where its way of saying so is to hang up."""
        return Announcement(
            event="end",
            project=caller.project.name,
            outcome="crashed" if self.callers.failed_lately(caller) else "completed",
            sender=caller.sender,
        )


def _json(body: bytes | str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MessageError(f"the message is not JSON: {error}") from None
