"""Errors that stand only on spans are listed, once, and not where a log tells of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otelbridge.model import LogRecord, Span, SpanEvent
from otelbridge.receivers.span_errors import SpanErrors
from otelbridge.store.protocol import ErrorGroup, StoreUnavailableError
from tests.store.samples import EVER, NOON, RESOURCE, SECOND, OpenStore, log, opened, span

TRACE = b"t" * 16
STACK = 'Traceback (most recent call last):\n  File "/srv/shop/pay.py", line 3, in pay\nCardError'


class Scene:
    """A store, the errors of its spans, and a clock."""

    def __init__(self, store: OpenStore) -> None:
        self.store = store
        self.now = 0.0
        self.errors = SpanErrors(store, now=lambda: self.now)

    def send(self, *spans: Span) -> None:
        self.store.put(*spans)
        self.errors.heard(spans)

    def after(self, seconds: float) -> list[ErrorGroup]:
        """The groups that there are once time has passed."""
        self.now += seconds
        self.store.run(self.errors.settle())
        return self.store.error_groups(None, EVER)


@pytest.fixture
def scene(tmp_path) -> Iterator[Scene]:
    with opened(tmp_path / "store.db") as store:
        yield Scene(store)


def failed(span_id: bytes = b"s" * 8, message: str = "no card", **values) -> Span:
    said = {
        "exception.type": "shop.CardError",
        "exception.message": message,
        "exception.stacktrace": STACK,
    }
    event = SpanEvent(NOON + SECOND, "exception", said)
    return span(trace_id=TRACE, span_id=span_id, events=[event], status_code=2, **values)


def told(span_id: bytes = b"s" * 8, kind: str = "CardError", message: str = "no card") -> LogRecord:
    return log(
        trace_id=TRACE,
        span_id=span_id,
        attributes={"exception.type": kind, "exception.message": message},
    )


def test_an_error_that_no_log_tells_of_is_listed_with_its_trace(scene):
    scene.send(failed(attributes={"enduser.id": "ann"}))

    (group,) = scene.after(11)

    assert (group.type, group.message, group.count) == ("shop.CardError", "no card", 1)
    assert group.users == [("ann", 1)]
    record = scene.store.log(group.sample).record
    assert (record.trace_id, record.span_id, record.severity_text) == (TRACE, b"s" * 8, "ERROR")
    assert record.attributes["exception.stacktrace"] == STACK


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "record",
    [
        told(),
        told(kind="shop.CardError"),
        # Logged where it was caught, in an outer span.
        told(span_id=b"o" * 8),
        # Said in other words by the same span.
        told(message="***"),
    ],
)
def test_one_that_a_log_tells_of_is_not_told_again(scene, record, first):
    if first:
        scene.store.put(record)
    scene.send(failed())
    scene.after(5)
    if not first:
        scene.store.put(record)

    (group,) = scene.after(6)

    assert group.count == 1
    assert scene.store.count_logs(None, EVER) == 1


def test_a_log_of_another_error_of_the_trace_tells_nothing_of_this_one(scene):
    scene.store.put(told(kind="KeyError"), told(span_id=b"o" * 8, message="another card"))
    scene.send(failed())

    assert sum(group.count for group in scene.after(11)) == 3


def test_an_error_that_passes_through_spans_or_is_sent_again_is_one(scene):
    scene.send(failed(), failed(b"o" * 8))
    scene.after(11)
    # The outermost ends much later; and a sender that had no answer sends it again.
    scene.send(failed(b"x" * 8))
    scene.errors.heard([failed()])

    (group,) = scene.after(11)

    assert group.count == 1


def test_another_message_is_another_error(scene):
    scene.send(failed(), failed(b"o" * 8, message="card expired"))

    assert sum(group.count for group in scene.after(11)) == 2


def test_an_exception_of_a_span_that_did_not_fail_is_a_warning(scene):
    one = failed()
    one.status_code = 0
    scene.send(one)

    (group,) = scene.after(11)

    assert scene.store.log(group.sample).record.severity_text == "WARNING"


def test_our_own_senders_log_what_is_to_be_told(scene):
    scene.send(failed(resource={**RESOURCE, "telemetry.distro.name": "otelbridge"}))

    assert scene.after(11) == []


def test_other_events_are_none(scene):
    one = failed()
    one.events = [SpanEvent(NOON, "exception", {}), SpanEvent(NOON, "retry", {"a": 1})]
    scene.send(one)

    assert scene.after(11) == []


def test_while_the_store_cannot_take_it_it_waits(scene, monkeypatch):
    scene.send(failed())

    async def refuse(batch):
        raise StoreUnavailableError("full", retry_after=1.0)

    with monkeypatch.context() as patched:
        patched.setattr(scene.store, "write", refuse)
        assert scene.after(11) == []
    assert len(scene.after(1)) == 1


def test_the_end_waits_for_no_log(scene):
    scene.send(failed())
    scene.store.run(scene.errors.stop())

    assert len(scene.store.error_groups(None, EVER)) == 1
