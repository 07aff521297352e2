"""Checking an audit trail: every way to tamper with it is named at its first line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.audit.chain import BEGINNING, Link, read_link, seal
from otelbridge.audit.verify import Verification, trail_files, verify


def chain(count: int, after: Link = BEGINNING, what: str = "n") -> list[bytes]:
    lines = []
    for number in range(count):
        line = seal(b'{"message":"%s %d"}' % (what.encode(), number), after)
        after = read_link(line) or after
        lines.append(line)
    return lines


def check(path: Path, lines: list[bytes], **options: object) -> Verification:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    *_, result = verify([path], **options)
    return result


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


def swap(lines: list[bytes]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def forge_without_the_rest(lines: list[bytes]) -> None:
    before = read_link(lines[2])
    assert before is not None
    lines[3] = seal(b'{"message":"forged"}', before)


@pytest.mark.parametrize(
    ("tamper", "line", "what"),
    [
        (lambda lines: lines.__setitem__(3, lines[3].replace(b"n 3", b"n 8")), 4, "was changed"),
        (lambda lines: lines.pop(3), 4, "1 line is missing before it"),
        (lambda lines: lines.__delitem__(slice(3, 6)), 4, "3 lines are missing before it"),
        (lambda lines: lines.__delitem__(slice(0, 2)), 1, "2 lines are missing before it"),
        (swap, 4, "1 line is missing before it"),
        (lambda lines: lines.insert(5, lines[2]), 6, "was put in or moved: it is number 3"),
        (lambda lines: lines.insert(5, b'{"message":"mine"}'), 6, "is not a line of an audit"),
        (lambda lines: lines.append(b"mine"), 11, "is not a line of an audit"),
        (forge_without_the_rest, 5, "the line before it was replaced"),
    ],
    ids=[
        "changed",
        "removed",
        "three",
        "beginning",
        "swapped",
        "repeated",
        "foreign",
        "appended",
        "forged",
    ],
)
def test_the_first_line_that_does_not_fit_is_named(
    path: Path, tamper: Callable[[list[bytes]], object], line: int, what: str
) -> None:
    lines = chain(10)
    assert check(path, lines).broken is None

    tamper(lines)

    result = check(path, lines)
    assert result.broken is not None
    assert result.broken.startswith(f"{path}:{line}: {what}")


@given(st.integers(1, 12), st.data())
def test_no_lines_can_be_left_out_moved_or_doubled_unseen(tmp_path_factory, count, data):
    path = tmp_path_factory.mktemp("trail") / "audit.jsonl"
    lines = chain(count)
    places = data.draw(st.lists(st.integers(0, count - 1), max_size=count + 2))

    result = check(path, [lines[place] for place in places])

    # Only a beginning of the trail fits, which is why a head that was noted down is compared.
    assert (result.broken is None) == (places == list(range(len(places))))


def test_an_end_that_was_cut_off_is_noticed_by_a_head_noted_down(path):
    lines = chain(10)
    noted = read_link(lines[7])

    assert check(path, lines, expect=noted).met
    assert check(path, lines[:8], expect=noted).met
    assert not check(path, lines[:7], expect=noted).met
    assert check(path, lines[:7]).broken is None


def test_files_that_are_kept_elsewhere_are_passed_over_by_their_head(path):
    lines = chain(10)

    assert check(path, lines[4:], after=read_link(lines[3])).broken is None
    assert check(path, lines[4:], after=read_link(lines[2])).broken is not None


def test_garbage_is_excused_only_by_the_line_behind_it(path):
    lines = chain(3)
    lines[1] = lines[1][:-5]

    assert check(path, lines).broken == f"{path}:2: is not a line of an audit trail"


def test_a_trail_that_is_not_there_is_an_error(path):
    with pytest.raises(FileNotFoundError):
        trail_files(path)
