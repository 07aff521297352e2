from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.receivers.running import RunningBridge, running_bridge


@pytest.fixture
def bridge() -> Iterator[RunningBridge]:
    """A bridge with the default settings."""
    with running_bridge() as running:
        yield running
