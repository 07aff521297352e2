"""The Pipeline view: can I trust this page?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.store.protocol import Store
from otelbridge.web import times
from otelbridge.web.answers import json_answer
from otelbridge.web.pages import render
from otelbridge.web.state import read_state


async def page(request: Request) -> Response:
    """Answer receivers, senders and store as tables."""
    state = read_state(request, path="/pipeline")
    bridge = request.app.state.bridge
    store: Store = bridge.store
    stats = await run_in_threadpool(store.stats)
    part = request.headers.get("hx-request") == "true"
    return render(
        request,
        "pipeline_tables.html" if part else "pipeline.html",
        state,
        view="/pipeline",
        stats=stats,
        receivers=[
            (
                counters,
                sorted(counters.accepted.items()),
                sorted(counters.rejected.items()),
                int(counters.last_rejection[0] * 1e9) if counters.last_rejection else 0,
                counters.last_rejection[1] if counters.last_rejection else "",
            )
            for counters in bridge.receivers
        ],
        senders=[
            (
                sender,
                times.share(sender.lost, sender.received + sender.lost),
                int(sender.last_seen * 1e9),
            )
            for _, sender in sorted(bridge.senders.items())
        ],
        addresses=bridge.addresses,
        lag=times.ago(stats.newest, state.now) if stats.newest else "",
    )


async def data(request: Request) -> Response:
    """Answer ``/pipeline.json``."""
    bridge = request.app.state.bridge
    store: Store = bridge.store
    stats = await run_in_threadpool(store.stats)
    return json_answer(
        {
            "receivers": [_receiver(counters) for counters in bridge.receivers],
            "senders": [
                {
                    "sender": sender.sender,
                    "received": sender.received,
                    "lost": sender.lost,
                    "duplicated": sender.duplicated,
                    "highest": sender.highest,
                    "last_seen": times.iso(int(sender.last_seen * 1e9)),
                }
                for _, sender in sorted(bridge.senders.items())
            ],
            "store": {
                **asdict(stats),
                "oldest": times.iso(stats.oldest) if stats.oldest else None,
                "newest": times.iso(stats.newest) if stats.newest else None,
            },
            "addresses": {name: list(address) for name, address in bridge.addresses.items()},
        }
    )


def _receiver(counters: Any) -> dict[str, Any]:
    last = counters.last_rejection
    return {
        "name": counters.name,
        "requests": counters.requests,
        "bytes": counters.bytes,
        "accepted": dict(counters.accepted),
        "rejected": dict(counters.rejected),
        "last_rejection": {"time": times.iso(int(last[0] * 1e9)), "message": last[1]}
        if last
        else None,
    }


ROUTES = [Route("/pipeline", page), Route("/pipeline.json", data)]
