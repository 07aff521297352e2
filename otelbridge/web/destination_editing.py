"""Making and changing destinations on the Alarms view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.alarms.duty import Duty
from otelbridge.alarms.kept import Kept, KeptDestination, open_destination
from otelbridge.channels.channel import Channel, ChannelSettingsError
from otelbridge.channels.definition import find_channel
from otelbridge.web.answers import wants_json
from otelbridge.web.destination_forms import destination_form, read_destination
from otelbridge.web.forms import UNUSABLE, form_page, unusable
from otelbridge.web.kept_changes import Sort, duty_of
from otelbridge.web.posted import read_posted


def _without_unused(kept: Kept, name: str) -> Kept:
    users = [one.name for one in kept.alarms if name in (one.table.get("to") or ())]
    if users:
        told = ", ".join(users)
        raise HTTPException(409, f"{name} is told of: {told}. Change these alarms first.")
    return kept.without_destination(name)


DESTINATIONS: Final[Sort[KeptDestination]] = Sort(
    "destination",
    "/alarms/destinations/new",
    "kind",
    Kept.destination,
    Kept.with_destination,
    _without_unused,
)

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
            name: _KINDS_IN_WORDS.get(name, "a class of your own")
            for name in duty_of(request).kinds
        }
        return DESTINATIONS.choice(request, kinds)
    return _destination_page(request, kind, {}, name=kind.rpartition(".")[2].lower())


async def edit_destination(request: Request) -> Response:
    """Answer the form of a destination that was made here, without its secrets."""
    kept = DESTINATIONS.named(duty_of(request).kept, request.query_params.get("name", ""))
    return _destination_page(request, kept.kind, kept.values, name=kept.name, was=kept.name)


async def save_destination(request: Request) -> Response:
    """Keep what was typed, or answer it with what is wrong at each field."""
    duty = duty_of(request)
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

    return await DESTINATIONS.save(request, destination, was)


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
        return unusable(problems)
    duty = duty_of(request)
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
    return form_page(
        request, form, title=title, says=kind, hidden={"kind": kind, "was": was},
        action="/alarms/destinations",
    )  # fmt: skip


def _channel(duty: Duty, kind: str) -> type[Channel]:
    """Find a class that the page may make destinations of, and no other that could be imported."""
    if kind not in duty.kinds:
        known = ", ".join(duty.kinds)
        raise HTTPException(
            UNUSABLE,
            f"there is no channel {kind!r}; there are: {known} "
            "(OTELBRIDGE_CHANNELS names classes of your own)",
        )
    try:
        return find_channel(kind)
    except ChannelSettingsError as error:
        raise HTTPException(UNUSABLE, str(error)) from None


ROUTES = [
    Route("/alarms/destinations/new", new_destination),
    Route("/alarms/destinations/edit", edit_destination),
    Route("/alarms/destinations", save_destination, methods=["POST"]),
    Route("/alarms/destinations/pause", DESTINATIONS.pause, methods=["POST"]),
    Route("/alarms/destinations/remove", DESTINATIONS.remove, methods=["POST"]),
]
