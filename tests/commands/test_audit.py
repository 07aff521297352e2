"""``otelbridge audit verify``: what it prints, and its exit code."""

from __future__ import annotations

import json
import logging

import pytest

from otelbridge.cli import main
from otelbridge.sinks.audit import AuditHandler


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "audit.jsonl"
    logger = logging.Logger("payments")
    logger.addHandler(AuditHandler(path))
    for number in range(5):
        logger.info("transfer %d", number)
    logger.handlers[0].close()
    return path


def run(*arguments: object) -> int:
    return main(["audit", "verify", *map(str, arguments)])


def head_of(output: str) -> str:
    return output.split("head ")[1].strip()


def test_a_whole_trail_ends_with_its_head_to_note_down(path, capsys):
    assert run(path) == 0

    output = capsys.readouterr().out
    assert output.startswith("whole: 5 lines\n")
    assert run(path, "--expect", head_of(output)) == 0


def test_a_changed_line_is_named_and_the_exit_code_is_1(path, capsys):
    path.write_text(path.read_text().replace("transfer 3", "transfer 9"))

    assert run(path) == 1
    assert f"broken: {path}:4: was changed" in capsys.readouterr().out


def test_an_end_that_was_cut_off_is_noticed_by_the_head_noted_down(path, capsys):
    run(path)
    head = head_of(capsys.readouterr().out)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))

    assert run(path) == 0
    assert run(path, "--expect", head) == 1
    assert "with the expected hash is not in the trail" in capsys.readouterr().out


def test_the_result_as_json(path, capsys):
    assert run(path, "--json") == 0

    result = json.loads(capsys.readouterr().out)
    assert result["files"] == [str(path)]
    assert (result["lines"], result["unfinished"], result["broken"]) == (5, 0, None)
    assert result["head"].startswith("5:")


def test_the_wrong_key_is_hinted_at(path, capsys):
    assert run(path, "--audit-key", "guess") == 1
    assert "(or the key is another)" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_one_line(tmp_path, capsys):
    assert run(tmp_path / "none.jsonl") == 1
    assert "none.jsonl" in capsys.readouterr().err


def test_a_head_that_is_none_says_what_is_allowed(path, capsys):
    assert run(path, "--expect", "latest") == 2
    assert "64 hexadecimal digits" in capsys.readouterr().err
