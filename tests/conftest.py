"""Fixtures for every test; this folder's own modules (``otlp_receiver``) are importable by it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from otlp_receiver import OTLPReceiver

pytest_plugins = ["tests.testbed.fixtures"]

# A shell starts what it puts into the background with Ctrl-C ignored, and programs inherit that;
# those that tests interrupt must be what they are in a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def otlp_receiver() -> Iterator[OTLPReceiver]:
    """An OTLP receiver, listening for HTTP and gRPC."""
    from otlp_receiver import OTLPReceiver

    with OTLPReceiver() as receiver:
        yield receiver
