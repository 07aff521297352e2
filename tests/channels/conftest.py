"""Fixtures for the tests of channels: stand-ins for the services, and a real mail server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.channels.services import DiscordService, Service, SlackService, TelegramService


@pytest.fixture
def telegram() -> Iterator[TelegramService]:
    with TelegramService() as service:
        yield service


@pytest.fixture
def discord() -> Iterator[DiscordService]:
    with DiscordService() as service:
        yield service


@pytest.fixture
def slack() -> Iterator[SlackService]:
    with SlackService() as service:
        yield service


@pytest.fixture
def hook() -> Iterator[Service]:
    with Service() as service:
        yield service
