"""The Errors view: what is new, what is frequent? And one group: where, since when, for whom?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from otelbridge.error_groups import USER_KEYS, group_query
from otelbridge.error_states import SAID, STATES, ErrorStates, State
from otelbridge.search import QueryError, to_text
from otelbridge.search.query import And, Match, Or, Query
from otelbridge.store.protocol import ErrorGroup, Store, StoredLog, TimeRange
from otelbridge.web import charts, times
from otelbridge.web.answers import (
    BadAddressError,
    json_answer,
    refuse_bad_state,
    wants_json,
)
from otelbridge.web.log_views import make_panel, make_row
from otelbridge.web.pages import render
from otelbridge.web.posted import read_posted
from otelbridge.web.state import ALL_TIME, PageState, read_state

STEPS: Final = 30
# Groups that are read; more than this at once is a flood, of which the page says so.
MOST_GROUPS: Final = 500
NEWEST_SHOWN: Final = 20

# What the list may show: what waits for somebody, one state, or all.
OPEN: Final = frozenset[State]({"new", "reopened", "seen"})
FILTERS: Final = ("open", *STATES, "all")
SORTS: Final = ("last_seen", "first_seen", "count")


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group as its row shows it.

    Attributes:
        logs: the query for its records, the page's own query included.
    """

    group: ErrorGroup
    state: State
    address: str
    logs: str
    seen: str
    first: str
    line: list[str]


def make_group_row(group: ErrorGroup, states: ErrorStates, state: PageState) -> GroupRow:
    return GroupRow(
        group=group,
        state=states.of(group),
        address=state.address(group_path(group.fingerprint)),
        logs=logs_query(group.fingerprint, state),
        seen=times.ago(group.last_seen, state.now),
        first=times.ago(group.first_seen, state.now),
        line=charts.sparkline(group.series),
    )


def group_path(fingerprint: str) -> str:
    """The address of a group's page."""
    return f"/errors/{quote(fingerprint, safe='')}"


def logs_query(fingerprint: str, state: PageState) -> str:
    """The query that finds the records that a group counts."""
    own = to_text(group_query(fingerprint))
    return f"{own} and {state.joined}" if state.query_text else own


async def page(request: Request) -> Response:
    """Answer the list of groups; ``state`` and ``sort`` choose which, and in what order."""
    state = read_state(request, path="/errors")
    shown, sort = _choice(request)
    found: list[GroupRow] = []
    if not state.failed:
        try:
            found = await _rows(request, state)
        except QueryError as error:
            state = replace(state, query_error=error)
    chosen = _sorted([row for row in found if _is_shown(row, shown)], sort)
    newest = None if chosen or state.failed else await _newest(request, state.query)
    return render(
        request,
        "errors/page.html",
        state,
        status=400 if state.failed else 200,
        view="/errors",
        rows=chosen,
        total=sum(row.group.count for row in chosen),
        shown=shown,
        sort=sort,
        filters=_filters(found),
        services=_services(found),
        most=MOST_GROUPS if len(found) >= MOST_GROUPS else 0,
        newest=newest,
        around=state.around(newest.last_seen, 450) if newest else "",
        address_with=_keeping(state, shown, sort),
    )


async def data(request: Request) -> Response:
    """Answer ``/errors.json``: groups with their states, chosen and in order as on the page."""
    state = read_state(request, path="/errors")
    refuse_bad_state(state)
    shown, sort = _choice(request)
    found = [row for row in await _rows(request, state) if _is_shown(row, shown)]
    return json_answer({"groups": [_document(row) for row in _sorted(found, sort)]}, state)


async def group(request: Request) -> Response:
    """Answer one group: its newest error in the range, or of all, and what is known of it."""
    state = read_state(request)
    fingerprint: str = request.path_params["fingerprint"]
    state = replace(state, path=group_path(fingerprint))
    row, in_range = await _group(request, state, fingerprint)
    store: Store = request.app.state.bridge.store
    newest = await run_in_threadpool(store.log, row.group.sample)
    logs: list[StoredLog] = []
    if in_range:
        query = _within_group(fingerprint, state.query)
        logs = await run_in_threadpool(store.logs, query, state.within, limit=NEWEST_SHOWN)
    return render(
        request,
        "errors/group.html",
        state,
        status=400 if state.failed else 200,
        view="/errors",
        row=row,
        count=row.group.count if in_range else 0,
        panel=make_panel(newest) if newest else None,
        rows=[make_row(stored) for stored in logs],
        users=[(user, count, _of_user(row.logs, user)) for user, count in row.group.users],
        last_range=state.around(row.group.last_seen, 450),
    )


async def group_data(request: Request) -> Response:
    """Answer ``/errors/{fingerprint}.json``."""
    state = read_state(request)
    refuse_bad_state(state)
    row, in_range = await _group(request, state, request.path_params["fingerprint"])
    document = _document(row)
    if not in_range:
        document.update(count=0, series=[], services=[], releases=[], users=[], user_count=0)
    return json_answer(document, state)


async def say(request: Request) -> Response:
    """Take ``state`` for a group, ``new``, ``seen``, ``resolved`` or ``ignored``, and keep it."""
    fingerprint: str = request.path_params["fingerprint"]
    posted = await read_posted(request)
    said = posted.get("state")
    if said not in SAID:
        raise BadAddressError(f"The state is one of {', '.join(SAID)}.")
    bridge = request.app.state.bridge
    found = await run_in_threadpool(
        bridge.store.error_groups, None, ALL_TIME, fingerprint=fingerprint, steps=1
    )
    if not found:
        raise HTTPException(404, "No error of this group is stored; it may have expired.")
    state = read_state(request)
    states: ErrorStates = request.app.state.bridge.error_states
    try:
        # Not before the last one: its sender's clock may be ahead of this one.
        await run_in_threadpool(states.say, fingerprint, said, max(state.now, found[0].last_seen))
    except OSError as error:
        raise HTTPException(503, f"The state could not be kept: {error.strerror}.") from error
    kind = request.headers.get("content-type", "")
    if wants_json(request) or kind.startswith("application/json"):
        return json_answer({"fingerprint": fingerprint, "state": states.of(found[0])})
    return RedirectResponse(_back(posted.get("back"), fingerprint), 303)


def _back(asked: Any, fingerprint: str) -> str:
    """Where a form's answer leads: to the view it stood in, which is one of these."""
    back = asked if isinstance(asked, str) else ""
    known = back == "/errors" or back.startswith(("/errors?", "/errors/"))
    return back if known else group_path(fingerprint)


def _choice(request: Request) -> tuple[str, str]:
    shown = request.query_params.get("state") or "open"
    sort = request.query_params.get("sort") or "last_seen"
    if shown not in FILTERS:
        raise BadAddressError(f"The state is one of {', '.join(FILTERS)}.")
    if sort not in SORTS:
        raise BadAddressError(f"Errors are sorted by {', '.join(SORTS)}.")
    return shown, sort


async def _rows(request: Request, state: PageState) -> list[GroupRow]:
    store: Store = request.app.state.bridge.store
    states: ErrorStates = request.app.state.bridge.error_states
    found = await run_in_threadpool(
        store.error_groups, state.query, state.within, limit=MOST_GROUPS, steps=STEPS
    )
    return [make_group_row(group, states, state) for group in found]


async def _group(request: Request, state: PageState, fingerprint: str) -> tuple[GroupRow, bool]:
    """A group in the range or, where it has no error there, over all; and which of both it is."""

    async def find(query: Query | None, within: TimeRange) -> list[ErrorGroup]:
        store: Store = request.app.state.bridge.store
        return await run_in_threadpool(
            store.error_groups, query, within, fingerprint=fingerprint, steps=STEPS
        )

    in_range = [] if state.failed else await find(state.query, state.within)
    found = in_range or await find(None, ALL_TIME)
    if not found:
        raise HTTPException(404, "No error of this group is stored; it may have expired.")
    states: ErrorStates = request.app.state.bridge.error_states
    return make_group_row(found[0], states, state), bool(in_range)


async def _newest(request: Request, query: Query | None) -> ErrorGroup | None:
    """The group seen last, whenever that was."""
    store: Store = request.app.state.bridge.store
    found = await run_in_threadpool(store.error_groups, query, ALL_TIME, limit=1, steps=1)
    return found[0] if found else None


def _within_group(fingerprint: str, query: Query | None) -> Query:
    own = group_query(fingerprint)
    return own if query is None else And((own, query))


def _of_user(logs: str, user: str) -> str:
    named = Or(tuple(Match(key, user, quoted=True) for key in USER_KEYS))
    return f"{logs} and ({to_text(named)})"


def _is_shown(row: GroupRow, shown: str) -> bool:
    return shown == "all" or (row.state in OPEN if shown == "open" else row.state == shown)


def _filters(rows: list[GroupRow]) -> list[tuple[str, int]]:
    """Which filters there are, and how many groups each shows."""
    return [(name, sum(_is_shown(row, name) for row in rows)) for name in FILTERS]


def _services(rows: list[GroupRow]) -> list[tuple[str, int]]:
    """Services of these groups, with how many groups each has."""
    found = Counter(name for row in rows for name, _ in row.group.services)
    return sorted(found.items())


def _sorted(rows: list[GroupRow], sort: str) -> list[GroupRow]:
    return sorted(rows, key=lambda row: getattr(row.group, sort), reverse=True)


def _keeping(state: PageState, shown: str, sort: str) -> Callable[..., str]:
    """Writes addresses of this list, with its filter and order unless others are asked for."""

    def address(**changes: str | None) -> str:
        chosen: dict[str, str | None] = {
            "state": None if shown == "open" else shown,
            "sort": None if sort == "last_seen" else sort,
        }
        return state.address("/errors", **{**chosen, **changes})

    return address


def _document(row: GroupRow) -> dict[str, Any]:
    document = asdict(row.group)
    document["first_seen"] = times.iso(row.group.first_seen)
    document["last_seen"] = times.iso(row.group.last_seen)
    for name in ("services", "releases", "users"):
        document[name] = [{"name": value, "count": count} for value, count in document[name]]
    return {**document, "state": row.state, "logs": row.logs}


ROUTES = [
    Route("/errors", page),
    Route("/errors.json", data),
    Route("/errors/{fingerprint:path}/state", say, methods=["POST"]),
    Route("/errors/{fingerprint:path}.json", group_data),
    Route("/errors/{fingerprint:path}", group),
]
