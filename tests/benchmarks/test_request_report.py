"""What rounds found becomes tables, a picture and verdicts, and survives the way to a file."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

import pytest

from benchmarks.request_report import (
    BARE,
    FLOOR,
    OURS,
    STOCK,
    Cost,
    Form,
    Measured,
    Round,
    Told,
    add_rows,
    delivered,
    drawing,
    markdown,
    spread,
)
from benchmarks.table import Table


def cost(cpu: float, p99: float = 200, logs: int = 20, spans: int = 10) -> Cost:
    """A process's result, of microseconds; it was to deliver 20 logs and 10 spans."""
    return Cost(cpu / 1e6, 90 / 1e6, p99 / 1e6, 50_000_000, logs, spans, 20, 10)


def round_(run: int, costs: Mapping[str, float], p99: float = 200) -> Round:
    return Round(run, {name: cost(cpu, p99) for name, cpu in costs.items()})


@pytest.fixture
def form() -> Form:
    return Form(
        0,
        1000,
        [
            round_(1, {BARE: 100, FLOOR: 125, STOCK: 500, OURS: 150}),
            round_(2, {BARE: 80, FLOOR: 110, STOCK: 380, OURS: 140}),
            round_(3, {BARE: 90, FLOOR: 120, STOCK: 490, OURS: 130}),
        ],
    )


@pytest.fixture
def measured(form: Form) -> Measured:
    variants = {
        name: Told(f"does {name}", {"Python": "3.11.7", "x": "1.0"}) for name in form.names()
    }
    return Measured("2026-11-22", "2 cores", variants, [form])


def test_what_is_added_is_compared_within_each_round(form: Form) -> None:
    assert form.added(OURS) == pytest.approx([50, 60, 40])
    assert form.shares(OURS, STOCK) == pytest.approx([50 / 400, 60 / 300, 40 / 400])
    assert form.shares(OURS, FLOOR) == pytest.approx([2, 2, 4 / 3])


def test_a_run_has_its_own_rounds(form: Form) -> None:
    assert form.added(OURS, run=2) == pytest.approx([60])
    assert form.shares(OURS, STOCK, run=3) == pytest.approx([0.1])


def test_a_round_in_which_a_process_failed_is_left_out(form: Form) -> None:
    del form.rounds[1].costs[OURS]
    assert form.added(OURS) == pytest.approx([50, 40])
    del form.rounds[0].costs[BARE]
    assert form.shares(OURS, STOCK) == pytest.approx([0.1])


def test_the_cheapest_comes_first(form: Form) -> None:
    assert form.names() == [BARE, FLOOR, OURS, STOCK]


def test_a_spread_is_the_median_the_least_and_the_most() -> None:
    assert spread([3, 1, 2]) == "2.0 (1.0 to 3.0)"
    assert spread([0.125], 2) == "0.12"
    assert spread([]) == ""


def test_what_is_missing_of_a_signal_is_told() -> None:
    assert delivered([cost(1), cost(1)]) == "all 40 logs; all 20 spans"
    assert delivered([cost(1), cost(1, spans=3)]) == "all 40 logs; **65.0%** of 20 spans"
    # More than was produced is not all of it either.
    assert delivered([cost(1, logs=21)]) == "**105.0%** of 20 logs; all 10 spans"


def test_a_signal_that_is_not_produced_is_not_told() -> None:
    assert delivered([Cost(1, 1, 1, 1, 20, 0, 20, 0)]) == "all 20 logs"
    assert delivered([Cost(1, 1, 1, 1, 0, 0, 0, 0)]) == ""


def test_it_is_the_same_after_the_way_through_a_file(measured: Measured) -> None:
    assert Measured.read(measured.json()) == measured


def test_the_table_has_a_row_for_each_and_the_versions(measured: Measured) -> None:
    lines = markdown(measured).splitlines()
    [ours] = [line for line in lines if line.startswith(f"| **{OURS}** | 140 |")]
    assert "| 50 (40 to 60) | 0.12 (0.10 to 0.20) | 2.0 (1.3 to 2.0) |" in ours
    assert f"| **{OURS}** | 50 (0.12) | 60 (0.20) | 40 (0.10) |" in lines
    assert f"| {STOCK} | does {STOCK} | x 1.0 |" in lines
    assert "2 cores; 2026-11-22." in lines[0]
    assert lines[2].endswith(" 1,000 requests of each set-up in a round, 3 rounds in 3 runs.")


def test_without_what_others_are_compared_with_there_is_still_a_table(form: Form) -> None:
    for each in form.rounds:
        each.costs = {OURS: each.costs[OURS]}
    measured = Measured("", "", {OURS: Told("", {"Python": "3.11.7"})}, [form])
    assert f"| **{OURS}** | 140 |" in markdown(measured)


def test_the_picture_names_each_and_its_numbers(form: Form) -> None:
    texts = [each.text for each in ElementTree.fromstring(drawing(form)).iter() if each.text]
    assert {BARE, FLOOR, STOCK, OURS, "50", "400"} <= set(texts)


@pytest.mark.parametrize(("p99", "met"), [(250, True), (400, False)])
def test_what_is_asked_of_ours_is_judged_by_the_median(
    form: Form, measured: Measured, p99: float, met: bool
) -> None:
    for each in form.rounds:
        each.costs[OURS] = cost(each.costs[OURS].cpu * 1e6, p99)
    table = Table()
    add_rows(table, measured)
    judged = {row.name.partition("records: ")[2]: row.met for row in table.rows if row.target}
    assert judged == {
        "CPU added, of what stock adds": True,
        "CPU added, of what JSON lines add": False,
        "p99 against bare": met,
    }
