"""Records on their way to the thread that puts them together."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from otelbridge.delivery import queue as queue_module
from otelbridge.delivery.queue import EncodedRecords, RecordQueue, count_of

RESOURCE: Any = object()
SHOP: Any = object()
CART: Any = object()


def make_queue(capacity: int = 16_384, max_bytes: int = 2**24, at_once: int = 2_048) -> RecordQueue:
    return RecordQueue(
        capacity=capacity, max_bytes=max_bytes, at_once=at_once, weigh=lambda record: 10
    )


def bodies(taken: list[Any]) -> list[bytes]:
    return [bytes(each.body) if type(each) is EncodedRecords else each for each in taken]


def test_encoded_records_of_a_scope_are_written_one_behind_the_other():
    queue = make_queue()
    for written, scope in ((b"a", SHOP), (b"b", CART), (b"c", SHOP)):
        queue.put_encoded(written, scope, RESOURCE)

    assert queue.count == 3
    assert bodies(queue.take(10)) == [b"ac", b"b"]
    assert (queue.count, queue.size) == (0, 0)


def test_what_was_taken_out_is_not_written_to_any_more():
    queue = make_queue()
    queue.put_encoded(b"a", SHOP, RESOURCE)
    (first,) = queue.take(10)
    queue.put_encoded(b"b", SHOP, RESOURCE)

    assert bytes(first.body) == b"a"
    assert bodies(queue.take(10)) == [b"b"]


def test_another_resource_begins_anew():
    queue = make_queue()
    queue.put_encoded(b"a", SHOP, RESOURCE)
    queue.put_encoded(b"b", SHOP, object())

    assert bodies(queue.take(10)) == [b"a", b"b"]


def test_a_scopes_records_keep_their_order_whether_encoded_or_not():
    queue = make_queue()
    queue.put_encoded(b"a", SHOP, RESOURCE)
    queue.put(b"raw")
    queue.put_encoded(b"b", SHOP, RESOURCE)

    assert bodies(queue.take(10)) == [b"a", b"raw", b"b"]


def test_no_more_is_taken_than_asked_for():
    queue = make_queue(at_once=3)
    for number in range(7):
        queue.put_encoded(b"%d" % number, SHOP, RESOURCE)

    assert [bodies(queue.take(3)) for _ in range(3)] == [[b"012"], [b"345"], [b"6"]]


def test_nor_many_more_bytes():
    queue = make_queue(max_bytes=640)
    for _ in range(6):
        queue.put_encoded(b"x" * 20, SHOP, RESOURCE)

    assert bodies(queue.take(10, most_bytes=15)) == [b"x" * 20]


def test_the_oldest_make_room():
    queue = make_queue(capacity=128)
    lost = sum(queue.put_encoded(b"%4d" % number, SHOP, RESOURCE) for number in range(130))

    assert lost == 2
    assert queue.count == 128
    assert b"".join(bodies(queue.take(1_000)))[:4] == b"   2"


def test_bytes_are_limited_too():
    queue = make_queue(max_bytes=64)
    lost = sum(queue.put_encoded(b"x" * 20, SHOP, RESOURCE) for _ in range(10))

    assert lost == 7
    assert queue.size == 60


def test_who_comes_by_amid_a_record_writes_elsewhere(monkeypatch):
    """A signal handler or a destructor that logs, in the middle of what it interrupts."""
    queue = make_queue()
    made = []

    def interrupted(scope: Any, resource: Any) -> EncodedRecords:
        made.append(EncodedRecords(scope, resource))
        if len(made) == 1:
            queue.put_encoded(b"inner", SHOP, RESOURCE)
        return made[-1] if len(made) == 1 else made.pop()

    monkeypatch.setattr(queue_module, "EncodedRecords", interrupted)
    queue.put_encoded(b"outer", SHOP, RESOURCE)
    queue.put_encoded(b"later", SHOP, RESOURCE)
    monkeypatch.undo()

    assert sorted(bodies(queue.take(10))) == [b"inner", b"outerlater"]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 2)),
            st.tuples(st.just("raw"), st.just(0)),
            st.tuples(st.just("take"), st.integers(1, 300)),
        ),
        max_size=400,
    ),
    st.sampled_from([1, 5, 64, 200, 10_000]),
)
def test_every_record_is_taken_or_counted_as_lost(steps, capacity):
    queue = make_queue(capacity=capacity)
    scopes: list[Any] = [object() for _ in range(3)]
    put = lost = out = 0
    for step, number in steps:
        if step == "put":
            lost += queue.put_encoded(b"x", scopes[number], RESOURCE)
        elif step == "raw":
            lost += queue.put("record")
        else:
            out += sum(map(count_of, queue.take(number)))
        put += step != "take"
        assert queue.count <= capacity
        assert put == lost + out + queue.count
