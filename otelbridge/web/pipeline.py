"""The Pipeline view: can I trust this page?"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.store.protocol import NewestPoint, Store, StoreStats
from otelbridge.web import delivery, times
from otelbridge.web.answers import json_answer
from otelbridge.web.pages import render
from otelbridge.web.state import read_state


async def page(request: Request) -> Response:
    """Answer store, receivers, senders and what processes say of their delivery, as tables."""
    state = read_state(request, path="/pipeline")
    bridge = request.app.state.bridge
    stats, points = await run_in_threadpool(_look, bridge.store, state.now)
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
                times.share(sender.lost, sender.sent),
                int(sender.last_seen * 1e9),
            )
            for _, sender in sorted(bridge.senders.items())
        ],
        delivered=delivery.delivered(points),
        addresses=bridge.addresses,
        lag=times.ago(stats.newest, state.now) if stats.newest else "",
    )


async def data(request: Request) -> Response:
    """Answer ``/pipeline.json``."""
    bridge = request.app.state.bridge
    stats, points = await run_in_threadpool(_look, bridge.store, time.time_ns())
    return json_answer(
        {
            "receivers": [_receiver(counters) for counters in bridge.receivers],
            "senders": [
                {
                    "sender": sender.sender,
                    "sent": sender.sent,
                    "received": sender.received,
                    "lost": sender.lost,
                    "duplicated": sender.duplicated,
                    "highest": sender.highest,
                    "restarts": sender.restarts,
                    "last_seen": times.iso(int(sender.last_seen * 1e9)),
                }
                for _, sender in sorted(bridge.senders.items())
            ],
            "delivery": [delivery.as_json(row) for row in delivery.delivered(points)],
            "store": {
                **asdict(stats),
                "oldest": times.iso(stats.oldest) if stats.oldest else None,
                "newest": times.iso(stats.newest) if stats.newest else None,
            },
            "addresses": {name: list(address) for name, address in bridge.addresses.items()},
        }
    )


def _look(store: Store, now: int) -> tuple[StoreStats, list[NewestPoint]]:
    return store.stats(), store.newest_points(delivery.METRICS, delivery.heard_within(now))


def _receiver(counters: Any) -> dict[str, Any]:
    last = counters.last_rejection
    return {
        "name": counters.name,
        "requests": counters.requests,
        "bytes": counters.bytes,
        "accepted": dict(counters.accepted),
        "stored": counters.stored,
        "duplicates": counters.duplicates,
        "rejected": dict(counters.rejected),
        "last_rejection": {"time": times.iso(int(last[0] * 1e9)), "message": last[1]}
        if last
        else None,
    }


ROUTES = [Route("/pipeline", page), Route("/pipeline.json", data)]
