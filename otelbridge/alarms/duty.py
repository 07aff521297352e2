"""Alarms as a part of the bridge's process: rules from a file, looked at every few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any, Final

from otelbridge.alarms.book import FileBook
from otelbridge.alarms.rules import RuleError, Rules, read_rules
from otelbridge.alarms.states import State
from otelbridge.alarms.watch import Watch
from otelbridge.channels.channel import Receipt
from otelbridge.channels.courier import Courier, deliver_now
from otelbridge.channels.delivery_log import DeliveryLog
from otelbridge.channels.file_outbox import FileOutbox
from otelbridge.channels.message import Message
from otelbridge.store.protocol import Store

_logger = logging.getLogger("otelbridge.alarms")

EVERY_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 3.0


class Duty:
    """Watches over a store by the rules of a file, which may be changed meanwhile.

    Args:
        path: the file of rules and destinations.
        store: where records are.
        folder: where states, what waits, and the log of what was sent are kept.
        page: the address of the page, for links.
        every: seconds between two looks.

    Attributes:
        problem: why the file cannot be used as it is now; empty while it can.
    """

    def __init__(
        self,
        path: Path,
        store: Store,
        folder: Path,
        *,
        page: str = "",
        every: float = EVERY_SECONDS,
    ) -> None:
        self.path = path
        self.problem = ""
        self.log = DeliveryLog(folder / "sent.jsonl")
        self._store = store
        self._folder = folder
        self._page = page
        self._every = every
        self._read_as: tuple[int, int] | None = None
        self._rules = Rules()
        self._courier: Courier | None = None
        self._watch: Watch | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the file and begin to look.

        Raises:
            RuleError: the file cannot be used.
        """
        await asyncio.to_thread(self._begin, await asyncio.to_thread(self._read))
        self._looking = asyncio.create_task(self._look_on())

    async def stop(self) -> None:
        """Stop looking, and send what can be sent; the rest is sent after the next start."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
        if self._courier is not None:
            await asyncio.to_thread(self._courier.close, CLOSE_SECONDS)

    @property
    def rules(self) -> Rules:
        return self._rules

    def states(self) -> list[State]:
        """List the alarms that wait or fire."""
        return self._watch.states() if self._watch is not None else []

    @property
    def problems(self) -> dict[str, str]:
        """Why a rule cannot be looked at now, by its name."""
        return dict(self._watch.problems) if self._watch is not None else {}

    def sent(self, limit: int = 100) -> list[dict[str, Any]]:
        """Read what was sent and whether it arrived, newest first."""
        return self.log.recent(limit)

    def try_destination(self, name: str) -> Receipt:
        """Send a message to one destination now; what a test button does. It blocks.

        Raises:
            ChannelError: it did not arrive.
            ValueError: no destination is called so.
        """
        for destination in self._rules.destinations:
            if destination.name == name:
                title = "a message to try this destination"
                return deliver_now(destination, Message(title=title, text="It arrived."))
        known = ", ".join(one.name for one in self._rules.destinations) or "none"
        raise ValueError(f"there is no destination {name!r}; known: {known}")

    async def _look_on(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._look)
            except Exception:
                # Alarms must not stop because of one look that failed in an unforeseen way.
                _logger.exception("alarms could not be looked at")
            await asyncio.sleep(self._every)

    def _look(self) -> None:
        self._reread()
        assert self._watch is not None
        self._watch.look()

    def _read(self) -> Rules:
        self._read_as = self._stamp()
        return read_rules(self.path)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size

    def _reread(self) -> None:
        """Use the file as it is now, if it was changed and can be used."""
        if self._stamp() == self._read_as:
            return
        try:
            rules = self._read()
        except RuleError as error:
            if str(error) != self.problem:
                _logger.warning("alarms stay as they were: %s", error)
            self.problem = str(error)
            return
        self.problem = ""
        if rules != self._rules:
            self._begin(rules)

    def _begin(self, rules: Rules) -> None:
        if self._watch is not None and rules.destinations == self._rules.destinations:
            self._watch.change_rules(rules.rules)
        else:
            if self._courier is not None:
                # What it cannot send by then is in the outbox, for the next one.
                self._courier.close(CLOSE_SECONDS)
            self._courier = Courier(
                rules.destinations, FileOutbox(self._folder / "waiting", self.log)
            )
            self._courier.resume()
            book = FileBook(self._folder / "states.json")
            self._watch = Watch(rules.rules, self._store, self._courier, book, page=self._page)
        self._rules = rules
