"""Lines in parts: joined in any order, bounded in memory and time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otelbridge.receivers.parts import Part, Reassembly, read_part


def split(text: str, size: int, id: str = "a") -> list[Part]:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return [Part(id, number, len(pieces), piece) for number, piece in enumerate(pieces, 1)]


@given(st.text(min_size=1, max_size=60), st.integers(1, 20), st.randoms(), st.data())
def test_parts_join_in_any_order_and_however_often_they_come(text, size, random, data):
    parts = split(text, size)
    sent = parts + data.draw(st.lists(st.sampled_from(parts), max_size=5))
    random.shuffle(sent)
    reassembly = Reassembly()
    joined = [line for part in sent if (line := reassembly.add("s", part, 0.0)) is not None]
    assert joined[0] == text


def test_lines_of_several_senders_do_not_mix():
    reassembly = Reassembly()
    first, second = split("one two", 4)
    assert reassembly.add("a", first, 0.0) is None
    assert reassembly.add("b", second, 0.0) is None
    assert reassembly.add("a", second, 0.0) == "one two"
    assert len(reassembly) == 1


def test_a_line_that_waits_too_long_is_given_back_with_marks_in_its_gaps():
    reassembly = Reassembly(timeout=5.0)
    parts = split("abcdefghij", 2)
    for part in (parts[1], parts[3]):
        reassembly.add("s", part, 10.0)
    assert reassembly.expire(14.9) == []
    (line,) = reassembly.expire(15.0)
    assert line.text == ("…[lost: part 1 of 5]cd…[lost: part 3 of 5]gh…[lost: part 5 of 5]")
    assert (line.sender, line.missing, line.count) == ("s", 3, 5)
    assert len(reassembly) == 0


def test_neighbouring_gaps_have_one_mark():
    reassembly = Reassembly(timeout=0.0)
    reassembly.add("s", split("abcdef", 1)[5], 0.0)
    assert reassembly.expire(1.0)[0].text == "…[lost: parts 1 to 5 of 6]f"


def test_the_oldest_lines_give_way_when_memory_is_short():
    reassembly = Reassembly(max_bytes=10_000, timeout=60.0)
    given_up = []
    for number in range(100):
        reassembly.add("s", Part(f"line {number}", 1, 2, "x" * 1_000), 0.0)
        given_up += reassembly.expire(0.0)
        assert len(reassembly) <= 2
    assert [line.id for line in given_up[:2]] == ["line 0", "line 1"]
    assert len(given_up) + len(reassembly) == 100


def test_what_is_no_well_formed_part_is_none():
    good = {
        "otelbridge.part.id": "a",
        "otelbridge.part.number": 1,
        "otelbridge.part.count": 2,
        "otelbridge.part.data": "x",
    }
    assert read_part(good) == Part("a", 1, 2, "x")
    for field, wrong in (
        ("id", 7),
        ("number", 0),
        ("number", 3),
        ("number", True),
        ("number", "1"),
        ("count", 10**9),
        ("data", None),
    ):
        assert read_part({**good, f"otelbridge.part.{field}": wrong}) is None
