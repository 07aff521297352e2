"""The saved objects fit together, and are what the sources compile to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kibana.asked import ASKED
from tests.kibana.lens import Panel, controls, of_type, panels, saved_objects

KIBANA = Path(__file__).parents[2] / "kibana"
DASHBOARDS = {"overview", "errors", "logs", "traces", "process", "pipeline"}


def test_there_are_six_dashboards_with_ids_that_stay():
    assert {one["id"] for one in of_type("dashboard")} == {f"otelbridge-{n}" for n in DASHBOARDS}


def test_an_id_is_given_once():
    keys = [(one["type"], one["id"]) for one in saved_objects()]
    assert len(set(keys)) == len(keys)
    ids = [panel.id for panel in panels()]
    assert len(set(ids)) == len(ids)


def test_what_is_referred_to_is_there_and_comes_first():
    known: set[tuple[str, str]] = {("dashboard", one["id"]) for one in of_type("dashboard")}
    for one in saved_objects():
        known.add((one["type"], one["id"]))
        assert {(to["type"], to["id"]) for to in one["references"]} <= known


@pytest.mark.parametrize("dashboard", of_type("dashboard"), ids=lambda one: one["id"])
def test_a_dashboard_is_narrowed_by_service_environment_and_time(dashboard: dict[str, Any]):
    asked = {(one["type"], one["explicitInput"].get("title")) for one in controls(dashboard)}
    assert asked == {
        ("optionsListControl", "Service"),
        ("optionsListControl", "Environment"),
        ("timeSlider", None),
    }
    assert dashboard["attributes"]["timeRestore"]


def test_dashboards_lead_to_one_another_by_trace():
    by_trace = {
        panel.id
        for panel in panels()
        for _, one in panel.buckets
        if one["sourceField"] == "trace_id"
    }
    links = {
        (dashboard["id"], to["name"].split(":")[0], to["id"])
        for dashboard in of_type("dashboard")
        for to in dashboard["references"]
        if to["type"] == "dashboard"
    }
    assert {(start, end) for start, panel, end in links if panel in by_trace} == {
        ("otelbridge-errors", "otelbridge-traces"),
        ("otelbridge-errors", "otelbridge-logs"),
        ("otelbridge-traces", "otelbridge-logs"),
        ("otelbridge-traces", "otelbridge-errors"),
    }


def test_nothing_is_scripted():
    for view in of_type("index-pattern"):
        assert not view["attributes"].keys() & {"fields", "runtimeFieldMap"}
    for dashboard in of_type("dashboard"):
        for panel in json.loads(dashboard["attributes"]["panelsJSON"]):
            assert panel["type"] in {"lens", "search"}


def test_every_panel_asks_what_it_is_meant_to():
    assert {panel.id: asked(panel) for panel in panels()} == ASKED


def asked(panel: Panel) -> tuple[str, str, list[str], list[str]]:
    """What a panel asks, in the table's words."""
    buckets = [column["sourceField"] for _, column in panel.buckets]
    metrics = []
    for _, column in panel.metrics:
        # A column knows more than this where it narrows or shifts what it counts.
        assert not column.keys() & {"filter", "timeShift", "reducedTimeRange", "references"}
        operation = column["operationType"]
        if operation == "percentile":
            operation = f"p{column['params']['percentile']}"
        metrics.append("count" if operation == "count" else f"{operation} {column['sourceField']}")
    return panel.data_view.removeprefix("otelbridge-"), panel.kql, buckets, metrics


@pytest.mark.servers
@pytest.mark.compiles_dashboards
@pytest.mark.timeout(600)
def test_the_shipped_file_is_what_the_sources_compile_to(tmp_path: Path):
    made = subprocess.run([KIBANA / "make_environment", tmp_path / "v"], capture_output=True)
    assert made.returncode == 0, made.stderr.decode()
    compiled = subprocess.run(
        [tmp_path / "v" / "bin" / "python", KIBANA / "compile.py", "--print"],
        capture_output=True,
        check=True,
        timeout=300,
    )
    assert compiled.stdout == (KIBANA / "otelbridge.ndjson").read_bytes()
