"""Making, changing, pausing and removing rules and destinations on the Alarms view."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from otelbridge.alarms import KINDS, RuleError
from otelbridge.alarms.duty import Duty
from otelbridge.alarms.kept import Kept, open_destination
from otelbridge.channels.channel import Channel, ChannelSettingsError
from otelbridge.channels.definition import find_channel
from otelbridge.store.protocol import Store, StoreError, TimeRange
from otelbridge.web.alarm_forms import (
    Form,
    alarm_form,
    alarm_table,
    destination_form,
    read_alarm,
    read_destination,
)
from otelbridge.web.answers import json_answer, wants_json
from otelbridge.web.pages import render
from otelbridge.web.posted import read_posted
from otelbridge.web.state import NANOSECONDS, read_state

_DAY: Final = 86400 * NANOSECONDS
_MOST_SERVICES: Final = 200

_UNUSABLE: Final = 422


# --- rules ---------------------------------------------------------------------------------------

# What a new one is called until somebody calls it otherwise.
_NAMES: Final[Mapping[str, str]] = {
    "error": "errors",
    "new-error": "new errors",
    "error-rate": "failing requests",
    "log": "log records",
    "silent": "silence",
    "crashed": "crashes",
    "cpu": "processor time",
    "memory": "memory",
    "latency": "slow answers",
}


async def new_alarm(request: Request) -> Response:
    """Answer the choice of what to watch, or the form for it."""
    when = request.query_params.get("when", "")
    if when not in KINDS:
        return _choice(request, "alarm", {name: kind.says for name, kind in KINDS.items()})
    service = request.query_params.get("service", "")
    name = f"{service}: {_NAMES[when]}" if service else _NAMES[when]
    values = {"name": _free(name, _duty(request)), "services": [service] if service else []}
    return await _alarm_page(request, when, values)


async def edit_alarm(request: Request) -> Response:
    """Answer the form of a rule that was made here."""
    kept = _duty(request).kept.alarm(request.query_params.get("name", ""))
    if kept is None:
        raise HTTPException(404, "No alarm of this name was made on this page.")
    when = str(kept.table.get("when", ""))
    if when not in KINDS:
        raise HTTPException(404, f"This version does not know alarms of the kind {when!r}.")
    return await _alarm_page(request, when, {**kept.table, "name": kept.name}, was=kept.name)


async def save_alarm(request: Request) -> Response:
    """Keep what was typed, or answer it with what is wrong at each field."""
    duty = _duty(request)
    posted = await read_posted(request)
    when = str(posted.get("when", ""))
    if when not in KINDS:
        raise HTTPException(_UNUSABLE, f"when is {when!r}; allowed: {', '.join(KINDS)}")
    was = str(posted.get("was", ""))
    taken = {one.name for one in duty.listing.alarms} - {was}
    try:
        alarm = read_alarm(when, posted, taken)
    except RuleError as error:
        table = alarm_table(when, posted)
        return await _alarm_page(request, when, table, was=was, problems=error.problems)

    def put(kept: Kept) -> Kept:
        before = kept.alarm(was)
        paused = before.paused if before is not None else False
        return kept.with_alarm(dataclasses.replace(alarm, paused=paused), was)

    return await _change(request, put, alarm.name)


async def pause_alarm(request: Request) -> Response:
    """Stop looking at a rule, or go on."""
    posted = await read_posted(request)
    name, paused = str(posted.get("name", "")), posted.get("paused") in ("true", True)

    def put(kept: Kept) -> Kept:
        before = kept.alarm(name)
        if before is None:
            raise HTTPException(404, "No alarm of this name was made on this page.")
        return kept.with_alarm(dataclasses.replace(before, paused=paused), name)

    return await _change(request, put, name)


async def remove_alarm(request: Request) -> Response:
    """Remove a rule."""
    name = str((await read_posted(request)).get("name", ""))

    def put(kept: Kept) -> Kept:
        if kept.alarm(name) is None:
            raise HTTPException(404, "No alarm of this name was made on this page.")
        return kept.without_alarm(name)

    return await _change(request, put, name)


async def _alarm_page(
    request: Request,
    when: str,
    values: Mapping[str, Any],
    *,
    was: str = "",
    problems: Mapping[str, str] | None = None,
) -> Response:
    if problems and wants_json(request):
        return _unusable(problems)
    duty = _duty(request)
    services = await run_in_threadpool(_services, request.app.state.bridge.store, request)
    form = alarm_form(
        when,
        values,
        destinations=[one.name for one in duty.listing.destinations if one.what is not None],
        services=services,
    ).marked(problems or {})
    title = "Change an alarm" if was else "New alarm"
    return _form_page(
        request, form, title=title, says=KINDS[when].says, hidden={"when": when, "was": was},
        action="/alarms/rules",
    )  # fmt: skip


def _services(store: Store, request: Request) -> list[str]:
    now = read_state(request).now
    try:
        found = store.services(TimeRange(now - _DAY, now), 1)
    except StoreError:
        return []  # they are only offered; the form is as good without
    return [one.name for one in found if one.name][:_MOST_SERVICES]


def _free(name: str, duty: Duty) -> str:
    taken = {one.name for one in duty.listing.alarms}
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free


# --- destinations --------------------------------------------------------------------------------

_KINDS_IN_WORDS: Final[Mapping[str, str]] = {
    "telegram": "a chat, group or channel, by a bot",
    "discord": "a channel, by its webhook",
    "slack": "a channel, by an incoming webhook",
    "email": "mail, by an SMTP server",
    "webhook": "any program that takes an HTTP POST of JSON",
    "file": "a file on the bridge's machine",
    "apprise": "any of the hundred services that Apprise knows",
}


async def new_destination(request: Request) -> Response:
    """Answer the choice of kinds, or the form that the chosen one declares."""
    kind = request.query_params.get("kind", "")
    if not kind:
        kinds = {
            name: _KINDS_IN_WORDS.get(name, "a class of your own") for name in _duty(request).kinds
        }
        return _choice(request, "destination", kinds)
    return _destination_page(request, kind, {}, name=kind.rpartition(".")[2].lower())


async def edit_destination(request: Request) -> Response:
    """Answer the form of a destination that was made here, without its secrets."""
    kept = _duty(request).kept.destination(request.query_params.get("name", ""))
    if kept is None:
        raise HTTPException(404, "No destination of this name was made on this page.")
    return _destination_page(request, kept.kind, kept.values, name=kept.name, was=kept.name)


async def save_destination(request: Request) -> Response:
    """Keep what was typed, or answer it with what is wrong at each field."""
    duty = _duty(request)
    posted = await read_posted(request)
    was = str(posted.get("was", ""))
    before = duty.kept.destination(was)
    kind = str(posted.get("kind", ""))
    channel = _channel(duty, kind)
    taken = {one.name for one in duty.listing.destinations} - {was}
    destination, problems = read_destination(kind, channel, posted, taken, before)
    try:
        await run_in_threadpool(open_destination, destination, duty.files)
    except ChannelSettingsError as error:
        problems = {**(error.problems or {"": str(error)}), **problems}
    if problems:
        return _destination_page(
            request, kind, destination.values, name=destination.name, was=was, problems=problems
        )

    def put(kept: Kept) -> Kept:
        now = kept.destination(was)
        paused = now.paused if now is not None else False
        return kept.with_destination(dataclasses.replace(destination, paused=paused), was)

    return await _change(request, put, destination.name)


async def pause_destination(request: Request) -> Response:
    """Send nothing there, or go on."""
    posted = await read_posted(request)
    name, paused = str(posted.get("name", "")), posted.get("paused") in ("true", True)

    def put(kept: Kept) -> Kept:
        before = kept.destination(name)
        if before is None:
            raise HTTPException(404, "No destination of this name was made on this page.")
        return kept.with_destination(dataclasses.replace(before, paused=paused), name)

    return await _change(request, put, name)


async def remove_destination(request: Request) -> Response:
    """Remove a destination that no rule names any more."""
    name = str((await read_posted(request)).get("name", ""))

    def put(kept: Kept) -> Kept:
        if kept.destination(name) is None:
            raise HTTPException(404, "No destination of this name was made on this page.")
        users = [one.name for one in kept.alarms if name in (one.table.get("to") or ())]
        if users:
            told = ", ".join(users)
            raise HTTPException(409, f"{name} is told of: {told}. Change these alarms first.")
        return kept.without_destination(name)

    return await _change(request, put, name)


def _destination_page(
    request: Request,
    kind: str,
    values: Mapping[str, Any],
    *,
    name: str,
    was: str = "",
    problems: Mapping[str, str] | None = None,
) -> Response:
    if problems and wants_json(request):
        return _unusable(problems)
    duty = _duty(request)
    channel = _channel(duty, kind)
    before = duty.kept.destination(was)
    shown = dict(values)
    if before is not None:
        # For the mark that a secret is set, which says nothing of it.
        secrets = (one.name for one in channel.form() if one.secret)
        shown |= {one: before.values[one] for one in secrets if one in before.values}
    form = destination_form(
        kind, channel, shown, name=name, edited=before is not None, files=str(duty.files)
    ).marked(problems or {})
    title = "Change a destination" if was else "New destination"
    return _form_page(
        request, form, title=title, says=kind, hidden={"kind": kind, "was": was},
        action="/alarms/destinations",
    )  # fmt: skip


def _channel(duty: Duty, kind: str) -> type[Channel]:
    """Find a class that the page may make destinations of, and no other that could be imported."""
    if kind not in duty.kinds:
        known = ", ".join(duty.kinds)
        raise HTTPException(
            _UNUSABLE,
            f"there is no channel {kind!r}; there are: {known} "
            "(OTELBRIDGE_CHANNELS names classes of your own)",
        )
    try:
        return find_channel(kind)
    except ChannelSettingsError as error:
        raise HTTPException(_UNUSABLE, str(error)) from None


# --- answers -------------------------------------------------------------------------------------


def _duty(request: Request) -> Duty:
    duty: Duty = request.app.state.bridge.alarms
    return duty


async def _change(request: Request, make: Callable[[Kept], Kept], name: str) -> Response:
    try:
        await run_in_threadpool(_duty(request).change, make)
    except OSError as error:
        raise HTTPException(500, f"It could not be kept: {error.strerror or error}.") from None
    if wants_json(request):
        return json_answer({"name": name})
    return RedirectResponse("/alarms", 303)


def _unusable(problems: Mapping[str, str]) -> Response:
    message = next(iter(problems.values()))
    return json_answer({"error": {"message": message, "fields": dict(problems)}}, status=_UNUSABLE)


def _choice(request: Request, what: str, kinds: Mapping[str, str]) -> Response:
    service = request.query_params.get("service", "")
    key = "when" if what == "alarm" else "kind"
    address = "/alarms/new" if what == "alarm" else "/alarms/destinations/new"
    links = [
        (
            name,
            says,
            f"{address}?{urlencode({key: name, **({'service': service} if service else {})})}",
        )
        for name, says in kinds.items()
    ]
    state = read_state(request, path="/alarms")
    return render(request, "alarms/choice.html", state, view="/alarms", what=what, links=links)


def _form_page(
    request: Request,
    form: Form,
    *,
    title: str,
    says: str,
    hidden: Mapping[str, str],
    action: str,
) -> Response:
    wrong = form.problems or any(one.problem for one in form.fields)
    return render(
        request,
        "alarms/form.html",
        read_state(request, path="/alarms"),
        status=_UNUSABLE if wrong else 200,
        view="/alarms",
        title=title,
        says=says,
        form=form,
        hidden=hidden,
        action=action,
    )


ROUTES = [
    Route("/alarms/new", new_alarm),
    Route("/alarms/edit", edit_alarm),
    Route("/alarms/rules", save_alarm, methods=["POST"]),
    Route("/alarms/rules/pause", pause_alarm, methods=["POST"]),
    Route("/alarms/rules/remove", remove_alarm, methods=["POST"]),
    Route("/alarms/destinations/new", new_destination),
    Route("/alarms/destinations/edit", edit_destination),
    Route("/alarms/destinations", save_destination, methods=["POST"]),
    Route("/alarms/destinations/pause", pause_destination, methods=["POST"]),
    Route("/alarms/destinations/remove", remove_destination, methods=["POST"]),
]
