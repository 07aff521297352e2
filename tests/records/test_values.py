"""Any value as JSON data: nothing raises, nothing disappears."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import string
import time
import types
import uuid
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.records.values import MAX_DEPTH, free_key, json_key, json_value, plain_text


class Colour(enum.Enum):
    RED = "red"
    NESTED = (1, 2)


class Number(enum.IntEnum):
    SEVEN = 7


@dataclasses.dataclass
class Order:
    id: int
    items: list[str]
    card: str = dataclasses.field(default="4111", repr=False)


class Customer:
    def __str__(self) -> str:
        return "customer 7"


class OnlyRepr:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        return "OnlyRepr()"


class Hostile:
    """Raises whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __iter__(self) -> Any:
        raise RuntimeError("no items")

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")


class HostileDict(dict):
    def items(self) -> Any:
        raise RuntimeError("no items")

    __iter__ = __len__ = __getitem__ = keys = items


class HostileList(list):
    def __iter__(self) -> Any:
        raise RuntimeError("no items")

    __len__ = __iter__


class HostileMapping(collections.abc.Mapping):
    def __getitem__(self, key: Any) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Any:
        yield "one"
        raise RuntimeError("no more")

    def __len__(self) -> int:
        return 2


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("text", "text"),
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, "9223372036854775808"),
        (10**400, str(10**400)),
        (1 << 20_000, hex(1 << 20_000)),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (decimal.Decimal("19.90"), "19.90"),
        (fractions.Fraction(1, 3), "1/3"),
        (2 + 1j, "(2+1j)"),
        (b"caf\xc3\xa9", "café"),
        (bytearray(b"abc"), "abc"),
        (memoryview(b"abc"), "abc"),
        (b"\xff\x00", "/wA="),
        ({1}, [1]),
        (frozenset(["a"]), ["a"]),
        ((1, "a"), [1, "a"]),
        (collections.deque([1, 2]), [1, 2]),
        (range(3), "range(0, 3)"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (
            datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
            "2026-01-02T03:04:05+00:00",
        ),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.time(3, 4), "03:04:00"),
        (datetime.timedelta(seconds=90), "0:01:30"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/srv/shop"), "/srv/shop"),
        (Colour.RED, "red"),
        (Colour.NESTED, [1, 2]),
        (Number.SEVEN, 7),
        (ValueError("bad input"), "ValueError: bad input"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (dict, "dict"),
        (decimal.Decimal, "decimal.Decimal"),
        (Order(1, ["tea"]), {"id": 1, "items": ["tea"]}),
        (Customer(), "customer 7"),
        (OnlyRepr(), "OnlyRepr()"),
        (types.MappingProxyType({"a": {1}}), {"a": [1]}),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (collections.Counter("aa"), {"a": 2}),
        ("\ud800 lone", "\\ud800 lone"),
        ({"\udcff": "\udcff"}, {"\\udcff": "\\udcff"}),
        (HostileDict(a=1), {"a": 1}),
        (HostileList([1]), [1]),
        (Text("abc"), "abc"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_writes(value, written):
    result = json_value(value, 10_000)

    assert result == written
    assert type(result) is type(written)


@pytest.mark.parametrize(
    "make", [Hostile, HostileMapping, lambda: {"a": Hostile()}, lambda: [{"a": [Hostile()]}]]
)
def test_what_raises_when_asked_is_written_as_a_mark(make):
    written = orjson.dumps(json_value(make(), 1000)).decode()

    assert f"…[unprintable {__name__}.Hostile" in written


def test_one_value_that_raises_takes_none_of_its_neighbours_with_it():
    written = json_value({"before": 1, "bad": Hostile(), "after": [2, Hostile(), 3]}, 1000)

    mark = f"…[unprintable {__name__}.Hostile: RuntimeError]"
    assert written == {"before": 1, "bad": mark, "after": [2, mark, 3]}


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("user", "user"),
        (1, "1"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        (b"ab", "ab"),
        ((1, 2), "[1, 2]"),
        (Colour.RED, "red"),
        (Customer(), "customer 7"),
        ("k" * 2000, "k" * 1024 + "…[cut: 2000 characters]"),
    ],
)
def test_keys_become_text(key, written):
    assert json_key(key) == written
    assert json_value({key: 1}, 10_000) == {written: 1}


def test_keys_that_become_the_same_text_keep_their_values():
    assert json_value({1: "a", "1": "b"}, 100) == {"1": "a", "1#2": "b"}
    assert json_value({"x": 1, b"x": 2, Colour: 3}, 1000) == {
        "x": 1,
        "x#2": 2,
        f"{__name__}.Colour": 3,
    }


def test_a_key_is_numbered_past_those_that_are_taken():
    assert free_key("a", {}, {}) == "a"
    assert free_key("a", {"a": 1, "a#2": 2}, {}) == "a#3"


def test_a_circular_structure_has_a_mark_where_it_closes():
    ring: list[Any] = [1]
    ring.append({"ring": ring})

    assert json_value(ring, 1000) == [1, {"ring": "…[circular]"}]


def test_what_is_met_twice_but_not_circular_is_written_twice():
    shared = {"a": 1}

    assert json_value([shared, shared], 1000) == [{"a": 1}, {"a": 1}]


def test_deep_nesting_ends_in_a_mark():
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    written = json_value(deep, 10_000)

    levels = 0
    while isinstance(written, list):
        written, levels = written[0], levels + 1
    assert levels == MAX_DEPTH
    assert written == "…[cut: nested deeper than 24 levels]"


def test_a_long_text_is_cut_with_a_mark_that_tells_its_length():
    assert json_value("x" * 2**20, 100) == "x" * 100 + "…[cut: 1048576 characters]"
    assert json_value("x" * 100, 100) == "x" * 100


def test_texts_of_one_value_share_its_limit():
    written = json_value({"first": "a" * 60, "second": "b" * 60}, 100)

    assert written["first"] == "a" * 60
    assert written["second"].endswith("…[cut: 60 characters]")
    assert len(orjson.dumps(written)) < 200


def test_a_long_list_is_cut_with_a_mark_that_tells_its_length():
    written = json_value(list(range(1_000_000)), 1000)

    assert written[:3] == [0, 1, 2]
    assert written[-1] == "…[cut: 1000000 items]"
    assert len(written) < 1000


def test_a_big_object_is_cut_with_a_mark_that_tells_its_length():
    written = json_value({str(key): key for key in range(100_000)}, 1000)

    assert written["0"] == 0
    assert written["…"] == "…[cut: 100000 items]"
    assert len(written) < 1000


def test_long_bytes_are_cut_with_a_mark_that_tells_their_length():
    written = json_value(b"\xff" * 2**20, 100)

    assert written == "//////////" * 10 + "…[cut: 1048576 bytes]"


def test_a_default_function_is_asked_about_what_json_has_no_type_for():
    def default(value: Any) -> Any:
        if isinstance(value, Customer):
            return {"customer": {7}}
        raise TypeError

    assert json_value([Customer(), b"a", "text"], 1000, default) == [
        {"customer": [7]},
        "a",
        "text",
    ]


def test_a_default_function_that_returns_ever_new_objects_comes_to_an_end():
    assert "…[cut" in json_value(Customer(), 1000, lambda value: Customer())


def billion_laughs() -> Any:
    laughs: Any = ["ha"] * 10
    for _ in range(30):
        laughs = [laughs] * 1000
    return laughs


def circles() -> Any:
    one: list[Any] = []
    other: list[Any] = [one] * 100_000
    one.extend([other] * 100_000)
    return one


def same_keys() -> Any:
    class Same:
        def __str__(self) -> str:
            return "same"

    return {Same(): number for number in range(60_000)}


@pytest.mark.parametrize("make", [billion_laughs, circles, same_keys])
def test_time_is_bounded_by_the_limit_not_by_the_value(make):
    value = make()
    started = time.thread_time()

    written = json_value(value, 512 * 1024)

    assert time.thread_time() - started < 5
    assert len(orjson.dumps(written)) < 20 * 2**20


def test_time_grows_in_line_with_length():
    def seconds(length: int) -> float:
        value = {"text": "é" * length, "items": ["x"] * (length // 10)}
        started = time.thread_time()
        json_value(value, 10**9)
        return time.thread_time() - started

    short = min(seconds(100_000) for _ in range(5))
    long = min(seconds(1_000_000) for _ in range(5))

    assert long < 60 * short


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.binary(),
    st.decimals(),
    st.datetimes(),
    st.uuids(),
    st.complex_numbers(),
    st.builds(Hostile),
    st.sampled_from([Colour.RED, Customer(), OnlyRepr(), dict, Order(1, ["é"])]),
    st.text(string.printable).map(Text),
)
keys = st.one_of(st.text(st.characters()), st.integers(), st.none(), st.binary(), st.booleans())
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.dictionaries(keys, inner),
        st.lists(inner).map(tuple),
        st.dictionaries(keys, inner).map(HostileDict),
        st.lists(inner).map(HostileList),
        st.lists(inner).map(collections.deque),
    ),
    max_leaves=30,
)


def is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if type(value) is list:
        return all(map(is_plain, value))
    return value is None or type(value) in {str, int, float, bool}


@given(values, st.sampled_from([0, 1, 10, 100, 100_000]))
def test_every_value_becomes_data_that_orjson_takes_and_gives_back(value, max_chars):
    written = json_value(value, max_chars)

    assert is_plain(written)
    assert orjson.loads(orjson.dumps(written)) == written


json_data = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


@given(json_data)
def test_what_json_can_carry_stays_as_it_is(value):
    assert json_value(value) == value


@given(st.text(st.characters()), st.integers(0, 50))
def test_cut_text_begins_as_the_text_does(text, max_chars):
    written = plain_text(text, max_chars)

    written.encode()
    if len(text) <= max_chars:
        assert written == text.encode(errors="backslashreplace").decode()
    else:
        kept = text[:max_chars].encode(errors="backslashreplace").decode()
        assert written == f"{kept}…[cut: {len(text)} characters]"
