"""The Projects view: every program that announced itself, and how it is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from otelbridge.projects import Project, ProjectKey, Roster, Standing
from otelbridge.projects.errors import count_errors, errors_of, query_of
from otelbridge.store.protocol import Store, TimeRange
from otelbridge.web.answers import BadAddressError, json_answer, refuse_bad_state
from otelbridge.web.metrics import CHARTS
from otelbridge.web.pages import render
from otelbridge.web.posted import read_posted
from otelbridge.web.project_rows import (
    CPU,
    HOST_MEMORY,
    MARKS,
    MEMORY,
    SORTS,
    STATUSES,
    ProjectRow,
    Readings,
    document,
    is_found,
    make_process_row,
    make_row,
    path_of,
    sort_rows,
)
from otelbridge.web.state import NANOSECONDS, read_state

# A reading older than this says nothing about now.
READING_SECONDS = 120
# Processes shown of one project; the newest.
MOST_PROCESSES = 100
# What an address need not say.
_UNSAID = {"status": "all", "sort": "status"}


async def page(request: Request) -> Response:
    """Answer the list of projects."""
    state = read_state(request, path="/projects")
    asked = request.query_params
    chosen, sort, order = _choices(request)
    words = asked.get("find", "").strip()
    everything = _roster(request).projects()
    shown = _choose(everything, chosen, words)
    rows: list[ProjectRow] = []
    if state.range_error is None:
        rows = await run_in_threadpool(_rows, _store(request), shown, state.within)

    def here(**changes: str) -> str:
        choices = {"status": chosen, "find": words, "sort": sort, "order": order, **changes}
        return state.address(
            **{name: value for name, value in choices.items() if value != _UNSAID.get(name)}
        )

    tally = Counter(one.status for one in everything if not one.hidden)
    return render(
        request,
        "projects/page.html",
        state,
        status=400 if state.failed else 200,
        view="/projects",
        rows=sort_rows(rows, sort, backwards=order == "back"),
        total=sum(tally.values()),
        tally=[(status, tally[status]) for status in STATUSES],
        hidden=sum(one.hidden for one in everything),
        chosen=chosen,
        sort=sort,
        order=order,
        words=words,
        here=here,
        marks=MARKS,
        errors_of=errors_of,
        problem=_roster(request).problem,
        addresses=request.app.state.bridge.addresses,
    )


async def data(request: Request) -> Response:
    """Answer ``/projects.json``: every project with its processes; narrowed as the page is."""
    state = read_state(request, path="/projects")
    refuse_bad_state(state)
    chosen, _, _ = _choices(request)
    words = request.query_params.get("find", "").strip()
    shown = _choose(_roster(request).projects(), chosen, words)
    documents = await run_in_threadpool(_documents, _store(request), shown, state.within)
    return json_answer({"projects": documents}, state)


async def one(request: Request) -> Response:
    """Answer the page of one project."""
    key = _key(request.path_params["name"], request.query_params)
    project = _find(request, key)
    state = read_state(request, path=path_of(key))
    store = _store(request)
    errors: dict[ProjectKey, int] = {}
    if state.range_error is None:
        errors = await run_in_threadpool(count_errors, store, [key], state.within)
    readings = await run_in_threadpool(_readings, store)
    return render(
        request,
        "projects/one.html",
        state,
        status=400 if state.failed else 200,
        view="/projects",
        project=project,
        row=make_row(project, errors.get(key, 0), readings),
        processes=[
            make_process_row(standing, readings)
            for standing in _in_order(project.standings)[:MOST_PROCESSES]
        ],
        more=max(0, len(project.standings) - MOST_PROCESSES),
        gone=sum(standing.status != "running" for standing in project.standings),
        own=query_of(key),
        errors_query=errors_of(key),
        charts=CHARTS,
        marks=MARKS,
    )


async def one_data(request: Request) -> Response:
    """Answer ``/projects/NAME.json``: one project with all its processes."""
    key = _key(request.path_params["name"], request.query_params)
    project = _find(request, key)
    state = read_state(request)
    refuse_bad_state(state)
    (found,) = await run_in_threadpool(_documents, _store(request), [project], state.within)
    return json_answer(found, state)


async def hide(request: Request) -> Response:
    """Leave a project out of the list."""
    return await _note(request, hidden=True)


async def restore(request: Request) -> Response:
    """Bring a hidden project back."""
    return await _note(request, hidden=False)


async def _note(request: Request, *, hidden: bool) -> Response:
    posted = await read_posted(request)
    key = _key(str(posted.get("name", "")), posted)
    _find(request, key)
    await _kept(_roster(request).hide, key, hidden)
    return _back(posted)


async def clean(request: Request) -> Response:
    """Leave out the processes of a project that do not run; what is stored of them stays."""
    posted = await read_posted(request)
    key = _key(str(posted.get("name", "")), posted)
    _find(request, key)
    await _kept(_roster(request).clean, key)
    if _roster(request).project(key) is None:
        # Nothing of it is left to show.
        return RedirectResponse("/projects", 303)
    return _back(posted)


async def _kept(change: Any, *arguments: Any) -> None:
    try:
        await run_in_threadpool(change, *arguments)
    except OSError as error:
        raise HTTPException(
            503, f"This could not be kept: {error.strerror or error}. Nothing was changed."
        ) from None


def _back(posted: dict[str, Any]) -> Response:
    where = str(posted.get("back", ""))
    # Only to a page of this view: never to another host.
    return RedirectResponse(where if where.startswith("/projects") else "/projects", 303)


def _choices(request: Request) -> tuple[str, str, str]:
    asked = request.query_params
    chosen = asked.get("status", "") or "all"
    sort = asked.get("sort", "") or "status"
    order = asked.get("order", "")
    for name, value, allowed in (
        ("status", chosen, ("all", "hidden", *STATUSES)),
        ("sort", sort, SORTS),
        ("order", order, ("", "back")),
    ):
        if value not in allowed:
            known = ", ".join(filter(None, allowed))
            raise BadAddressError(f"{name} is {value[:40]!r}; allowed: {known}")
    return chosen, sort, order


def _choose(projects: list[Project], chosen: str, words: str) -> list[Project]:
    return [
        one
        for one in projects
        if one.hidden == (chosen == "hidden")
        and chosen in ("all", "hidden", one.status)
        and is_found(one, words)
    ]


def _rows(store: Store, projects: list[Project], within: TimeRange) -> list[ProjectRow]:
    errors = count_errors(store, [one.key for one in projects], within)
    readings = _readings(store)
    return [make_row(one, errors[one.key], readings) for one in projects]


def _documents(store: Store, projects: list[Project], within: TimeRange) -> list[dict[str, Any]]:
    errors = count_errors(store, [one.key for one in projects], within)
    readings = _readings(store)
    return [document(one, errors[one.key], readings) for one in projects]


def _in_order(standings: Sequence[Standing]) -> list[Standing]:
    """Those that run first, so that none changes its place while it is looked at."""
    return sorted(
        standings,
        key=lambda one: (one.status != "running", -one.process.started, one.process.instance),
    )


def _readings(store: Store) -> Readings:
    now = time.time_ns()
    # A little into the future: clocks of senders are not this one.
    within = TimeRange(now - READING_SECONDS * NANOSECONDS, now + 60 * NANOSECONDS)
    return Readings(store.newest_points([CPU, MEMORY, HOST_MEMORY], within))


def _key(name: str, params: Any) -> ProjectKey:
    return ProjectKey(name, str(params.get("namespace", "")), str(params.get("environment", "")))


def _find(request: Request, key: ProjectKey) -> Project:
    project = _roster(request).project(key)
    if project is None:
        raise HTTPException(404, "There is no project of this name.")
    return project


def _roster(request: Request) -> Roster:
    roster: Roster = request.app.state.bridge.projects
    return roster


def _store(request: Request) -> Store:
    store: Store = request.app.state.bridge.store
    return store


ROUTES = [
    Route("/projects", page),
    Route("/projects.json", data),
    Route("/projects/hide", hide, methods=["POST"]),
    Route("/projects/restore", restore, methods=["POST"]),
    Route("/projects/clean", clean, methods=["POST"]),
    Route("/projects/{name:path}.json", one_data),
    Route("/projects/{name:path}", one),
]
