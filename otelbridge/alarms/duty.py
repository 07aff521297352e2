"""Alarms as a part of the bridge's process: rules of all sources, looked at every few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from otelbridge.alarms import kept as keeping
from otelbridge.alarms.book import FileBook
from otelbridge.alarms.kept import Kept
from otelbridge.alarms.listing import Listing, list_all
from otelbridge.alarms.rule_file import RuleFile
from otelbridge.alarms.rules import Rules
from otelbridge.alarms.states import State
from otelbridge.alarms.watch import Watch
from otelbridge.bridge_state import StateFile
from otelbridge.channels.channel import ChannelError, Receipt
from otelbridge.channels.courier import Courier, deliver_now
from otelbridge.channels.definition import KINDS as CHANNELS
from otelbridge.channels.delivery_log import DeliveryLog
from otelbridge.channels.destination import Destination
from otelbridge.channels.file_outbox import FileOutbox
from otelbridge.channels.message import Message
from otelbridge.channels.outbox import Delivery
from otelbridge.error_states import ErrorStates
from otelbridge.projects import Project
from otelbridge.store.protocol import Store
from otelbridge.tasks import end

_logger = logging.getLogger("otelbridge.alarms")

EVERY_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 3.0


class Duty:
    """Watches over a store by rules that may be changed meanwhile; without rules it does nothing.

    Args:
        path: the file of rules and destinations, if there is one.
        store: where records are.
        folder: where states, what waits, the log of what was sent, and what was made on the page
            are kept.
        variables: rules and destinations of environment variables.
        channels: import paths of classes that destinations on the page may be of.
        projects: gives the projects as the page shows them.
        every: seconds between two looks.

    Attributes:
        kinds: what a destination on the page may be.
        looks: how often it has looked.
    """

    def __init__(
        self,
        path: Path | None,
        store: Store,
        folder: Path,
        *,
        variables: Rules | None = None,
        channels: Sequence[str] = (),
        projects: Callable[[], list[Project]] | None = None,
        error_states: ErrorStates | None = None,
        every: float = EVERY_SECONDS,
    ) -> None:
        self.path = path
        self.kinds = (*CHANNELS, *channels)
        self.looks = 0
        self.log = DeliveryLog(folder / "sent.jsonl")
        self.files = folder / "messages"
        self._projects = projects
        self._error_states = error_states
        self._store = store
        self._folder = folder
        self._page = ""
        self._every = every
        self._file = RuleFile(path) if path is not None else None
        self._variables = variables or Rules()
        self._kept_in = StateFile(folder / "alarms.json")
        self._kept = Kept()
        self._changing = threading.Lock()
        self._listing = Listing()
        self._rules = Rules()
        self._outbox: FileOutbox | None = None
        self._courier: Courier | None = None
        self._watch: Watch | None = None
        self._looking: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self, page: str = "") -> None:
        """Read the rules and begin to look.

        Args:
            page: the address of the page, for links.

        Raises:
            RuleError: the file cannot be used.
        """
        self._page = page
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._read)
        self._looking = asyncio.create_task(self._look_on())

    async def stop(self) -> None:
        """Stop looking, and send what can be sent; the rest is sent after the next start."""
        if self._looking is not None:
            await end(self._looking)
        if self._courier is not None:
            await asyncio.to_thread(self._courier.close, CLOSE_SECONDS)

    @property
    def problem(self) -> str:
        """Why the file cannot be used as it is now; empty while it can."""
        return self._file.problem if self._file is not None else ""

    @property
    def rules(self) -> Rules:
        """What is watched now, and what is sent to."""
        return self._rules

    @property
    def listing(self) -> Listing:
        """Everything there is, with what is paused and what cannot be used."""
        return self._listing

    @property
    def kept(self) -> Kept:
        """What was made on the page."""
        return self._kept

    def states(self) -> list[State]:
        """List the alarms that wait or fire."""
        return self._watch.states() if self._watch is not None else []

    def newest(self, rule: str) -> State | None:
        """Give what a rule told last, over or not."""
        return self._watch.newest(rule) if self._watch is not None else None

    @property
    def problems(self) -> dict[str, str]:
        """Why a rule cannot be looked at now, by its name."""
        return dict(self._watch.problems) if self._watch is not None else {}

    def sent(self, limit: int = 100) -> list[dict[str, Any]]:
        """Read what was sent and whether it arrived, newest first."""
        return self.log.recent(limit)

    def waiting(self) -> list[Delivery]:
        """List the messages that have not arrived yet, and why, oldest first."""
        return self._outbox.queued() if self._outbox is not None else []

    def change(self, make: Callable[[Kept], Kept]) -> None:
        """Change what was made on the page. It is watched by from the next look on, which is now.

        Args:
            make: gives another of what there is; what it raises is raised, and nothing changes.

        Raises:
            OSError: it could not be kept; nothing was changed.
        """
        with self._changing:
            kept = make(self._kept)
            self._kept_in.save(keeping.to_data(kept))
            self._kept = kept
            self._list()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    def try_destination(self, name: str) -> Receipt:
        """Send a message to one destination now; what a test button does. It blocks.

        Raises:
            ChannelError: it did not arrive.
            ValueError: no destination is called so, or it cannot be used.
        """
        for one in self._listing.destinations:
            if one.name == name and one.what is not None:
                return self._try(one.what)
        known = ", ".join(one.name for one in self._listing.destinations) or "none"
        raise ValueError(f"there is no destination {name!r}; known: {known}")

    def _try(self, destination: Destination) -> Receipt:
        message = Message(title="a message to try this destination", text="It arrived.")
        delivery = Delivery(
            destination=destination.name, message=message, created=time.time(), attempts=1
        )
        try:
            receipt = deliver_now(destination, message)
        except ChannelError as error:
            delivery.state, delivery.reason = "failed", str(error)
            raise
        else:
            delivery.state, delivery.reply = "sent", receipt.reply
            return receipt
        finally:
            delivery.changed = time.time()
            try:
                self.log.add(delivery)
            except OSError as error:
                # Whether it arrived is what is asked for; that it could not be noted is not.
                _logger.warning("the log of messages: %s", error.strerror or error)

    async def _look_on(self) -> None:
        while True:
            self._changed.clear()
            look = asyncio.ensure_future(asyncio.to_thread(self._look))
            try:
                await asyncio.shield(look)
            except asyncio.CancelledError:
                # What it tells it notes as well, or the next start would tell it again.
                await asyncio.wait([look], timeout=CLOSE_SECONDS)
                raise
            except Exception:
                # Alarms must not stop because of one look that failed in an unforeseen way.
                _logger.exception("alarms could not be looked at")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._every)

    def _read(self) -> None:
        if self._file is not None:
            self._file.read()
        self._kept = self._kept_in.load(keeping.from_data, Kept())
        self._list()
        self._begin(self._listing.active())

    def _list(self) -> None:
        file = self._file.rules if self._file is not None else Rules()
        self._listing = list_all(file, self._variables, self._kept, self.files)

    def _look(self) -> None:
        with self._changing:
            if self._file is not None and self._file.reread():
                self._list()
            rules = self._listing.active()
        if rules != self._rules:
            self._begin(rules)
        if self._watch is not None and rules.rules:
            self._watch.look()
        self.looks += 1

    def _begin(self, rules: Rules) -> None:
        if self._courier is None or rules.destinations != self._rules.destinations:
            if self._courier is not None:
                # What it cannot send by then is in the outbox, for the next one.
                self._courier.close(CLOSE_SECONDS)
            self._outbox = FileOutbox(self._folder / "waiting", self.log)
            self._courier = Courier(rules.destinations, self._outbox)
            self._courier.resume()
        if self._watch is None:
            book = FileBook(self._folder / "states.json")
            self._watch = Watch(
                rules.rules,
                self._store,
                self._courier,
                book,
                page=self._page,
                projects=self._projects,
                error_states=self._error_states,
            )
        else:
            self._watch.change_courier(self._courier)
            self._watch.change_rules(rules.rules)
        self._rules = rules
