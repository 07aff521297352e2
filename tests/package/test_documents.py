"""What the documents say is so."""

from __future__ import annotations

import logging.config
import re
import runpy
from pathlib import Path

import pytest

from otelbridge.cli import COMMANDS, main
from otelbridge.settings import describe_settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TABLES = runpy.run_path(str(ROOT / "docs" / "settings_table.py"))


@pytest.mark.parametrize("document", TABLES["DOCUMENTS"], ids=lambda path: path.name)
def test_tables_of_settings_are_as_the_settings_are(document):
    text = document.read_text()
    assert "<!-- settings: " in text
    assert text == TABLES["filled"](text), "run: python docs/settings_table.py"


def test_every_setting_is_documented():
    text = (ROOT / "docs" / "settings.md").read_text()
    for setting in describe_settings({}):
        assert f"| `{setting.variable}` |" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_variables_that_are_named_exist(document):
    known = {setting.variable for setting in describe_settings({})}
    named = set(re.findall(r"\bOTELBRIDGE_[A-Z_]+\b", document.read_text()))
    assert named - known == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_within_the_project_lead_somewhere(document):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    here = [target for target in targets if "://" not in target]
    missing = [target for target in here if not (document.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_are_shown_exist(document, capsys):
    shown = re.findall(
        r"^    (?:\$ )?otelbridge ([a-z]+)((?: +--[a-z-]+)*)", document.read_text(), re.M
    )
    for command, options in shown:
        assert command in COMMANDS
        main([command, "--help"])
        said = capsys.readouterr().out
        for option in options.split():
            assert option in said


def python_blocks(path: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "docs" / "logging.md"])
def test_logging_configurations_that_are_shown_work(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = [block for block in python_blocks(document) if "dictConfig(" in block]
    assert blocks
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        for block in blocks:
            exec(block, {"logging": logging})
            logging.getLogger("as.shown").error("as shown", extra={"user": "alice"})
        for handler in root.handlers:
            handler.close()
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    [written] = tmp_path.rglob("*.jsonl")
    assert '"user":"alice"' in written.read_text()
