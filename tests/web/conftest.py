"""The page over a real store, asked without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from otelbridge.alarms.duty import Duty
from otelbridge.bridge_state import StateFile, state_folder
from otelbridge.error_states import ErrorStates
from otelbridge.model import Batch, LogRecord, MetricPoint, Span
from otelbridge.projects import Roster
from otelbridge.receivers.counters import ReceiverCounters, SenderCounters
from otelbridge.settings import Settings, read_settings
from otelbridge.store import open_store
from otelbridge.store.protocol import Arrivals, Store
from otelbridge.users import Users, users_of
from otelbridge.web import create_app


@dataclass
class StandingBridge:
    """A bridge without its receivers: the store is real, the addresses are only said."""

    store: Store
    settings: Settings
    receivers: list[ReceiverCounters] = field(default_factory=list)
    senders: dict[str, SenderCounters] = field(default_factory=dict)
    addresses: dict[str, tuple[str, int]] = field(
        default_factory=lambda: {"http": ("127.0.0.1", 4318), "grpc": ("127.0.0.1", 4317)}
    )
    alarms: Duty = field(init=False)
    users: Users = field(init=False)
    state: Path = field(default_factory=Path)
    projects: Roster = field(init=False)
    error_states: ErrorStates = field(init=False)

    def __post_init__(self) -> None:
        self.error_states = ErrorStates(StateFile(state_folder(self.settings) / "errors.json"))
        self.projects = Roster(self.store, StateFile(self.state / "projects.json"))


@dataclass
class Page:
    """The page, and the store behind it."""

    client: TestClient
    bridge: StandingBridge

    def get(self, address: str, **parameters: Any) -> httpx.Response:
        return self.client.get(address, params=parameters or None, follow_redirects=False)

    def store(self, *records: LogRecord | Span | MetricPoint) -> Arrivals:
        """Store records, each kind in its place."""
        batch = Batch(
            [record for record in records if isinstance(record, LogRecord)],
            [record for record in records if isinstance(record, Span)],
            [record for record in records if isinstance(record, MetricPoint)],
        )
        portal = self.client.portal
        assert portal is not None
        return portal.call(self.bridge.store.write, batch)


def start(stack: ExitStack, settings: Settings, kind: type[Page]) -> Page:
    """Open a page over the store that the settings name, until the stack is left."""
    state = Path(stack.enter_context(TemporaryDirectory()))
    bridge = StandingBridge(open_store(settings), settings, state=state)
    watched = Path(stack.enter_context(TemporaryDirectory()))
    bridge.users = users_of(settings, watched)
    client = TestClient(
        create_app(bridge), base_url="http://127.0.0.1:4319", raise_server_exceptions=False
    )
    stack.enter_context(client)
    assert client.portal is not None
    client.portal.call(bridge.store.open)
    stack.callback(client.portal.call, bridge.store.close)
    bridge.alarms = Duty(
        settings.alarms,
        bridge.store,
        watched,
        channels=settings.channels,
        error_states=bridge.error_states,
    )
    client.portal.call(bridge.alarms.start)
    stack.callback(client.portal.call, bridge.alarms.stop)
    client.portal.call(bridge.projects.start)
    stack.callback(client.portal.call, bridge.projects.stop)
    client.portal.call(bridge.projects.ready)
    return kind(client, bridge)


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens a page with settings of the test's choice."""
    with ExitStack() as stack:

        def open_(**overrides: Any) -> Page:
            settings = read_settings({}, store=f"sqlite:///{tmp_path}/page.db", **overrides)
            return start(stack, settings, Page)

        yield open_


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """A page that asks for no token."""
    return open_page()
