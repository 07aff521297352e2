"""All processes the bridge knows, followed as their events are stored."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from otelbridge.bridge_state import StateFile
from otelbridge.model import LogRecord
from otelbridge.projects.notes import Notes, read_notes, write_notes
from otelbridge.projects.past import WATCHED, read_past
from otelbridge.projects.process import (
    Process,
    ProjectKey,
    hear,
    instance_of,
)
from otelbridge.projects.project import Project, gather
from otelbridge.store.protocol import (
    Arrivals,
    Following,
    Store,
    StoreError,
    StoreUnavailableError,
    TimeRange,
)
from otelbridge.tasks import end

_logger = logging.getLogger("otelbridge.projects")

_SECOND: Final = 10**9
_EVER: Final = TimeRange(0, 2**63 - 1)
# A follower is told of so many records at most; where there were that many, some may be missing.
_MOST_IDS: Final = 20_000
# Processes that are gone are forgotten beyond this many, the oldest first.
MOST_PROCESSES: Final = 20_000
# How often the store is asked whether it takes anything, while nothing comes, and the silent ones
# are noted.
TICK_SECONDS: Final = 2.0
# After this many seconds in which nothing could be heard, time stands still for every process: a
# silence that is the bridge's own is none of theirs. Less than anybody's silence means something.
DEAF_SECONDS: Final = 6.0
# After a store that could not answer.
RETRY_SECONDS: Final = 5.0


class Roster:
    """Knows every process that announced itself, and how it is.

    It is made from the store at the start and follows what is stored from then on, so it holds
    nothing that the store does not, but for what people chose to hide and to clean, and which
    processes were silent; that is in a file beside the store. It may be read from any thread.

    Args:
        store: opened before :meth:`start`.
        file: keeps notes over a restart.
        clock: seconds of a clock that nobody sets.
        wall: nanoseconds since the epoch.

    Attributes:
        problem: why nothing can be followed now, in one line; empty while it can.
    """

    def __init__(
        self,
        store: Store,
        file: StateFile,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self.problem = ""
        self._store = store
        self._file = file
        self._clock = clock
        self._wall = wall
        # When it was last able to hear, and for how many seconds it was not until then.
        self._pulse = (clock(), 0.0)
        self._lock = threading.Lock()
        self._notes = Notes()
        self._processes: dict[str, Process] = {}
        self._began = False
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Begin to follow; what is in the store is read meanwhile."""
        self._notes = await asyncio.to_thread(self._file.load, read_notes, Notes())
        self._task = asyncio.create_task(self._run())

    async def ready(self) -> None:
        """Wait until everything in the store is known."""
        await self._ready.wait()

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            await end(self._task)
            await asyncio.to_thread(self._note_silent)

    def projects(self) -> list[Project]:
        """List every project, hidden ones too, without the processes that were cleaned."""
        with self._lock:
            processes = list(self._processes.values())
            notes = self._notes
        shown = [
            process
            for process in processes
            if process.last_event > notes.cleaned.get(process.instance, -1)
        ]
        return gather(shown, self._now(), notes.hidden)

    def known_projects(self) -> list[Project]:
        """List every project, as :meth:`projects` does.

        Raises:
            StoreUnavailableError: they are not known yet, the bridge has only just begun.
        """
        if not self._ready.is_set():
            raise StoreUnavailableError("projects are still being read")
        return self.projects()

    def project(self, key: ProjectKey) -> Project | None:
        """Find one project."""
        return next((one for one in self.projects() if one.key == key), None)

    def processes(self) -> list[Process]:
        """List every process, those too that were cleaned."""
        with self._lock:
            return list(self._processes.values())

    def hide(self, key: ProjectKey, hidden: bool = True) -> None:
        """Leave a project out of the list, or bring it back. It blocks.

        Raises:
            OSError: it could not be noted; nothing is changed.
        """
        with self._lock:
            others = self._notes.hidden - {key}
            self._keep(replace(self._notes, hidden=others | {key} if hidden else others))

    def clean(self, key: ProjectKey) -> int:
        """Leave out the processes of a project that are not running. It blocks.

        What was stored of them stays stored; one that says something again is shown again.

        Returns:
            how many there were.

        Raises:
            OSError: it could not be noted; nothing is changed.
        """
        now = self._now()
        with self._lock:
            gone = {
                process.instance: process.last_event
                for process in self._processes.values()
                if process.project == key and process.status(now) != "running"
            }
            known = {
                instance: moment
                for instance, moment in self._notes.cleaned.items()
                if instance in self._processes
            }
            new = {one for one, moment in gone.items() if known.get(one) != moment}
            self._keep(replace(self._notes, cleaned={**known, **gone}))
        return len(new)

    def _now(self) -> float:
        """Seconds of the clock that processes are judged by."""
        heard, deaf = self._pulse
        return min(self._clock(), heard + DEAF_SECONDS) - deaf

    def _beat(self) -> None:
        """Note that whatever was said until now was heard."""
        heard, deaf = self._pulse
        now = self._clock()
        self._pulse = (now, deaf + max(0.0, now - heard - DEAF_SECONDS))

    def _keep(self, notes: Notes) -> None:
        self._file.save(write_notes(notes))
        self._notes = notes

    async def _run(self) -> None:
        while True:
            try:
                await self._follow(self._store.arrivals())
            except StoreError as error:
                self._say(str(error))
            except Exception as error:
                # Projects must not stand still because of one record of an unforeseen kind.
                _logger.exception("projects could not be followed")
                self._say(f"{type(error).__name__}: {error}")
            else:
                # The store has closed.
                return
            await asyncio.sleep(RETRY_SECONDS)

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            _logger.warning("projects cannot be followed now: %s", problem)
        self.problem = problem

    async def _follow(self, arrivals: Following) -> None:
        upcoming: asyncio.Future[Arrivals] | None = None
        try:
            # Followed before the past is read, so that nothing falls between.
            await arrivals.begun()
            await self._read_past()
            self._beat()
            self.problem = ""
            self._ready.set()
            ticked = self._clock()
            came = False
            while True:
                upcoming = upcoming or asyncio.ensure_future(_next(arrivals))
                done, _ = await asyncio.wait({upcoming}, timeout=TICK_SECONDS)
                if done:
                    try:
                        ids = upcoming.result().logs
                    except StopAsyncIteration:
                        return
                    upcoming, came = None, True
                    self._beat()
                    await self._take(ids)
                if not done or self._clock() - ticked >= TICK_SECONDS:
                    await asyncio.to_thread(self._tick, came)
                    ticked, came = self._clock(), False
        finally:
            if upcoming is not None and not upcoming.done():
                upcoming.cancel()
                await asyncio.wait({upcoming})
            closing = getattr(arrivals, "aclose", None)
            if closing is not None:
                await closing()

    async def _take(self, ids: Sequence[int]) -> None:
        if not ids:
            return
        # The moment of their arrival, however long the reading takes.
        now, wall = self._now(), self._wall()
        if len(ids) >= _MOST_IDS:
            await self._read_past()
            return
        found = await asyncio.to_thread(self._store.logs, WATCHED, _EVER, limit=len(ids), ids=ids)
        self._hear((stored.record for stored in reversed(found)), now, wall, live=True)

    async def _read_past(self) -> None:
        """Learn from the store; at the start every process that has not ended counts as heard."""
        records = await asyncio.to_thread(read_past, self._store, self._wall())
        now, wall = self._now(), self._wall()
        self._hear(records, now, wall, live=False)
        if self._began:
            return
        self._began = True
        with self._lock:
            silent = self._notes.silent
            for instance, process in self._processes.items():
                if process.outcome or silent.get(instance) == process.last_event:
                    quiet = max(0.0, (wall - process.arrived) / _SECOND)
                    if not process.outcome:
                        quiet = max(quiet, process.patience)
                    self._processes[instance] = replace(process, heard=now - quiet)

    def _hear(self, records: Iterable[LogRecord], now: float, wall: int, *, live: bool) -> None:
        with self._lock:
            for record in records:
                instance = instance_of(record.resource)
                key = instance or ""
                heard = hear(self._processes.get(key), record, now=now, wall=wall, live=live)
                if heard is not None:
                    self._processes[key] = heard
            excess = len(self._processes) - MOST_PROCESSES
            if excess > 0:
                self._forget(excess, now)

    def _forget(self, number: int, now: float) -> None:
        """Forget the oldest of those that are gone."""
        gone = [one for one in self._processes.values() if one.status(now) != "running"]
        gone.sort(key=lambda process: process.arrived)
        # Some more, so that it is not done at every event.
        for process in gone[: number + MOST_PROCESSES // 20]:
            del self._processes[process.instance]

    def _tick(self, came: bool) -> None:
        """Go on hearing, unless nothing comes because the store takes nothing."""
        refusing = "" if came else self._store.stats().refusing
        if refusing:
            self._say(refusing)
            return
        self.problem = ""
        self._beat()
        self._note_silent()

    def _note_silent(self) -> None:
        """Keep which processes are silent, for the next start of the bridge."""
        now = self._now()
        with self._lock:
            silent = {
                process.instance: process.last_event
                for process in self._processes.values()
                if process.status(now) == "silent"
            }
            if silent == self._notes.silent or not self._began:
                return
            try:
                self._keep(replace(self._notes, silent=silent))
            except OSError as error:
                self._say(f"{self._file.path} cannot be written: {error.strerror or error}")


async def _next(arrivals: Following) -> Arrivals:
    return await arrivals.__anext__()
