"""Real servers, real faults: every number that was sent is stored once, and nobody waited for it.

``OTELBRIDGE_FAULT_SECONDS=120`` makes each fault last as long.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.destinations import SIGNALS, Signal
from tests.faults.drill import Drill, perform
from tests.faults.drills import DRILLS
from tests.faults.outcome import Outcome
from tests.faults.server import OURS

# A process killed with -9 takes with it what was logged within one flush interval, and what was
# being handed over or written down at that moment.
LAST_SECONDS: dict[Signal, float] = {"logs": 0.2 + 0.3, "spans": 0.5 + 0.3}
# An app may not wait for telemetry. Tests share their machine, which may be busy at any moment, so
# these find what hangs; benchmarks/faults.py measures the rest.
UNNOTICED_SECONDS = 0.5
SLOWEST_SECONDS = 3.0
MEMORY_BYTES = 64 * 2**20
DESCRIPTORS = 8
# Within OTELBRIDGE_SHUTDOWN_TIMEOUT; gunicorn would kill a worker that hangs after 30 s.
END_SECONDS = 5.0 + 10.0


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_every_number_is_stored_once(drill: Drill, tmp_path: Path) -> None:
    outcome = perform(drill, OURS, folder=tmp_path / "drill")
    print(outcome.line())
    assert outcome.sent > 0
    if drill.met:
        assert outcome.attempts > 0, "the fault was met"
    for signal in SIGNALS:
        _expect_all(drill, outcome, signal)
    _expect_unnoticed(outcome)
    assert outcome.uncounted == []
    assert "Traceback" not in outcome.said, outcome.said


def _expect_all(drill: Drill, outcome: Outcome, signal: Signal) -> None:
    fate = outcome.fates[signal]
    what = f"{signal}: {outcome.line()}\n{outcome.said}"
    assert fate.twice == 0, what
    assert fate.strange == 0, what
    assert fate.misplaced == 0, what
    if drill.ordered:
        assert fate.late == 0, what
    killed = () if drill.journal else outcome.killed
    lost = fate.unexcused(killed, LAST_SECONDS[signal])
    assert len(lost) == (outcome.dropped[signal] if drill.may_drop else 0), what


def _expect_unnoticed(outcome: Outcome) -> None:
    what = outcome.line()
    assert outcome.inside_fault < 3 * outcome.inside_healthy + UNNOTICED_SECONDS, what
    assert outcome.slowest < SLOWEST_SECONDS, what
    assert outcome.rss_peak - outcome.rss_healthy < MEMORY_BYTES, what
    assert outcome.descriptors_end <= outcome.descriptors_healthy + DESCRIPTORS, what
    assert outcome.end_seconds < END_SECONDS, what
