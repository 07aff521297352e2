"""Which errors are the same, told by what others send of them."""

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge import schema
from otelbridge.error_groups import (
    group_of,
    group_query,
    identify,
    place_of,
    text_fingerprint,
    users_of,
)
from otelbridge.model import LogRecord, Scope
from otelbridge.search import parse, to_text

STACK = """Traceback (most recent call last):
  File "/srv/shop/views.py", line 7, in order
    pay(user)
  File "/srv/shop/payments.py", line 12, in charge
    card = vault.load(user)
           ^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/site-packages/vault/client.py", line 90, in _get
    raise KeyError(name)
KeyError: 'alice'
"""
CAUSED = (
    STACK
    + """
The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/payments.py", line 14, in charge
    raise CardError("no card") from error
shop.CardError: no card
"""
)
GROUPED = """  + Exception Group Traceback (most recent call last):
  |   File "/srv/shop/run.py", line 3, in main
  |     work()
  | ExceptionGroup: two failed (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/shop/one.py", line 1, in one
    |     raise ValueError(1)
    | ValueError: 1
    +---------------- 2 ----------------
    | Traceback (most recent call last):
    |   File "/srv/shop/two.py", line 2, in two
    |     raise TypeError(2)
    | TypeError: 2
    +------------------------------------
"""
JAVA = """java.lang.IllegalStateException: order 5 is closed
\tat com.shop.Orders.close(Orders.java:42)
\tat com.shop.Main.main(Main.java:7)
"""


def record(**attributes) -> LogRecord:
    return LogRecord(1, "it broke", attributes, {}, Scope("shop"))


@pytest.mark.parametrize(
    "other",
    [
        STACK.replace("line 12", "line 120"),
        STACK.replace("'alice'", "'bob'"),
        STACK.replace("/srv/shop/", "/home/ann/work/shop/"),
        STACK.replace("           ^^^^^^^^^^^^^^^^\n", ""),
        STACK.replace("vault/client.py", "vault/other.py").replace("_get", "_fetch"),
        STACK.replace("/srv/shop/", "C:\\shop\\"),
        STACK.replace("/usr/lib/python3.11/", "/srv/shop/.venv/lib/python3.13/"),
    ],
    ids=["line", "message", "folder", "carets", "library", "system", "environment"],
)
def test_the_same_error_elsewhere_or_in_another_release_is_the_same(other):
    assert text_fingerprint("KeyError", other) == text_fingerprint("KeyError", STACK)


@pytest.mark.parametrize(
    ("kind", "stack"),
    [
        ("LookupError", STACK),
        ("KeyError", STACK.replace("in charge", "in refund")),
        ("KeyError", STACK.replace("payments.py", "refunds.py")),
        ("KeyError", CAUSED),
        ("KeyError", ""),
        ("KeyError", JAVA),
    ],
)
def test_another_type_or_place_is_another_error(kind, stack):
    assert text_fingerprint(kind, stack) != text_fingerprint("KeyError", STACK)


def test_of_a_chain_what_was_raised_last_counts():
    alone = CAUSED.partition("following exception:\n\n")[2]

    assert text_fingerprint("shop.CardError", CAUSED) == text_fingerprint("shop.CardError", alone)


def test_of_a_group_its_own_frames_count():
    fewer = GROUPED.partition("    +---------------- 2")[0]

    assert text_fingerprint("ExceptionGroup", GROUPED) == text_fingerprint("ExceptionGroup", fewer)
    moved = GROUPED.replace("in main", "in start")
    assert text_fingerprint("ExceptionGroup", GROUPED) != text_fingerprint("ExceptionGroup", moved)


def test_how_deep_a_recursion_went_does_not_count():
    frame = '  File "/srv/shop/tree.py", line 4, in walk\n    walk(node)\n'
    head, end = "Traceback (most recent call last):\n", "RecursionError: too deep\n"

    assert text_fingerprint("RecursionError", head + frame * 3 + end) == text_fingerprint(
        "RecursionError", head + frame * 900 + end
    )


def test_another_language_is_told_apart_by_the_frame_that_raised():
    moved = JAVA.replace("Orders.java:42", "Orders.java:43").replace("order 5", "order 6")
    kind = "java.lang.IllegalStateException"

    assert text_fingerprint(kind, JAVA) == text_fingerprint(kind, moved)
    assert text_fingerprint(kind, JAVA) != text_fingerprint(kind, JAVA.replace("close(", "open("))


def test_what_python_itself_writes_is_read():
    def fail():
        raise ValueError("no such order")

    texts = []
    for _ in range(2):
        try:
            fail()
        except ValueError:
            texts.append(traceback.format_exc())

    first, second = (text_fingerprint("ValueError", text) for text in texts)
    assert first == second
    assert first != text_fingerprint("ValueError", texts[0].replace("in fail", "in other"))


def test_ten_megabytes_are_read_by_their_end():
    long = STACK.replace("    pay(user)\n", "    pay(user)" + "x" * 10**7 + "\n")

    assert text_fingerprint("KeyError", long) == text_fingerprint(
        "KeyError", "".join(STACK.splitlines(keepends=True)[3:])
    )


@given(
    st.text(max_size=50), st.text(alphabet='Traceback (most|+ \n\tFile"x",line1inat', max_size=200)
)
def test_any_text_has_a_fingerprint(kind, stack):
    found = text_fingerprint(kind, stack)

    assert len(found) == 16
    assert int(found, 16) >= 0


def test_a_record_keeps_the_fingerprint_it_has_and_others_get_one():
    records = [
        record(**{"exception.type": "KeyError", schema.FINGERPRINT: "known"}),
        record(**{"exception.type": "KeyError", "exception.stacktrace": STACK}),
        record(**{"exception.stacktrace": STACK}),
        record(user="ann"),
    ]

    identify(records)

    assert [one.attributes.get(schema.FINGERPRINT) for one in records] == [
        "known",
        text_fingerprint("KeyError", STACK),
        # Its last line says which type it was.
        text_fingerprint("KeyError", STACK),
        None,
    ]


def test_a_group_is_asked_for_by_a_query_that_can_be_typed():
    kind = 'odd "type" (of: others)'
    for attributes in ({schema.FINGERPRINT: "0123"}, {"exception.type": kind}):
        group = group_of(attributes)
        query = group_query(group)

        assert parse(to_text(query)) == query
    assert group_of({"user": "ann"}) is None
    assert group_of({schema.FINGERPRINT: 7}) is None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"user": "ann"}, ("ann",)),
        ({"user": 7, "enduser.id": "7"}, ("7",)),
        ({"user": "ann", "user.id": 12}, ("12", "ann")),
        ({"user": None, "user.id": "", "enduser.id": True}, ()),
        ({"user": {"id": 1}}, ()),
    ],
)
def test_users_are_all_that_a_record_names(attributes, expected):
    assert users_of(attributes) == expected


@pytest.mark.parametrize(
    ("minimal", "expected"),
    [
        ("shop/orders.py:12 in pay - ValueError: a - b", "shop/orders.py:12 in pay"),
        ("ValueError: it is in a - b", ""),
        ("ValueError", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_the_place_is_what_the_shortest_form_begins_with(minimal, expected):
    assert place_of(minimal) == expected
