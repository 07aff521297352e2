"""Changing what was made on the Alarms view: rules and destinations alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from otelbridge.alarms.duty import Duty
from otelbridge.alarms.kept import Kept, KeptAlarm, KeptDestination
from otelbridge.web.answers import json_answer, wants_json
from otelbridge.web.pages import render
from otelbridge.web.posted import read_posted
from otelbridge.web.state import read_state

_Made = TypeVar("_Made", KeptAlarm, KeptDestination)


def duty_of(request: Request) -> Duty:
    """Give what watches and tells in this bridge."""
    duty: Duty = request.app.state.bridge.alarms
    return duty


@dataclass(frozen=True, slots=True)
class Sort(Generic[_Made]):
    """One sort of what can be made on the page, and how it is kept.

    Attributes:
        word: what people call it.
        path: where a new one is made.
        key: the parameter that says of which kind a new one is.
        find: gives the one of a name.
        put: adds one, or puts it in the place of the one of a name.
        drop: takes the one of a name out; what it raises is answered.
    """

    word: str
    path: str
    key: str
    find: Callable[[Kept, str], _Made | None]
    put: Callable[[Kept, _Made, str], Kept]
    drop: Callable[[Kept, str], Kept]

    def named(self, kept: Kept, name: str) -> _Made:
        """Give the one of a name.

        Raises:
            HTTPException: there is none; it may be of a file or a variable.
        """
        found = self.find(kept, name)
        if found is None:
            raise HTTPException(404, f"No {self.word} of this name was made on this page.")
        return found

    async def save(self, request: Request, made: _Made, was: str) -> Response:
        """Keep a new one, or one in the place of ``was``, which stays paused if it is."""

        def put(kept: Kept) -> Kept:
            before = self.find(kept, was)
            paused = before.paused if before is not None else False
            return self.put(kept, replace(made, paused=paused), was)

        return await _change(request, put, made.name)

    async def pause(self, request: Request) -> Response:
        """Leave one out, or go on with it."""
        posted = await read_posted(request)
        name, paused = str(posted.get("name", "")), posted.get("paused") in ("true", True)

        def put(kept: Kept) -> Kept:
            return self.put(kept, replace(self.named(kept, name), paused=paused), name)

        return await _change(request, put, name)

    async def remove(self, request: Request) -> Response:
        """Remove one."""
        name = str((await read_posted(request)).get("name", ""))

        def put(kept: Kept) -> Kept:
            self.named(kept, name)
            return self.drop(kept, name)

        return await _change(request, put, name)

    def choice(self, request: Request, kinds: Mapping[str, str]) -> Response:
        """Answer with the kinds that a new one may be of, each with what it says of itself."""
        service = request.query_params.get("service", "")
        about = {"service": service} if service else {}
        links = [
            (name, says, f"{self.path}?{urlencode({self.key: name, **about})}")
            for name, says in kinds.items()
        ]
        state = read_state(request, path="/alarms")
        return render(
            request, "alarms/choice.html", state, view="/alarms", what=self.word, links=links
        )


async def _change(request: Request, make: Callable[[Kept], Kept], name: str) -> Response:
    try:
        await run_in_threadpool(duty_of(request).change, make)
    except OSError as error:
        raise HTTPException(500, f"It could not be kept: {error.strerror or error}.") from None
    if wants_json(request):
        return json_answer({"name": name})
    return RedirectResponse("/alarms", 303)
