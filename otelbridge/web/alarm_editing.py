"""Making and changing rules on the Alarms view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.alarms import KINDS, RuleError
from otelbridge.alarms.duty import Duty
from otelbridge.alarms.kept import Kept, KeptAlarm
from otelbridge.store.protocol import Store, StoreError, TimeRange
from otelbridge.web.alarm_forms import alarm_form, alarm_table, read_alarm
from otelbridge.web.answers import wants_json
from otelbridge.web.forms import UNUSABLE, form_page, unusable
from otelbridge.web.kept_changes import Sort, duty_of
from otelbridge.web.posted import read_posted
from otelbridge.web.state import NANOSECONDS, read_state

ALARMS: Final[Sort[KeptAlarm]] = Sort(
    "alarm", "/alarms/new", "when", Kept.alarm, Kept.with_alarm, Kept.without_alarm
)

_DAY: Final = 86400 * NANOSECONDS
_MOST_SERVICES: Final = 200

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
        return ALARMS.choice(request, {name: kind.says for name, kind in KINDS.items()})
    service = request.query_params.get("service", "")
    name = f"{service}: {_NAMES[when]}" if service else _NAMES[when]
    values = {"name": _free(name, duty_of(request)), "services": [service] if service else []}
    return await _alarm_page(request, when, values)


async def edit_alarm(request: Request) -> Response:
    """Answer the form of a rule that was made here."""
    kept = ALARMS.named(duty_of(request).kept, request.query_params.get("name", ""))
    when = str(kept.table.get("when", ""))
    if when not in KINDS:
        raise HTTPException(404, f"This version does not know alarms of the kind {when!r}.")
    return await _alarm_page(request, when, {**kept.table, "name": kept.name}, was=kept.name)


async def save_alarm(request: Request) -> Response:
    """Keep what was typed, or answer it with what is wrong at each field."""
    duty = duty_of(request)
    posted = await read_posted(request)
    when = str(posted.get("when", ""))
    if when not in KINDS:
        raise HTTPException(UNUSABLE, f"when is {when!r}; allowed: {', '.join(KINDS)}")
    was = str(posted.get("was", ""))
    taken = {one.name for one in duty.listing.alarms} - {was}
    try:
        alarm = read_alarm(when, posted, taken)
    except RuleError as error:
        table = alarm_table(when, posted)
        return await _alarm_page(request, when, table, was=was, problems=error.problems)

    return await ALARMS.save(request, alarm, was)


async def _alarm_page(
    request: Request,
    when: str,
    values: Mapping[str, Any],
    *,
    was: str = "",
    problems: Mapping[str, str] | None = None,
) -> Response:
    if problems and wants_json(request):
        return unusable(problems)
    duty = duty_of(request)
    services = await run_in_threadpool(_services, request.app.state.bridge.store, request)
    form = alarm_form(
        when,
        values,
        destinations=[one.name for one in duty.listing.destinations if one.what is not None],
        services=services,
    ).marked(problems or {})
    title = "Change an alarm" if was else "New alarm"
    return form_page(
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


ROUTES = [
    Route("/alarms/new", new_alarm),
    Route("/alarms/edit", edit_alarm),
    Route("/alarms/rules", save_alarm, methods=["POST"]),
    Route("/alarms/rules/pause", ALARMS.pause, methods=["POST"]),
    Route("/alarms/rules/remove", ALARMS.remove, methods=["POST"]),
]
