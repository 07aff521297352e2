"""The live tail: records as they are stored, by server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import orjson
from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from otelbridge.store.protocol import Arrivals, Following, Store, StoredLog, StoreError
from otelbridge.web.answers import refuse_bad_state, wants_json
from otelbridge.web.documents import log_document
from otelbridge.web.log_views import make_row
from otelbridge.web.state import ALL_TIME, PageState, number_of, read_number, read_state

# Between two events; commits in between arrive together. A reader sees no difference.
PAUSE_SECONDS = 0.2
# A proxy that hears nothing hangs up, and a browser that left is noticed by a write only.
KEEP_ALIVE_SECONDS = 10.0
# More than this at once is not read by anyone; the page says how many it left out.
LARGEST_EVENT = 500
# Records since the page was made, or since the connection broke: a page's, and a script's.
LARGEST_CATCH_UP = 500
LARGEST_WHOLE_CATCH_UP = 20_000


async def tail(request: Request) -> Response:
    """Answer ``/logs/tail``: matching records as they come, oldest first.

    An event ``logs`` carries lines of the page's list as HTML; with ``?format=json`` or
    ``Accept: application/json``, one JSON record a ``data:`` line. ``after`` (an id) or
    ``Last-Event-ID`` first brings what was stored since.
    """
    state = read_state(request, path="/logs")
    refuse_bad_state(state)
    store: Store = request.app.state.bridge.store
    as_json = request.query_params.get("format") == "json" or wants_json(request)
    after = read_number(request, "after")
    resumed = number_of(request.headers.get("last-event-id", ""))
    if resumed is not None:
        after = resumed
    environment: Environment = request.app.state.templates
    # Followed from here on, so that nothing falls between the list and the first event.
    arrivals = store.arrivals()

    def write(found: Sequence[StoredLog], skipped: int = 0) -> str:
        if as_json:
            lines = [orjson.dumps(log_document(stored), default=str).decode() for stored in found]
        else:
            html = environment.get_template("logs/rows.html").render(
                rows=[make_row(stored) for stored in reversed(found)],
                state=state,
                skipped=skipped,
                panel=None,
            )
            lines = html.splitlines()
        return event("logs", lines, max(stored.id for stored in found))

    async def events() -> AsyncIterator[str]:
        await arrivals.begun()
        yield ": connected\n\n"
        try:
            async for found, skipped in follow(store, arrivals, state, after, whole=as_json):
                # Not on the event loop: the receivers run there.
                yield (
                    await run_in_threadpool(write, found, skipped) if found else ": still here\n\n"
                )
        except StoreError as error:
            # Too late for a status; who follows connects again and goes on where this ended.
            yield f": {error}\n\n"

    return StreamingResponse(
        events(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def event(name: str, lines: Sequence[str], id_: int) -> str:
    """Write one server-sent event."""
    data = "".join(f"data: {line}\n" for line in lines)
    return f"event: {name}\nid: {id_}\n{data}\n"


async def follow(
    store: Store,
    arrivals: Following,
    state: PageState,
    after: int | None,
    *,
    whole: bool,
) -> AsyncIterator[tuple[list[StoredLog], int]]:
    """Follow what is stored and matches, oldest first.

    Args:
        after: first bring what is newer than this id.
        whole: bring every record; else the newest of many.

    Yields:
        Records and how many were left out; no records every :data:`KEEP_ALIVE_SECONDS`.
    """
    upcoming: asyncio.Future[Arrivals] | None = None
    try:
        upcoming = asyncio.ensure_future(_next(arrivals))
        seen: set[int] = set()
        if after is not None:
            limit = LARGEST_WHOLE_CATCH_UP if whole else LARGEST_CATCH_UP
            missed = await run_in_threadpool(
                store.logs, state.query, ALL_TIME, limit=limit, after=after
            )
            # What was stored since this began to follow is announced once more; of a data stream
            # that is just being made, also what was there before.
            seen = {after, *(stored.id for stored in missed)}
            for first in range(len(missed), 0, -LARGEST_CATCH_UP):
                yield missed[max(0, first - LARGEST_CATCH_UP) : first][::-1], 0
        while True:
            done, _ = await asyncio.wait({upcoming}, timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield [], 0
                continue
            try:
                ids = [id_ for id_ in upcoming.result().logs if id_ not in seen]
            except StopAsyncIteration:
                return
            upcoming = asyncio.ensure_future(_next(arrivals))
            if not ids:
                continue
            found = await run_in_threadpool(
                store.logs, state.query, ALL_TIME, limit=len(ids), ids=ids
            )
            if not found:
                continue
            kept = found if whole else found[:LARGEST_EVENT]
            yield kept[::-1], len(found) - len(kept)
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        if upcoming is not None and not upcoming.done():
            upcoming.cancel()
            await asyncio.wait({upcoming})
        closing = getattr(arrivals, "aclose", None)
        if closing is not None:
            await closing()


async def _next(arrivals: Following) -> Arrivals:
    return await arrivals.__anext__()


ROUTES = [Route("/logs/tail", tail)]
