"""Tracebacks as text: full, clean, minimal."""

from __future__ import annotations

import json
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from otelbridge.records.own_code import OwnCode
from otelbridge.records.tracebacks import format_traceback, pieces

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

Caught = Callable[[str], BaseException]

OWN = OwnCode()
HERE = Path(__file__).name


class Declined(Exception):
    pass


def raised(act: Callable[[], Any]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("it raised nothing")


def fail(text: str = "no such order") -> None:
    raise ValueError(text)


def in_library() -> None:
    json.loads("{")


def from_cause() -> None:
    try:
        in_library()
    except ValueError as error:
        raise Declined("final failure") from error


def in_handler() -> None:
    try:
        in_library()
    except ValueError:
        raise Declined("while handling") from None


def in_handler_with_context() -> None:
    try:
        in_library()
    except ValueError:
        fail("second")


def group() -> None:
    raise ExceptionGroup("several", [raised(fail), raised(in_library), raised(nested)])


def nested() -> None:
    raise ExceptionGroup("inner", [raised(from_cause), KeyError("k")])


def recursing() -> None:
    def down(depth: int) -> None:
        if depth:
            down(depth - 1)
        fail()

    down(100)


def bad_syntax() -> None:
    compile("x = = 1\n", "shop.py", "exec")


EVERY = [fail, in_library, from_cause, in_handler, in_handler_with_context, group, nested]
EVERY += [recursing, bad_syntax]


def written_here(error: BaseException) -> str:
    """Our own writing, which takes over where an exception is too large for Python's."""
    written = pieces(error, error.__traceback__, OWN, only_own=False)
    return "".join(piece.text for piece in written)


@pytest.mark.parametrize("act", EVERY, ids=lambda act: act.__name__)
def test_full_is_what_python_prints(act: Callable[[], None]) -> None:
    error = raised(act)
    printed = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    assert format_traceback(error) == printed.rstrip("\n")
    assert written_here(error) == printed


def lines(text: str) -> list[str]:
    return [line.strip(" |+-") for line in text.splitlines()]


@pytest.mark.parametrize("act", EVERY, ids=lambda act: act.__name__)
def test_clean_has_own_frames_only_and_all_the_rest(act: Callable[[], None]) -> None:
    error = raised(act)
    full, clean = format_traceback(error), format_traceback(error, "clean")
    assert 'File "' in clean or act is bad_syntax
    assert json.__file__ not in clean
    # Nothing in it that Python does not print, and no line of another kind is missing.
    frame_depth = 'File "'
    others = [line for line in lines(full) if line.startswith(("Traceback", "The above", "During"))]
    kept = [line for line in lines(clean) if line.startswith(("Traceback", "The above", "During"))]
    assert kept == others
    assert set(lines(clean)) <= set(lines(full))
    assert all(
        HERE in line or "shop.py" in line for line in lines(clean) if line.startswith(frame_depth)
    )


def test_notes_and_every_line_of_a_message_are_kept() -> None:
    error = raised(lambda: fail("first line\nsecond line"))
    error.__dict__["__notes__"] = ["a note\nof two lines"]
    clean = format_traceback(error, "clean")
    assert "ValueError: first line\nsecond line" in clean
    if sys.version_info >= (3, 11):
        assert clean.endswith("a note\nof two lines")


def test_an_error_without_own_frames_still_shows() -> None:
    error = raised(in_library)
    assert error.__traceback__ is not None
    everything_foreign = OwnCode([f"!{Path(__file__).parent}"])
    clean = format_traceback(error, "clean", own=everything_foreign)
    assert clean.count('File "') == 1
    assert "raw_decode" in clean
    minimal = format_traceback(error, "minimal", own=everything_foreign)
    assert minimal.startswith("json/decoder.py:")


@pytest.mark.parametrize(
    ("act", "function", "what"),
    [
        (fail, "fail", "ValueError: no such order"),
        (in_library, "in_library", "json.decoder.JSONDecodeError: Expecting property name"),
        # The exception that was raised last, not the one it came from.
        (from_cause, "from_cause", f"{Declined.__module__}.Declined: final failure"),
        (in_handler_with_context, "fail", "ValueError: second"),
        (group, "group", "ExceptionGroup: several (3 sub-exceptions)"),
    ],
)
def test_minimal_is_place_and_last_exception(
    act: Callable[[], None], function: str, what: str
) -> None:
    minimal = format_traceback(raised(act), "minimal")
    place, _, rest = minimal.partition(" - ")
    path, _, function_part = place.partition(" in ")
    assert path.rpartition(":")[0].endswith(HERE)
    assert function_part == function
    assert rest.startswith(what) or rest.startswith(f"exceptiongroup.{what}")
    assert "\n" not in minimal


def test_an_exception_that_was_never_raised() -> None:
    assert format_traceback(ValueError("x")) == "ValueError: x"
    assert format_traceback(ValueError("x"), "clean") == "ValueError: x"
    assert format_traceback(ValueError(), "minimal") == "ValueError"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Hostile(Exception):
    def __getattribute__(self, name: str) -> Any:
        if name in {"__cause__", "__context__", "__suppress_context__", "__notes__"}:
            raise RuntimeError(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("form", ["full", "clean", "minimal"])
@pytest.mark.parametrize("kind", [Unprintable, Hostile])
def test_exceptions_that_raise_themselves(kind: type[Exception], form: Any) -> None:
    def act() -> None:
        raise kind("x")

    text = format_traceback(raised(act), form)
    assert kind.__name__ in text
    assert "act" in text


def test_a_cycle_of_causes_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    for form in ("full", "clean", "minimal"):
        assert "first" in format_traceback(first, form)  # type: ignore[arg-type]


# --- bounded, and linear ------------------------------------------------------------------------


def seconds(act: Callable[[], Any]) -> float:
    def once() -> float:
        begun = time.process_time()
        act()
        return time.process_time() - begun

    return min(once() for _ in range(3))


@pytest.mark.parametrize("form", ["full", "clean", "minimal"])
@pytest.mark.parametrize("text", ["x" * 2**20, "word " * 2**18, "a.b@c/" * 2**17])
def test_a_megabyte_in_a_message_costs_little(text: str, form: Any) -> None:
    error = raised(lambda: fail(text))
    assert seconds(lambda: format_traceback(error, form)) < 0.05


@pytest.mark.parametrize("form", ["full", "clean", "minimal"])
def test_a_token_of_100_kilobytes_in_a_message_costs_less_than_ten_milliseconds(form: Any) -> None:
    # LoggerFlow 0.0.6: 57 s for 4 KB.
    error = raised(lambda: fail("refused\n" + "x" * 100_000))
    assert seconds(lambda: format_traceback(error, form)) < 0.01


def test_a_text_of_ten_megabytes_is_cut() -> None:
    error = raised(lambda: fail("x" * 10_000_000))
    text = format_traceback(error, max_chars=1_000)
    assert len(text) < 1_100
    assert text.startswith("Traceback (most recent call last):")
    assert "…[cut: 10" in text


@pytest.fixture
def deep() -> Iterator[Callable[[int], BaseException]]:
    """Raise through two functions that call each other, so that no line repeats."""
    limit = sys.getrecursionlimit()

    def one(depth: int) -> None:
        if depth:
            other(depth - 1)
        fail()

    def other(depth: int) -> None:
        if depth:
            one(depth - 1)
        fail()

    sys.setrecursionlimit(50_000)
    yield lambda depth: raised(lambda: one(depth))
    sys.setrecursionlimit(limit)


@pytest.mark.parametrize("form", ["full", "clean"])
def test_deep_recursion_is_written_from_both_ends(
    form: Any, deep: Callable[[int], BaseException]
) -> None:
    error = deep(9_000)
    text = format_traceback(error, form)
    assert text.count('File "') == 200
    assert re.search(r"…\[cut: 88\d\d frames\]", text)
    assert "in raised" in text.splitlines()[1]
    assert text.endswith("ValueError: no such order")


def test_an_endless_chain_is_written_from_both_ends() -> None:
    error: BaseException = ValueError(0)
    for number in range(1, 5_000):
        following = ValueError(number)
        following.__context__ = error
        error = following
    text = format_traceback(error)
    assert text.startswith("ValueError: 0\n")
    assert text.endswith("ValueError: 4999")
    assert "…[cut: 4950 exceptions]" in text


def test_a_group_of_very_many() -> None:
    error = ExceptionGroup("many", [ValueError(number) for number in range(10_000)])
    text = format_traceback(error)
    assert "and 9985 more exceptions" in text
    assert len(text) < 5_000


# --- code in odd places -------------------------------------------------------------------------


def test_source_lines_come_from_the_loader_where_there_is_no_file() -> None:
    module = ModuleType("zipped")
    source = "def run():\n    raise ValueError('x')\n"

    class Loader:
        def get_source(self, name: str) -> str:
            return source

    vars(module)["__loader__"] = Loader()
    exec(compile(source, "/nowhere/app.pyz/zipped.py", "exec"), vars(module))
    error = raised(vars(module)["run"])
    assert "raise ValueError('x')" in format_traceback(error, "clean")
