"""Django, FastAPI, Starlette: our spans and request metrics equal those of OpenTelemetry's own.

Where ours differ on purpose, it is said here how.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from programs import environment

TWINS = Path(__file__).parent / "twins.py"


@pytest.mark.parametrize("framework", ["fastapi", "starlette", "django"])
def test_spans_and_metrics_equal_upstream_s(framework: str) -> None:
    ours, theirs = observe(framework, "ours"), observe(framework, "upstream")

    if framework == "starlette":
        _answer_errors(theirs)
    elif framework == "django":
        _leave_clients_errors_alone(theirs)

    assert len(ours["spans"]) >= 10
    for span, other in zip(ours["spans"], theirs["spans"], strict=True):
        assert span == other
    assert ours["points"] == theirs["points"]


def observe(framework: str, by: str) -> Any:
    ended = subprocess.run(
        [sys.executable, str(TWINS), framework, by],
        env=environment({"OTELBRIDGE_SINKS": "none"}),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(ended.stdout.splitlines()[-1])


def _answer_errors(theirs: Any) -> None:
    """Upstream's Starlette middleware ends before the answer of status 500 is sent."""
    for span in theirs["spans"]:
        if span["events"]:
            span["attributes"]["http.response.status_code"] = 500
            span["attributes"]["error.type"] = "500"
            span["description"] = None
    for name, _, attributes, _ in theirs["points"]:
        if name == "http.server.request.duration" and attributes.get("http.route") == "/boom":
            attributes.update({"http.response.status_code": 500, "error.type": "500"})


def _leave_clients_errors_alone(theirs: Any) -> None:
    """Upstream takes Http404 and PermissionDenied for errors of the server, and keeps its 404s."""
    for span in theirs["spans"]:
        if span["attributes"]["http.response.status_code"] < 500:
            span.update(status="UNSET", description=None, events=[])
