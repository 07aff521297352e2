"""A file of rules that people change while it is read."""

from __future__ import annotations

import os

import pytest

from otelbridge.alarms import RuleError
from otelbridge.alarms.rule_file import RuleFile

ERRORS = "[[alarms]]\nname = 'errors'\nwhen = 'error'\n"
CRASHES = "[[alarms]]\nname = 'crashes'\nwhen = 'crashed'\n"


class Written:
    """A file whose times of modification differ with every writing."""

    def __init__(self, path) -> None:
        self.path = path
        self._time = 1_700_000_000

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self._time += 1
        os.utime(self.path, (self._time, self._time))


@pytest.fixture
def written(tmp_path) -> Written:
    file = Written(tmp_path / "alarms.toml")
    file.write(ERRORS)
    return file


@pytest.fixture
def file(written) -> RuleFile:
    read = RuleFile(written.path)
    read.read()
    return read


def names(file: RuleFile) -> list[str]:
    return [rule.name for rule in file.rules.rules]


def test_what_was_not_changed_is_not_read_again(file):
    assert not file.reread()
    assert names(file) == ["errors"]


def test_a_changed_file_is_read_when_it_has_rested(file, written):
    written.write(ERRORS + CRASHES)

    assert not file.reread()
    assert names(file) == ["errors"]
    assert file.reread()
    assert names(file) == ["errors", "crashes"]
    assert not file.reread()


def test_no_half_of_a_file_that_is_being_written_is_used(file, written):
    whole = CRASHES + ERRORS.replace("errors", "others")
    # What an editor that writes in place leaves for a moment is a file of fewer rules.
    for part in ("", CRASHES, whole):
        written.write(part)
        assert not file.reread()
        assert names(file) == ["errors"]

    assert file.reread()
    assert names(file) == ["crashes", "others"]
    assert file.problem == ""


def test_an_empty_file_takes_no_rules_away_and_is_said(file, written, caplog):
    written.write("")

    for _ in range(3):
        assert not file.reread()

    assert names(file) == ["errors"]
    assert file.problem == f"{written.path}: it is empty; what it held is kept"
    assert caplog.text.count("alarms stay as they were") == 1


def test_a_file_of_nothing_but_a_comment_is_no_rules(file, written):
    written.write("# none for now\n")
    file.reread()

    assert file.reread()
    assert names(file) == []
    assert file.problem == ""


def test_a_file_that_is_gone_takes_no_rules_away_and_is_said(file, written):
    written.path.unlink()

    for _ in range(2):
        file.reread()

    assert names(file) == ["errors"]
    assert "No such file" in file.problem
    written.write(CRASHES)
    file.reread()
    assert file.reread()
    assert file.problem == ""


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[[alarms]]\nname = 'a'\nwhen = \n", ":3: Invalid value"),
        ("[[alarms]]\nname = 'a'\nwhen = 'cpu'\n\n# half\nabove = 'x'\n", ":6: a: above is 'x'"),
        (ERRORS + "\n[[alarms]]\nname = 'b'\nwhen = 'cpu'\n", ":5: b: cpu needs above"),
        (ERRORS + ERRORS, ":5: two alarms are called 'errors'"),
        ("[[ alarms ]]\nname='a'\n'when'='never'\n", ":3: a: when is 'never'"),
        ("\n[[alarms]]\nwhen = 'error'\n", ":2: an alarm needs a name"),
        (ERRORS + "to = ['ops']\n", ":4: errors: to is 'ops'"),
        ("[destinations.ops]\nkind = 'file'\npath = ''\n", ":3: destination ops: file needs path"),
        (
            "[destinations.'my ops']\nkind = 'file'\npath = 'a'\nquiet = 'x'\n",
            ":4: destination my ops: file: quiet is 'x'",
        ),
        ("alarms = [{name = 'a', when = 'never'}]\n", ": a: when is 'never'"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(written, text, place):
    written.write(text)

    with pytest.raises(RuleError) as caught:
        RuleFile(written.path).read()

    assert str(caught.value).startswith(f"{written.path}{place}")
    assert "\n" not in str(caught.value)
