"""Fitting text into a limit, in the unit that counts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.channels.cutting import (
    cut_bytes,
    cut_end,
    cut_middle,
    one_line,
    plain,
    utf16_length,
)

anything = st.text(max_size=400)
mixed = st.text(alphabet="ab 𝄞🎉é\n", max_size=400)


@given(st.one_of(anything, mixed))
def test_the_length_is_that_of_the_utf16_encoding(text):
    text = plain(text)

    assert utf16_length(text) == len(text.encode("utf-16-le")) // 2


@given(st.one_of(anything, mixed), st.integers(0, 300))
def test_what_is_cut_is_never_over_the_limit(text, limit):
    text = plain(text)

    assert utf16_length(cut_middle(text, limit)) <= limit
    assert utf16_length(cut_end(text, limit)) <= limit
    assert len(cut_bytes(text, limit)) <= limit


@given(st.one_of(anything, mixed), st.integers(0, 400))
def test_what_fits_is_left_alone(text, slack):
    text = plain(text)

    assert cut_middle(text, utf16_length(text) + slack) == text
    assert cut_bytes(text, len(text.encode()) + slack) == text.encode()


@given(st.text(alphabet="xyz𝄞", min_size=100, max_size=400), st.integers(60, 99))
def test_the_beginning_and_the_end_are_kept_and_the_cut_counts_what_is_missing(text, limit):
    cut = cut_middle(text, limit)

    head, mark, tail = cut.partition("\n… ")
    missing, _, tail = tail.partition(" characters cut …\n")
    assert mark
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + len(tail) + int(missing.replace(",", "")) == len(text)


def test_little_of_what_fits_is_given_away():
    for limit in range(100, 200):
        assert limit - 6 <= utf16_length(cut_middle("a" * 10_000, limit)) <= limit


@given(st.text(alphabet="a&<>`", max_size=300), st.integers(0, 200))
def test_a_measure_of_escaped_text_is_kept(text, limit):
    def escaped(part: str) -> int:
        return len(part) + 4 * sum(part.count(c) for c in "&<>")

    assert escaped(cut_middle(text, limit, escaped)) <= limit


def test_ten_megabytes_are_cut_in_no_time():
    text = "🎉 line of a traceback\n" * 450_000
    started = time.thread_time()

    assert utf16_length(cut_middle(text, 4096)) <= 4096
    assert len(cut_bytes(text, 1_000_000)) <= 1_000_000
    assert time.thread_time() - started < 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b[31mred\x00", "\ufffd[31mred\ufffd"),
        ("half \ud800 a character", "half \ufffd a character"),
        ("turned \u202e around", "turned \ufffd around"),
        ("tabs\tand\nlines stay", "tabs\tand\nlines stay"),
    ],
)
def test_what_services_stumble_over_is_replaced(text, shown):
    assert plain(text) == shown
    plain(text).encode()


def test_a_title_is_one_line():
    assert one_line("Subject\r\nBcc: everybody@x\n\n  spaced ") == "Subject Bcc: everybody@x spaced"
