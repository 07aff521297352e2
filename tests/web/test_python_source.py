"""Syntax colours of source lines: whatever a sender writes stays what it is."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from otelbridge.web.python_source import coloured


def test_the_pieces_of_a_line_say_what_they_are():
    line = "    raise ValueError('no', 3) from None  # never"

    assert [piece for piece in coloured(line) if piece[0]] == [
        ("keyword", "raise"),
        ("builtin", "ValueError"),
        ("string", "'no'"),
        ("number", "3"),
        ("keyword", "from"),
        ("keyword", "None"),
        ("comment", "# never"),
    ]


@given(st.text() | st.text("'\"\\{}()fr#@ \t\r\ufeff1_.", max_size=80))
def test_no_character_is_lost_or_added(line):
    assert "".join(text for _, text in coloured(line)) == line


def test_a_line_nobody_reads_costs_nothing():
    line = "x = '" + "\\" * 10**6

    began = time.process_time()
    assert coloured(line) == (("", line),)
    assert time.process_time() - began < 1
