"""Fixtures that are real servers; what asks for one of them is marked ``servers``.

Where a server cannot be had (no JDK 21 and Maven, no Go), its tests are left out and one line says
so; with ``OTELBRIDGE_REQUIRE_SERVERS=1``, as in continuous integration, they fail instead.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.collector_process import BUILD, Collector
from tests.testbed.elasticsearch_server import RUN, elasticsearch_server

GIVEN = "OTELBRIDGE_TEST_ELASTICSEARCH_URL"
BUILD_SECONDS = 1200


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that use servers, and leave out those whose server cannot be had."""
    left_out: dict[str, list[pytest.Item]] = {}
    for item in items:
        used = _NEEDED.keys() & set(getattr(item, "fixturenames", ()))
        if not used:
            continue
        item.add_marker(pytest.mark.servers)
        if "elasticsearch_url" in used:
            item.add_marker(pytest.mark.elasticsearch)
        if not any(item.iter_markers("timeout")):
            # The first of them may build what it needs.
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS))
        for fixture in used:
            if (why := _missing(fixture)) is not None:
                left_out.setdefault(why, []).append(item)
                break
    if not left_out:
        return
    gone = {id(item) for group in left_out.values() for item in group}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in gone])
    items[:] = [item for item in items if id(item) not in gone]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        for why, group in left_out.items():
            reporter.write_line(f"{len(group)} tests left out: {why}")


@pytest.fixture(scope="session")
def elasticsearch_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Elasticsearch, one for all tests: each keeps to a namespace of its own."""
    given = os.environ.get(GIVEN)
    if given:
        yield given
        return
    with elasticsearch_server(tmp_path_factory.mktemp("elasticsearch")) as url:
        yield url


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Starts Collectors of ``deploy/collector/config.yaml`` on free ports, with given variables."""
    started: list[Collector] = []

    def start(*configs: Path, folder: Path | None = None, **environ: Any) -> Collector:
        place = folder or tmp_path / f"collector-{len(started)}"
        options = {"configs": configs} if configs else {}
        variables = {name: str(value) for name, value in environ.items()}
        made = Collector(place, environ=variables, **options)  # type: ignore[arg-type]
        started.append(made)
        return made.start()

    yield start
    for one in started:
        # Gently would take it seconds, for it tells of itself until the end.
        one.discard()


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    """Wait for something that nothing here is told of."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)


_NEEDED = {"elasticsearch_url": RUN, "collector": BUILD}
_FOUND_MISSING: dict[str, str | None] = {}


def _missing(fixture: str) -> str | None:
    if os.environ.get("OTELBRIDGE_REQUIRE_SERVERS") == "1":
        return None
    if fixture == "elasticsearch_url" and os.environ.get(GIVEN):
        return None
    if fixture not in _FOUND_MISSING:
        done = subprocess.run([_NEEDED[fixture], "--check"], capture_output=True, text=True)
        _FOUND_MISSING[fixture] = done.stderr.strip() if done.returncode else None
    return _FOUND_MISSING[fixture]
