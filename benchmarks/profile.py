"""Where a request's processor time goes, by stage: ``python -m benchmarks.profile``.

The functions that a stage begins with are wrapped and read the clock of their thread; a stage's
time is without that of the stages it calls, and without what the reading costs. What threads do
outside of every stage (waiting for work, waking up) is a stage too. What is left of the process's
time is Flask, the app, and what belongs to no stage.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from time import thread_time_ns
from typing import Any, Final

from benchmarks.peers import VARIANTS
from benchmarks.request_app import run_app
from benchmarks.sink_process import counting_sink
from benchmarks.table import machine

# A stage, and the functions it begins with, as the modules have them that call them.
STAGES: Final[dict[str, tuple[str, ...]]] = {
    "request hook": (
        "otelbridge.frameworks.flask_hook:FlaskHook.begin",
        "otelbridge.frameworks.flask_hook:FlaskHook.end",
        "otelbridge.frameworks.flask_hook:FlaskHook._respond",
    ),
    "request lines": (
        "otelbridge.frameworks.flask_lines:RequestLines.begin",
        "otelbridge.frameworks.flask_lines:RequestLines.answer",
    ),
    "request metrics": (
        "otelbridge.frameworks.request_tally:RequestTally.begin",
        "otelbridge.frameworks.request_tally:RequestTally.record",
        "otelbridge.frameworks.request_tally:RequestTally.end",
    ),
    "span start": ("otelbridge.delivery.own_tracer:OwnTracer.start_lean",),
    "span end": ("otelbridge.delivery.lean_span:LeanSpan.end",),
    "taking log records": ("otelbridge.capture:Capture._take",),
    "log record": ("otelbridge.sinks.otlp_logging:OTLPHandler.emit",),
    "looking for secrets": ("otelbridge.sinks.otlp_plain_log:may_hold_secret",),
    "encoding": (
        "otelbridge.sinks.otlp_logging:write_plain_log",
        "otelbridge.sinks.otlp:write_plain_span",
    ),
    "queue": (
        "otelbridge.delivery.sender:Delivery.put",
        "otelbridge.delivery.sender:Delivery.put_encoded",
    ),
    "putting requests together": ("otelbridge.sinks.otlp_request:RequestEncoder.encode",),
    "spool and memory": (
        "otelbridge.delivery.outbox:Outbox.put",
        "otelbridge.delivery.outbox:Outbox.next",
        "otelbridge.delivery.outbox:Outbox.done",
    ),
    "sending": ("otelbridge.sinks.destination:Destination.send",),
    "metrics read and sent": ("otelbridge.metric_reader:IntervalReader._run",),
    "threads, between their work": ("otelbridge.delivery.life:Life._run",),
}
_EMPTY: Final = 20_000


def find(place: str) -> tuple[Any, str, Callable[..., Any]]:
    """Find a function of :data:`STAGES`; returns what has it, its name there, and itself.

    Raises:
        LookupError: there is none.
    """
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    try:
        owner = functools.reduce(getattr, owners, importlib.import_module(module))
        return owner, name, getattr(owner, name)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"{place} ({error})") from None


def missing(stages: Mapping[str, Sequence[str]]) -> list[str]:
    """Say which functions do not exist any more, each with its stage and the reason."""
    return [
        f"{stage}: {told}"
        for stage, places in stages.items()
        for place in places
        if (told := _lacks(place))
    ]


def _lacks(place: str) -> str:
    try:
        find(place)
    except LookupError as error:
        return str(error)
    return ""


class Stages:
    """Measures stages in all threads."""

    def __init__(self) -> None:
        self.spent: dict[str, int] = defaultdict(int)
        self.calls: dict[str, int] = defaultdict(int)
        self._open = threading.local()
        self._inside, self._around = 0.0, [0.0]

    def calibrate(self) -> None:
        """Find out what a wrapper costs: within what it measures, and around that."""
        empty = self.wrapped("empty", lambda: None)
        begin = thread_time_ns()
        for _ in range(_EMPTY):
            empty()
        whole = thread_time_ns() - begin
        self._inside = self.spent.pop("empty") / self.calls.pop("empty")
        self._around[0] = whole / _EMPTY - self._inside

    def wrapped(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that counts for a stage what another takes."""
        spent, calls, local, around = self.spent, self.calls, self._open, self._around

        @functools.wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            above = getattr(local, "inner", 0)
            local.inner = 0
            begin = thread_time_ns()
            try:
                return function(*args, **kwargs)
            finally:
                took = thread_time_ns() - begin
                # One thread at a time is in here, by and large: a count lost now and then is noise.
                spent[stage] += took - local.inner
                calls[stage] += 1
                # What calls it did not take the time that the wrapper did.
                local.inner = above + took + around[0]

        return measured

    def install(self) -> None:
        """Put a wrapper around each function of :data:`STAGES`."""
        for stage, places in STAGES.items():
            for place in places:
                owner, name, function = find(place)
                setattr(owner, name, self.wrapped(stage, function))

    def begin(self) -> None:
        """Forget what was before."""
        self.spent.clear()
        self.calls.clear()

    def told(self, requests: int) -> dict[str, tuple[float, float]]:
        """Return microseconds and calls for each request, by stage."""
        return {
            stage: (
                max(0.0, self.spent[stage] - self.calls[stage] * self._inside) / requests / 1e3,
                self.calls[stage] / requests,
            )
            for stage in STAGES
            if self.calls[stage]
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("setup", nargs="?", default="ours, HTTP", choices=VARIANTS)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=500.0)
    given = parser.parse_args()
    print(machine())
    if lacking := missing(STAGES):
        sys.exit(f"STAGES in benchmarks/profile.py names what is not there: {'; '.join(lacking)}")
    stages = Stages()
    stages.calibrate()
    stages.install()
    with counting_sink() as sink:
        endpoint = sink.grpc if VARIANTS[given.setup].grpc else sink.http
        costs = run_app(given.setup, endpoint, given.requests, given.rate, stages.begin)
    told = stages.told(given.requests)
    print(f"{given.setup}: us of processor time a request, by stage (calls a request)")
    for stage, (spent, calls) in sorted(told.items(), key=lambda item: -item[1][0]):
        print(f"  {spent:7.1f}  {stage} ({calls:.2f})")
    if silent := [stage for stage in STAGES if stage not in told]:
        print(f"  never called: {', '.join(silent)}")
    print(f"  {sum(spent for spent, _ in told.values()):7.1f}  together")
    print(f"  {costs['cpu'] * 1e6:7.1f}  the whole process, wrappers included")
    os._exit(0)


if __name__ == "__main__":
    main()
