"""Leaves out the compiling of dashboards where there is no Python for it; see ``tests/testbed``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

MAKE_ENVIRONMENT = Path(__file__).parents[2] / "kibana" / "make_environment"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say in one line what is left out, and why."""
    compiling = [item for item in items if item.get_closest_marker("compiles_dashboards")]
    if not compiling or os.environ.get("OTELBRIDGE_REQUIRE_SERVERS") == "1":
        return
    checked = subprocess.run([MAKE_ENVIRONMENT, "--check"], capture_output=True, text=True)
    if checked.returncode == 0:
        return
    config.hook.pytest_deselected(items=compiling)
    items[:] = [item for item in items if item not in compiling]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"{len(compiling)} tests left out: {checked.stderr.strip()}")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "compiles_dashboards: needs Python 3.12 or newer")
