"""Tracebacks taken apart."""

from __future__ import annotations

import time
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.error_groups import text_fingerprint
from otelbridge.traceback_text import (
    Folded,
    Frame,
    Part,
    Text,
    is_library,
    own_stretches,
    parse_traceback,
    shortened,
)
from tests.web.samples import TRACEBACK


def raised(function: object) -> str:
    try:
        function()
    except BaseException:
        return traceback.format_exc()
    raise AssertionError("nothing was raised")


def frames(parts: list[Part]) -> list[Frame]:
    found = []
    for part in parts:
        if isinstance(part, Frame):
            found.append(part)
        elif isinstance(part, Folded):
            found += part.frames
    return found


def test_library_frames_are_folded_under_a_count() -> None:
    parts = parse_traceback(TRACEBACK)

    kinds = [part.kind for part in parts]
    assert kinds == ["frame", "folded", "text", "frame", "text"]
    assert len(parts[1].frames) == 2


def test_the_raising_line_and_the_own_line_above_a_library_are_marked() -> None:
    first, _, third, last = frames(parse_traceback(TRACEBACK))

    assert first.leaving
    assert not first.raising
    assert third.raising
    assert not third.own
    assert last.raising
    assert not last.leaving


def test_carets_stand_under_what_they_mark() -> None:
    code = frames(parse_traceback(TRACEBACK))[0].code

    (source, _), (markers, is_marker) = code
    assert is_marker
    assert source[markers.index("^") :].startswith("vault.load(user)")


def test_what_stands_between_two_exceptions_is_kept() -> None:
    texts = [part for part in parse_traceback(TRACEBACK) if isinstance(part, Text)]

    assert texts[0].lines == [
        "KeyError: 'alice'",
        "The above exception was the direct cause of the following exception:",
    ]
    assert texts[1].lines == ["payments.CardError: no card"]


def test_a_real_traceback_of_this_python() -> None:
    def fail() -> None:
        raise ValueError("several\nlines\n  of message")

    parts = parse_traceback(raised(fail))

    assert frames(parts)[-1].function.endswith("fail")
    assert frames(parts)[-1].raising
    assert parts[-1].lines == ["ValueError: several", "lines", "  of message"]


def test_a_repeated_frame_keeps_its_count() -> None:
    def again() -> None:
        again()

    parts = parse_traceback(raised(again))

    assert any("Previous line repeated" in line for one in frames(parts) for line, _ in one.code)


GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/srv/shop/app.py", line 3, in both
  |     raise ExceptionGroup("two", found)
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/shop/app.py", line 9, in one
    |     1 / 0
    |     ~~^~~
    | ZeroDivisionError: division by zero
    +---------------- 2 ----------------
    | ValueError: bad
    +------------------------------------
"""


def test_an_exception_group_keeps_its_parts() -> None:
    parts = parse_traceback(GROUP)

    assert [frame.line for frame in frames(parts)] == [3, 9]
    assert frames(parts)[1].code == [("1 / 0", False), ("~~^~~", True)]
    text = "\n".join(line for part in parts if isinstance(part, Text) for line in part.lines)
    assert "ValueError: bad" in text
    assert "---- 2 ----" in text


def test_where_every_frame_is_a_library_s_the_raising_one_is_open() -> None:
    parts = parse_traceback(
        "Traceback (most recent call last):\n"
        '  File "/x/site-packages/a.py", line 1, in a\n    b()\n'
        '  File "/x/site-packages/b.py", line 2, in b\n    raise E\n'
        "E"
    )

    assert [part.kind for part in parts] == ["folded", "frame", "text"]


def test_what_is_no_traceback_stays_text() -> None:
    java = "java.lang.IllegalStateException: no\n\tat shop.Cart.add(Cart.java:12)"

    (part,) = parse_traceback(java)

    assert isinstance(part, Text)
    assert part.lines == java.splitlines()


@pytest.mark.parametrize(
    ("path", "library"),
    [
        ("/srv/shop/app.py", False),
        ("/srv/python3-shop/app.py", False),
        ("/home/me/python3.11/app.py", False),
        ("/usr/lib/python3.11/json/decoder.py", True),
        ("/opt/v/lib64/python3.12/site-packages/flask/app.py", True),
        ("/usr/lib/python3/dist-packages/requests/api.py", True),
        ("C:\\shop\\app.py", False),
        ("C:\\Python311\\Lib\\json\\decoder.py", True),
        ("<frozen importlib._bootstrap>", True),
    ],
)
def test_installed_code_is_told_by_its_path(path: str, library: bool) -> None:
    assert is_library(path) is library


@given(st.text())
def test_any_text_comes_out_whole(text: str) -> None:
    for part in parse_traceback(text):
        assert part.kind in {"frame", "folded", "text"}


@pytest.mark.parametrize(
    "line", ["|" * 50_000, " " * 50_000, 'File "' * 10_000, "/lib/python" * 9000]
)
def test_long_lines_take_time_in_proportion(line: str) -> None:
    text = f'  File "{line}", line 1, in x\n{line}\n' * 3

    began = time.thread_time()
    parse_traceback(text)

    assert time.thread_time() - began < 5


def test_a_token_of_100_kilobytes_in_a_message_costs_less_than_ten_milliseconds() -> None:
    # LoggerFlow 0.0.6: its page took 28 s for 2.5 KB.
    text = CALLED + "refused\n" + "x" * 100_000

    def once() -> float:
        began = time.process_time()
        parse_traceback(text)
        text_fingerprint("shop.Declined", text)
        return time.process_time() - began

    assert min(once() for _ in range(5)) < 0.01


CALLED = (
    "Traceback (most recent call last):\n"
    '  File "/srv/shop/run.py", line 3, in run\n    call()\n    ^^^^^^\n'
    '  File "/venv/site-packages/shop/orders.py", line 12, in pay\n    raise Declined\n'
    "shop.Declined: no\n"
)


def test_the_sender_s_short_form_says_which_frames_are_own() -> None:
    clean = CALLED.replace(
        '  File "/srv/shop/run.py", line 3, in run\n    call()\n    ^^^^^^\n', ""
    )

    parts = parse_traceback(CALLED, clean)

    folded, own, last = parts
    assert isinstance(folded, Folded)
    assert isinstance(own, Frame)
    assert (own.file, own.own, own.raising) == ("/venv/site-packages/shop/orders.py", True, True)
    assert last == Text(["shop.Declined: no"])


def test_own_frames_are_told_from_the_rest_of_the_text() -> None:
    stretches = own_stretches(CALLED)

    assert "".join(text for text, _ in stretches) == CALLED
    assert [text for text, own in stretches if own] == [
        '  File "/srv/shop/run.py", line 3, in run\n    call()\n    ^^^^^^\n'
    ]
    assert own_stretches("") == []
    assert own_stretches("no traceback") == [("no traceback", False)]


@given(st.text(alphabet=' |+\nFile"x", line 1in^Traceback(mostrecentcalllast):', max_size=300))
def test_no_text_is_lost_in_stretches(text: str) -> None:
    assert "".join(piece for piece, _ in own_stretches(text)) == text


@given(st.text(max_size=400), st.integers(10, 200))
def test_what_is_too_long_keeps_both_its_ends(text: str, most: int) -> None:
    short = shortened(text, most)

    if len(text) <= most:
        assert short == text
    else:
        head, _, tail = short.partition("\n…[left out here: ")
        assert text.startswith(head)
        assert text.endswith(tail.partition("]…\n")[2])
        assert len(short) < most + 100
