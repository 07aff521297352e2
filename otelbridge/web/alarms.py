"""The Alarms view: what is watched, who is told, and what was sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.alarms import KINDS, Rule
from otelbridge.alarms.duty import Duty
from otelbridge.alarms.evidence import evidence
from otelbridge.alarms.listing import Listed
from otelbridge.alarms.states import State
from otelbridge.alarms.words import condition
from otelbridge.channels.channel import ChannelError, Receipt
from otelbridge.channels.destination import Destination
from otelbridge.web import times
from otelbridge.web.answers import json_answer, wants_json
from otelbridge.web.pages import render
from otelbridge.web.posted import read_posted
from otelbridge.web.state import NANOSECONDS, read_state

# What a test waits for: a channel's own times and retries are shorter, a class of one's own may
# have none.
TRY_SECONDS: Final = 30.0
MOST_SENT: Final = 100

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Holding:
    """An alarm that fires or is about to, with what is behind it.

    Attributes:
        since: when it fired, or began to hold, in nanoseconds.
        behind: the name of the view that shows it, and its address.
    """

    title: str
    phase: str
    since: int
    behind: tuple[str, str]


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """A rule as its row shows it.

    Attributes:
        state: ``ok``, ``pending``, ``firing``, ``paused`` or ``broken``.
        newest: what it told last, where it does not fire now.
        trouble: why it cannot be looked at, or tells nobody.
    """

    listed: Listed[Rule]
    condition: str
    state: str
    holding: list[Holding]
    newest: Holding | None
    trouble: str


def make_row(duty: Duty, listed: Listed[Rule], states: list[State]) -> AlarmRow:
    rule = listed.what
    trouble = listed.problem or duty.problems.get(listed.name, "")
    if rule is None:
        return AlarmRow(listed, "", "broken", [], None, trouble)
    holding = [_holding(rule, state) for state in states if state.rule == rule.name]
    newest = duty.newest(rule.name) if not holding else None
    state = "ok"
    if listed.paused:
        state, holding = "paused", []
    elif holding:
        firing = any(one.phase == "firing" for one in holding)
        state = "firing" if firing else "pending"
    return AlarmRow(
        listed,
        condition(rule),
        state,
        holding,
        _holding(rule, newest) if newest is not None else None,
        trouble,
    )


def _holding(rule: Rule, state: State) -> Holding:
    waits = state.fired is None
    return Holding(
        title=state.title or rule.name,
        phase="pending" if waits else "firing",
        since=int((state.since if state.fired is None else state.fired) * NANOSECONDS),
        behind=evidence(rule, state, lasting=KINDS[rule.when].instant),
    )


def rows_of(duty: Duty, service: str = "") -> list[AlarmRow]:
    """List the rules, of one service where it is given, those that fire first."""
    states = duty.states()
    rows = [
        make_row(duty, one, states)
        for one in duty.listing.alarms
        if not service or one.what is None or one.what.about(service)
    ]
    order = ("firing", "pending", "broken", "ok", "paused")
    return sorted(rows, key=lambda row: order.index(row.state))


async def page(request: Request) -> Response:
    """Answer the Alarms view."""
    return await show(request)


async def show(request: Request, tried: dict[str, Any] | None = None) -> Response:
    """Answer the view, with the result of a test where there is one."""
    state = read_state(request, path="/alarms")
    duty: Duty = request.app.state.bridge.alarms
    service = request.query_params.get("service", "")
    rows, sent, waiting = await run_in_threadpool(
        lambda: (rows_of(duty, service), duty.sent(MOST_SENT), duty.waiting())
    )
    return render(
        request,
        "alarms/page.html",
        state,
        view="/alarms",
        duty=duty,
        rows=rows,
        service=service,
        kinds=KINDS,
        channel_kinds=duty.kinds,
        sent=sent,
        waiting=waiting,
        tried=tried or {},
        moment_of=lambda seconds: int(seconds * NANOSECONDS),
        ago=lambda moment: times.ago(moment, state.now),
    )


async def data(request: Request) -> Response:
    """Answer ``/alarms.json``; no secret of a destination is in it."""
    duty: Duty = request.app.state.bridge.alarms
    service = request.query_params.get("service", "")
    rows, sent, waiting = await run_in_threadpool(
        lambda: (rows_of(duty, service), duty.sent(MOST_SENT), duty.waiting())
    )
    return json_answer(
        {
            "alarms": [_alarm(row) for row in rows],
            "destinations": [_destination(one) for one in duty.listing.destinations],
            "problem": duty.problem,
            "waiting": [
                {
                    "destination": one.destination,
                    "title": one.message.heading,
                    "reason": one.reason,
                    "attempts": one.attempts,
                    "created": times.iso(int(one.created * NANOSECONDS)),
                }
                for one in waiting
            ],
            "sent": [
                {**one, "time": times.iso(int(one["time"] * NANOSECONDS))}
                for one in sent
                if isinstance(one.get("time"), (int, float))
            ],
        }
    )


def _alarm(row: AlarmRow) -> dict[str, Any]:
    rule = row.listed.what
    return {
        "name": row.listed.name,
        "source": row.listed.source,
        "when": rule.when if rule is not None else None,
        "condition": row.condition,
        "services": list(rule.services) if rule is not None else [],
        "to": list(rule.to) if rule is not None else [],
        "severity": rule.severity if rule is not None else None,
        "state": row.state,
        "problem": row.trouble,
        "holding": [
            {
                "title": one.title,
                "phase": one.phase,
                "since": times.iso(one.since),
                "link": one.behind[1],
            }
            for one in row.holding
        ],
    }


def _destination(one: Listed[Destination]) -> dict[str, Any]:
    made = one.what
    return {
        "name": one.name,
        "source": one.source,
        "kind": made.channel.kind if made is not None else None,
        "address": made.channel.address if made is not None else None,
        "traceback": made.traceback if made is not None else None,
        "severity": made.severity if made is not None else None,
        "paused": one.paused,
        "problem": one.problem,
    }


async def try_destination(request: Request) -> Response:
    """Send a message to one destination, and say whether it arrived."""
    duty: Duty = request.app.state.bridge.alarms
    name = str((await read_posted(request)).get("name", ""))
    tried: dict[str, Any] = {"name": name, "sent": False}
    try:
        receipt: Receipt = await _aside(lambda: duty.try_destination(name), TRY_SECONDS)
    except asyncio.TimeoutError:
        tried["said"] = f"no answer within {TRY_SECONDS:g} s"
    except (ChannelError, ValueError) as error:
        tried["said"] = str(error)
    else:
        note = f" ({receipt.note})" if receipt.note else ""
        tried.update(sent=True, said=f"{receipt.reply}{note}")
    if wants_json(request):
        return json_answer(tried)
    if request.headers.get("hx-request") == "true":
        return render(
            request, "alarms/tried.html", read_state(request, path="/alarms"), tried=tried
        )
    return await show(request, tried)


async def _aside(call: Callable[[], _T], timeout: float) -> _T:
    """Run a call that may never end on a thread that nothing waits for.

    Raises:
        asyncio.TimeoutError: it has not ended in time.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[_T] = loop.create_future()

    def end(error: BaseException | None, value: Any) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)

    def run() -> None:
        error: BaseException | None = None
        value: Any = None
        try:
            value = call()
        except Exception as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(end, error, value)
        except RuntimeError:
            # The bridge has ended meanwhile: nobody asks any more.
            return

    threading.Thread(target=run, name="try destination", daemon=True).start()
    return await asyncio.wait_for(result, timeout)


ROUTES = [
    Route("/alarms", page),
    Route("/alarms.json", data),
    Route("/alarms/destinations/test", try_destination, methods=["POST"]),
]
