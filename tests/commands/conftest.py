"""A real bridge for the commands that ask one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.served import ServedBridge, serve


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedBridge]:
    served = serve(tmp_path_factory.mktemp("bridge"))
    yield served
    served.stop()


@pytest.fixture
def ask(bridge: ServedBridge, monkeypatch: pytest.MonkeyPatch) -> ServedBridge:
    """The bridge, as the one that commands ask."""
    monkeypatch.setenv("OTELBRIDGE_URL", bridge.url)
    return bridge
