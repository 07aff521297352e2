"""Which drills this machine can do."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import lru_cache

import pytest

from tests.faults.drill import Drill
from tests.faults.mounts import can_mount


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the drills, and leave out those that lack something here: a line says what."""
    drills = [
        (item, item.callspec.params["drill"])
        for item in items
        if isinstance(item, pytest.Function)
        and "drill" in getattr(getattr(item, "callspec", None), "params", {})
    ]
    left_out: dict[str, list[pytest.Item]] = {}
    for item, drill in drills:
        item.add_marker(pytest.mark.faults)
        item.add_marker(pytest.mark.servers)
        if (why := _missing(drill)) is not None:
            left_out.setdefault(why, []).append(item)
    if not left_out:
        return
    gone = {id(item) for group in left_out.values() for item in group}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in gone])
    items[:] = [item for item in items if id(item) not in gone]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        for why, group in left_out.items():
            reporter.write_line(f"{len(group)} drills left out: {why}")


def _missing(drill: Drill) -> str | None:
    if os.environ.get("OTELBRIDGE_REQUIRE_SERVERS") == "1":
        return None
    if drill.mounts and not _mounts():
        return "programs may have no mounts of their own here"
    if drill.openssl and shutil.which("openssl") is None:
        return "openssl is not installed"
    for program in drill.needs:
        if (why := _checked(str(program))) is not None:
            return why
    return None


@lru_cache
def _mounts() -> bool:
    return can_mount()


@lru_cache
def _checked(program: str) -> str | None:
    done = subprocess.run([program, "--check"], capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else None
