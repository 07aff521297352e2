"""Real processes are measured, and what they deliver is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.request import measure, ways
from benchmarks.request_report import Form, Measured


@pytest.mark.parametrize(
    "name", ["python-json-logger", "stock, HTTP", "stock, gRPC", "ours, gRPC", "ours as it comes"]
)
def test_everything_that_a_set_up_produces_is_counted(name: str) -> None:
    [round_] = measure(ways([name]), [Form(0, 20)], rounds=1).forms[0].rounds
    cost = round_.costs[name]
    assert cost.logs == cost.logs_produced >= 440
    assert cost.spans == cost.spans_produced
    assert 0 < cost.p50 <= cost.p99
    assert cost.cpu > 0
    assert cost.memory > 5_000_000


def test_a_process_that_fails_is_missing_in_its_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [bare] = ways(["bare"]).values()
    kept = tmp_path / "kept.json"
    measured = measure({"bare": bare, "nothing": bare}, [Form(500, 20)], 2, 1, kept)
    assert [(each.run, list(each.costs)) for each in measured.forms[0].rounds] == [
        (1, ["bare"]),
        (2, ["bare"]),
    ]
    assert "nothing FAILED" in capsys.readouterr().out
    assert Measured.read(kept.read_text()) == measured
