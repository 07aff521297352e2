"""What was measured takes the place of what was measured before, and of nothing else."""

from __future__ import annotations

import pytest

from benchmarks.document import PERFORMANCE, put_between
from benchmarks.offered import MARKS as OFFERED
from benchmarks.request_report import MARKS as REQUESTS

PAGE = """before
<!-- a: generated -->
old
<!-- a: ends -->
between
<!-- b: generated -->
<!-- b: ends -->
after
"""


def test_only_what_is_between_the_marks_changes() -> None:
    page = put_between(PAGE, "a", "new\n")
    assert page == PAGE.replace("old\n", "\nnew\n\n")
    assert put_between(page, "a", "new") == page


def test_each_name_has_its_own_marks() -> None:
    assert put_between(PAGE, "b", "new").index("new") > PAGE.index("between")


def test_without_marks_nothing_is_guessed() -> None:
    with pytest.raises(ValueError, match="'c'"):
        put_between(PAGE, "c", "new")
    with pytest.raises(ValueError, match="'a'"):
        put_between(PAGE.replace("<!-- a: ends -->\n", ""), "a", "new")


@pytest.mark.parametrize("name", [OFFERED, REQUESTS])
def test_the_page_about_speed_has_the_marks(name: str) -> None:
    assert "new" in put_between(PERFORMANCE.read_text(), name, "new")
