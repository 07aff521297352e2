"""A trail with a few lines, and the logger that writes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otelbridge.sinks.audit import AuditHandler


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "audit.jsonl"


@pytest.fixture
def make_logger(path: Path) -> Iterator[Callable[..., logging.Logger]]:
    made: list[AuditHandler] = []

    def make(**options: object) -> logging.Logger:
        handler = AuditHandler(path, **options)
        made.append(handler)
        logger = logging.Logger("payments")
        logger.addHandler(handler)
        return logger

    yield make
    for handler in made:
        handler.close()
