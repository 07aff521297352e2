"""An offered load is fine if it was whole and everything arrived; everything else is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.offered import OURS, Offered, Signal, add_rows, conclusion, markdown
from benchmarks.table import Table

FINE = Offered(20_000, 1.0, 0.5, 60_000_000, 20_000, 0, 0)
STOCK = Offered(20_000, 1.0, 0.6, 60_000_000, 10_600)
Found = dict[tuple[Signal, str], Offered]


@pytest.fixture
def found() -> Found:
    return {
        (signal, name): one
        for signal in ("logs", "spans")
        for name, one in ((OURS, FINE), ("stock, HTTP", STOCK))
    }


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (FINE, ""),
        (replace(FINE, seconds=1.005), ""),
        (replace(FINE, seconds=2.0), "this machine made 10,000 a second only"),
        (replace(FINE, arrived=19_999), "1 did not arrive"),
        (replace(FINE, arrived=20_001), "-1 did not arrive"),
    ],
)
def test_the_whole_rate_is_offered_and_everything_arrives(one: Offered, verdict: str) -> None:
    assert one.verdict(20_000) == verdict


def test_only_ours_must_have_everything_arrive(found: Found) -> None:
    table = Table()
    add_rows(table, found, 20_000, 1)
    assert [row.met for row in table.rows] == [True, None, True, None]
    assert "9,400 did not arrive" in table.rows[1].measured


def test_it_ends_with_a_verdict_for_each_signal(found: Found) -> None:
    found["spans", OURS] = replace(FINE, arrived=19_000)
    assert list(conclusion(found, 20_000)) == [
        f"20,000 logs/s, {OURS}: ok: all 20,000 arrived",
        f"20,000 spans/s, {OURS}: NOT: 1,000 did not arrive",
    ]


def test_the_table_says_what_arrived(found: Found) -> None:
    lines = markdown(found, "2026-11-22", "2 cores").splitlines()
    assert lines[0] == "2 cores; 2026-11-22."
    assert lines[-2] == f"| 20,000 spans | {OURS} | 20,000 | all | 25 µs | 60 MB |"
    assert lines[-1].startswith("| 20,000 spans | stock, HTTP | 20,000 | **53.0%**, 10,600 |")
