"""Which errors are the same error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from otelbridge.records.exceptions import exception_fields
from otelbridge.records.own_code import OwnCode, decide_by, own_code

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def module(source: str, name: str = "shop.orders", file: str = "/srv/shop/orders.py") -> Any:
    scope: dict[str, Any] = {"__name__": name}
    exec(compile(source, file, "exec"), scope)
    return scope


def fingerprint(act: Callable[[], Any]) -> str:
    # The frames of this file are the harness, not the program.
    before = own_code()
    decide_by(OwnCode([f"!{__name__}"]))
    try:
        act()
    except Exception as error:
        described = exception_fields(error)
        assert described is not None
        return described.fingerprint
    finally:
        decide_by(before)
    raise AssertionError("it raised nothing")


PAY = "def pay(kind=ValueError, text='x'):\n    raise kind(text)\n"


def test_messages_lines_and_folders_do_not_count() -> None:
    one = module(PAY)["pay"]
    moved = module("\n\n# a comment\n" + PAY, file="/opt/release-7/shop/orders.py")["pay"]
    assert fingerprint(one) == fingerprint(lambda: moved(text="order 17"))


@pytest.mark.parametrize(
    "other",
    [
        lambda: module(PAY)["pay"](KeyError),
        lambda: module(PAY.replace("pay", "refund"))["refund"](),
        lambda: module(PAY, name="shop.basket")["pay"](),
        lambda: module(PAY + "def order():\n    pay()\n")["order"](),
    ],
    ids=["type", "function", "module", "way there"],
)
def test_type_and_way_count(other: Callable[[], Any]) -> None:
    assert fingerprint(module(PAY)["pay"]) != fingerprint(other)


def test_the_depth_of_a_recursion_does_not_count() -> None:
    down = module("def down(n):\n    if n:\n        down(n - 1)\n    raise ValueError\n")["down"]
    assert fingerprint(lambda: down(1)) == fingerprint(lambda: down(50))


def test_library_frames_do_not_count() -> None:
    load = module("import json\ndef load(text):\n    json.loads(text)\n")["load"]
    # Raised at different places of the standard library.
    assert fingerprint(lambda: load("{")) == fingerprint(lambda: load("[1,"))


def test_a_comprehension_is_no_function() -> None:
    plain = module("def total(x):\n    return 1 / x\n")["total"]
    listed = module("def total(x):\n    return [1 / x for _ in 'a']\n")["total"]
    assert fingerprint(lambda: plain(0)) == fingerprint(lambda: listed(0))


def test_groups_count_by_the_types_in_them() -> None:
    def grouped(*kinds: type[Exception]) -> str:
        source = "def act(group, kinds):\n    raise group('g', [kind('x') for kind in kinds])\n"
        act = module(source)["act"]
        return fingerprint(lambda: act(ExceptionGroup, kinds))

    assert grouped(ValueError, KeyError) == grouped(KeyError, ValueError, ValueError)
    assert grouped(ValueError) != grouped(KeyError)


def test_what_was_never_raised_counts_by_where_it_was_logged() -> None:
    described = [exception_fields(ValueError("x"), origin=origin) for origin in ("a:f", "a:g")]
    assert described[0] is not None
    assert described[1] is not None
    assert described[0].fingerprint != described[1].fingerprint


def test_it_is_short_hexadecimal() -> None:
    found = fingerprint(module(PAY)["pay"])
    assert len(found) == 16
    int(found, 16)


def test_it_is_the_same_in_every_python() -> None:
    # Written down, so that a release that groups anew does so knowingly.
    assert fingerprint(module(PAY)["pay"]) == "839ba5077b9abc2e"
