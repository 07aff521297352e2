"""The courier: off the caller's thread, each destination by itself, bounded at the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from otelbridge.channels import (
    Channel,
    ChannelError,
    Courier,
    Destination,
    MemoryOutbox,
    Message,
    Receipt,
    option,
)
from otelbridge.channels.telegram import Telegram
from otelbridge.channels.webhook import Webhook
from tests.channels.services import TELEGRAM_TOKEN, Service


@dataclass(frozen=True, kw_only=True)
class Listed(Channel):
    """Keeps what it is given, and does what a test tells it to."""

    kind = "listed"
    name: str = option("which one", default="listed")

    got = {}  # noqa: RUF012 (by name; each test has its own names)
    doing = {}  # noqa: RUF012

    @property
    def address(self) -> str:
        return self.name

    def send(self, message: Message) -> Receipt | None:
        act = self.doing.get(self.name)
        if act is not None:
            act()
        self.got.setdefault(self.name, []).append(message)
        return None


@pytest.fixture
def listed(request):
    """Make channels whose messages are read by name."""

    def make(name: str, act=None, **options) -> Destination:
        own = f"{request.node.name}/{name}"
        Listed.doing[own] = act
        Listed.got[own] = []
        return Destination(channel=Listed(name=own), name=name, **options)

    return make


def until(condition: Callable[[], Any]) -> None:
    """Wait for what a courier's thread is about to do."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def got(destination: Destination) -> list[Message]:
    return Listed.got[destination.channel.name]


def message(title: str = "ValueError", **values) -> Message:
    return Message(title=title, **values)


def raising(error: BaseException):
    def act() -> None:
        raise error

    return act


def test_a_message_goes_to_every_destination_in_its_form(listed):
    full = listed("a", traceback="full", authors=("@ada",))
    small = listed("b", traceback="minimal")
    none = listed("c", traceback="none")
    courier = Courier([full, small, none])

    deliveries = courier.post(
        message(tracebacks={"full": "FULL", "clean": "CLEAN", "minimal": "MIN"}, authors=("@bob",))
    )

    assert courier.wait(deliveries, 60)
    assert [one.state for one in deliveries] == ["sent"] * 3
    assert [got(one)[0].traceback() for one in (full, small, none)] == ["FULL", "MIN", ""]
    assert got(full)[0].authors == ("@ada", "@bob")
    assert courier.close(60)


def test_only_what_is_severe_enough_is_sent(listed):
    severe, all_of_it = listed("a", severity="error"), listed("b")
    courier = Courier([severe, all_of_it])

    courier.post(message("info"))
    courier.post(message("error", severity="error"))
    courier.close(60)

    assert [one.title for one in got(severe)] == ["error"]
    assert [one.title for one in got(all_of_it)] == ["info", "error"]


def test_a_destination_can_be_chosen_by_name(listed):
    first, second = listed("a"), listed("b")
    courier = Courier([first, second])

    courier.post(message(), to=["b"])
    with pytest.raises(ValueError, match="no destination 'c'; known: a, b"):
        courier.post(message(), to=["c"])
    courier.close(60)

    assert got(first) == []
    assert len(got(second)) == 1


def test_a_channel_that_hangs_holds_up_neither_the_caller_nor_another_nor_the_end(listed):
    release = threading.Event()
    hanging, fine = listed("hanging", release.wait), listed("fine")
    courier = Courier([hanging, fine])
    started = time.monotonic()

    for number in range(20):
        courier.post(message(f"error {number}"))
    assert time.monotonic() - started < 20
    until(lambda: sum(len(one.text.splitlines()) or 1 for one in got(fine)) == 20)
    ended = courier.close(0.5)
    took = time.monotonic() - started
    release.set()

    assert not ended
    assert took < 30


@pytest.mark.parametrize(
    "error", [RuntimeError("own fault"), ChannelError("no"), SystemExit(3), KeyboardInterrupt()]
)
def test_a_channel_that_raises_stops_no_other_and_is_tried_again(listed, error):
    broken, fine = listed("broken", raising(error)), listed("fine")
    courier = Courier([broken, fine])

    failing, sent = courier.post(message())

    assert courier.wait([sent], 60)
    until(lambda: failing.attempts)
    assert failing.state == "queued"
    assert failing.reason
    Listed.doing[broken.channel.name] = None
    assert courier.wait([failing], 60)
    assert failing.state == "sent"
    assert courier.close(60)


def test_an_error_whose_text_cannot_be_had_is_named_all_the_same(listed):
    class Nasty(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text either")

    courier = Courier([listed("nasty", raising(Nasty()))])

    (delivery,) = courier.post(message())
    until(lambda: delivery.reason)

    assert delivery.reason == "Nasty"
    courier.close(1)


def test_a_channel_that_says_something_is_not_called_for_it(listed, capsys):
    """A channel that prints or posts: the program's own output is not a message."""
    talking = listed("talking", lambda: print("sending"))
    courier = Courier([talking])

    courier.wait(courier.post(message()), 60)
    courier.close(60)

    assert len(got(talking)) == 1
    assert capsys.readouterr().out == "sending\n"


def test_a_flood_is_two_messages_and_costs_the_caller_little(listed):
    destination = listed("a")
    courier = Courier([destination])
    flood = message(tracebacks={"full": "x" * 5000})
    started = time.perf_counter()

    for _ in range(10_000):
        courier.post(flood)
    per_call = (time.perf_counter() - started) / 10_000
    courier.close(60)

    assert sum(1 + one.count for one in got(destination)) == 10_000
    assert len(got(destination)) == 2
    assert per_call < 0.001


def test_a_flood_of_different_messages_is_bounded_in_memory(listed):
    release = threading.Event()
    courier = Courier([listed("a", release.wait)])

    deliveries = [
        courier.post(message(f"error {number}", text="x" * 100_000))[0] for number in range(1000)
    ]
    kept = sum(one.message.size for one in deliveries if not one.over)
    release.set()
    courier.close(60)

    assert kept < 40 * 2**20
    assert any(one.state == "failed" for one in deliveries)


def test_messages_wait_for_a_service_that_is_down_and_come_when_it_is_back():
    with Service() as gone:
        port = gone.port
    courier = Courier([Destination(channel=Webhook(url=f"http://127.0.0.1:{port}/"))])
    deliveries = [courier.post(message(f"error {number}"))[0] for number in range(3)]
    until(lambda: any(one.attempts for one in deliveries))

    with Service(port) as back:
        assert courier.wait(deliveries, 60)
        titles = [request.fields["title"] for request in back.taken]
        courier.close(60)

    assert titles == ["error 0", "error 1", "error 2"]
    assert {one.state for one in deliveries} == {"sent"}


def test_what_telegram_asks_for_is_waited_for(telegram):
    telegram.replies = [telegram.too_many(1)]
    channel = Telegram(token=TELEGRAM_TOKEN, chat="42", base_url=telegram.base)
    courier = Courier([Destination(channel=channel)])

    courier.wait(courier.post(message()), 60)
    first, second = (request.at for request in telegram.arrived)
    courier.close(60)

    assert 1.0 <= second - first < 30


def test_a_resumed_message_is_not_told_twice(telegram):
    channel = Telegram(token=TELEGRAM_TOKEN, chat="42", base_url=telegram.base)
    courier = Courier([Destination(channel=channel)])
    real = telegram.answer
    failing = [True]

    def answer(request):
        if request.path.endswith("sendDocument") and failing:
            failing.clear()
            return telegram._error(502, "Bad Gateway")
        return real(request)

    telegram.answer = answer
    deliveries = courier.post(message(tracebacks={"full": "x" * 9000}))
    assert courier.wait(deliveries, 60)
    courier.close(60)

    assert [request.path.rpartition("/")[2] for request in telegram.arrived] == [
        "sendMessage",
        "sendDocument",
        "sendDocument",
    ]


def test_messages_are_rewritten_before_they_are_kept_or_sent(listed):
    destination = listed("a")
    outbox = MemoryOutbox()
    courier = Courier([destination], outbox, rewrite=lambda one: one.with_(title="rewritten"))

    courier.wait(courier.post(message("original")), 60)
    courier.close(60)

    assert [one.title for one in got(destination)] == ["rewritten"]
    assert [one.message.title for one in outbox] == ["rewritten"]


def test_what_cannot_be_rewritten_is_told_without_its_text(listed):
    destination = listed("a")
    courier = Courier([destination], rewrite=lambda one: 1 / 0)

    courier.wait(courier.post(message("secret", text="secret")), 60)
    courier.close(60)

    (told,) = got(destination)
    assert (told.title, told.text) == ("a message", "(its text is left out: ZeroDivisionError)")


def test_trouble_is_said_once_and_its_end_too(listed, caplog):
    destination = listed("a", raising(ChannelError("the wall is wet")))
    courier = Courier([destination])
    deliveries = courier.post(message())
    until(lambda: deliveries[0].attempts >= 2)

    Listed.doing[destination.channel.name] = None
    courier.wait(deliveries, 60)
    courier.close(60)

    assert [record.getMessage() for record in caplog.records] == [
        "a does not take messages: the wall is wet; trying again",
        "a takes messages again",
    ]


def test_after_the_end_nothing_is_taken(listed):
    courier = Courier([listed("a")])
    courier.close(1)

    (delivery,) = courier.post(message())

    assert (delivery.state, delivery.reason) == ("failed", "the courier has ended")


def test_the_end_leaves_no_thread(listed):
    before = set(threading.enumerate())
    courier = Courier([listed("a"), listed("b")])
    courier.post(message())

    courier.close(60)

    assert set(threading.enumerate()) <= before


def test_a_forked_child_sends_its_own_messages_and_none_of_its_parents(hook):
    hook.hanging.set()
    courier = Courier([Destination(channel=Webhook(url=hook.base))])
    courier.post(message("the parent's first"))
    hook.wait_for_arrival(1)
    courier.post(message("the parent's second"))

    child = os.fork()
    if child == 0:
        arrived = False
        try:
            arrived = courier.wait(courier.post(message("the child's")), 60)
        finally:
            os._exit(0 if arrived else 1)
    hook.hanging.clear()
    hook.let_go.set()
    hook.wait_for(3)
    _, status = os.waitpid(child, 0)
    courier.close(60)

    assert status == 0
    titles = [request.fields["title"] for request in hook.taken]
    assert sorted(titles) == ["the child's", "the parent's first", "the parent's second"]
