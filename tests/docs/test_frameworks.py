"""The table of docs/frameworks.md: every row is run, and says what has arrived."""

from __future__ import annotations

from pathlib import Path

import pytest
from otlp_receiver import OTLPReceiver

from tests.docs.combinations import COMBINATIONS, Combination, rows, told

ROWS = rows()


@pytest.mark.parametrize(
    ("name", "combination"),
    [
        pytest.param(name, each, id=name, marks=[pytest.mark.servers] * each.starts_servers)
        for name, each in COMBINATIONS.items()
    ],
)
def test_a_row_tells_what_arrives(
    name: str, combination: Combination, otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    row = ROWS[name]
    line = row.line.strip("`")
    assert combination.shows(line), f"{name} does not contain `{line}`"

    combination.run(tmp_path, otlp_receiver)

    assert told(otlp_receiver, row.line, row) == row
    combination.check(otlp_receiver)


def test_every_row_is_run() -> None:
    assert list(ROWS) == list(COMBINATIONS)
