from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.samples import OpenStore, opened


@pytest.fixture
def store(tmp_path) -> Iterator[OpenStore]:
    """An empty store, its clock standing at noon."""
    with opened(tmp_path / "store.db") as store:
        yield store
