"""Fixtures for every test; this folder's own modules (``otlp_receiver``) are importable by it."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from otlp_receiver import OTLPReceiver

# How long an example takes says how busy the machine is.
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

pytest_plugins = ["tests.testbed.fixtures"]

# How long an example takes is the machine's affair.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# A shell starts what it puts into the background with Ctrl-C ignored, and programs inherit that;
# those that tests interrupt must be what they are in a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _spools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep every program that tests start out of the home folder."""
    folder = tmp_path_factory.mktemp("spools")
    os.environ["OTELBRIDGE_SPOOL_DIR"] = str(folder / "session")
    # Tests that count records are not about processes announcing themselves; those that are say so.
    os.environ.setdefault("OTELBRIDGE_HEARTBEAT", "0")
    return folder


@pytest.fixture(autouse=True)
def _spool_of_its_own(_spools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test send what another left."""
    monkeypatch.setenv("OTELBRIDGE_SPOOL_DIR", str(_spools / secrets.token_hex(6)))


@pytest.fixture
def otlp_receiver() -> Iterator[OTLPReceiver]:
    """An OTLP receiver, listening for HTTP and gRPC."""
    from otlp_receiver import OTLPReceiver

    with OTLPReceiver() as receiver:
        yield receiver
