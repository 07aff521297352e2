from __future__ import annotations

import sys

import pytest


@pytest.fixture
def python() -> str:
    """The interpreter that examples are run with."""
    return sys.executable
