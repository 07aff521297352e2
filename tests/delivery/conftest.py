"""A destination that tests decide about, and deliveries to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery.line import Destination, Line


@pytest.fixture
def destination() -> Destination:
    return Destination()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path / "spool")
    yield line
    for delivery in line.made:
        delivery.close()
        delivery.wait_closed(0.0)
