"""Fixtures for every test; this folder's own modules (``otlp_receiver``) are importable by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from otlp_receiver import OTLPReceiver

pytest_plugins = ["tests.testbed.fixtures"]


@pytest.fixture
def otlp_receiver() -> Iterator[OTLPReceiver]:
    """An OTLP receiver, listening for HTTP and gRPC."""
    from otlp_receiver import OTLPReceiver

    with OTLPReceiver() as receiver:
        yield receiver
