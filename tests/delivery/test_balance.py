"""Whatever happens, every record is sent once, waits, or is counted as dropped."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from delivery.line import Destination, Line
from hypothesis import given, settings
from hypothesis import strategies as st

from otelbridge.delivery.answer import Answer
from otelbridge.delivery.counters import Snapshot
from otelbridge.delivery.sender import Delivery


def taking(batch: list[Any]) -> Answer:
    return Answer()


def busy(batch: list[Any]) -> Answer:
    return Answer(later=True, reason="busy")


def refusing(batch: list[Any]) -> Answer:
    return Answer(dropped=len(batch), cause="refused", reason="no")


def rejecting_one(batch: list[Any]) -> Answer:
    return Answer(dropped=1, cause="rejected", reason="one of them")


ACTIONS = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 40)),
    st.tuples(st.just("unencodable"), st.just(1)),
    st.tuples(st.just("answer"), st.sampled_from([taking, busy, refusing, rejecting_one])),
    st.tuples(st.just("flush"), st.sampled_from([0.0, 0.05])),
    st.tuples(st.just("end"), st.sampled_from([0.0, 0.05])),
)


def balanced(counts: Snapshot) -> bool:
    return counts.accepted + counts.adopted == counts.sent + counts.lost + counts.waiting


@settings(deadline=None, max_examples=60)
@given(st.lists(ACTIONS, max_size=12), st.booleans())
def test_accepted_and_adopted_is_sent_and_dropped_and_waiting(
    actions: list[tuple[str, Any]], with_disk: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        line = Line(Path(folder) / "spool")
        if not with_disk:
            line.folder = None
        destination = Destination()
        counts: list[Snapshot] = []
        delivery = start(line, destination)
        made = 0
        for action, value in actions:
            if action == "put":
                for number in range(made, made + value):
                    delivery.put(number)
                made += value
            elif action == "unencodable":
                delivery.put({made})
                made += 1
            elif action == "answer":
                destination.answer = value
            elif action == "flush":
                delivery.flush(value)
            else:
                counts.append(end(delivery, value))
                delivery = start(line, destination)
            assert balanced(delivery.snapshot())
        destination.answer = taking
        delivery.put("last")
        assert delivery.flush(20)
        counts.append(end(delivery, 5.0))

    assert all(balanced(each) for each in counts)
    # What one process left the next has adopted; at the end nothing waits.
    assert counts[-1].waiting == 0
    assert sum(each.accepted for each in counts) == made + 1
    left = sum(each.waiting for each in counts)
    assert sum(each.adopted for each in counts) == left
    assert sum(each.sent + each.lost for each in counts) == made + 1
    if not with_disk:
        assert left == 0
    # The destination counts what it refused as taken too: it was not sent again.
    assert set(Counter(map(str, destination.records)).values()) <= {1}


def start(line: Line, destination: Destination) -> Delivery:
    return line.to(destination, delay=0.01, batch_size=8)


def end(delivery: Delivery, seconds: float) -> Snapshot:
    delivery.close()
    delivery.wait_closed(seconds)
    return delivery.snapshot()
