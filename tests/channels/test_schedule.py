"""What is sent when: days played through in milliseconds, for nothing here waits."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelbridge.channels import ChannelError, Delivery, Destination, Message, Receipt
from otelbridge.channels.file import File
from otelbridge.channels.quiet_hours import parse_quiet_hours
from otelbridge.channels.schedule import Schedule

START = datetime(2026, 11, 21, 12, 0, tzinfo=timezone.utc).timestamp()


class Day:
    """A schedule, a clock, and what was sent."""

    def __init__(self, **options) -> None:
        bounds = {name: options.pop(name) for name in ("most", "most_bytes") if name in options}
        destination = Destination(channel=File(path="x"), name="x", **options)
        self.now = START
        self.changes: dict[str, Delivery] = {}
        self.sent: list[tuple[float, Message]] = []
        self.schedule = Schedule(destination, self.changed, **bounds)
        self.answer: ChannelError | Receipt = Receipt()
        self.tries: list[float] = []

    def changed(self, delivery: Delivery) -> None:
        self.changes[delivery.id] = delivery

    def post(self, title: str = "ValueError", **values) -> Delivery:
        message = Message(title=title, time=self.now, **values)
        delivery = Delivery(destination="x", message=message, created=self.now, changed=self.now)
        self.schedule.add(delivery, self.now)
        return delivery

    def pass_time(self, seconds: float) -> None:
        """Do what a lane does for a while."""
        end = self.now + seconds
        for _ in range(100_000):
            if self.step():
                continue
            wait = self.schedule.wait(self.now)
            if wait is None or self.now + wait > end:
                self.now = end
                return
            self.now += max(wait, 0.001)
        raise AssertionError("it never comes to rest")

    def step(self, *, closing: bool = False) -> bool:
        delivery = self.schedule.next(self.now, closing=closing)
        if delivery is None:
            return False
        self.tries.append(round(self.now - START, 2))
        if isinstance(self.answer, ChannelError):
            self.schedule.failed(delivery, self.answer, self.now)
        else:
            self.schedule.sent(delivery, self.answer, self.now)
            self.sent.append((self.now - START, delivery.message))
        return True

    @property
    def told(self) -> list[tuple[str, int]]:
        return [(message.title, message.count) for _, message in self.sent]

    def states(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for delivery in self.changes.values():
            counts[delivery.state] = counts.get(delivery.state, 0) + 1
        return counts


def pairs(values: list[float]) -> list[tuple[float, float]]:
    return list(itertools.pairwise(values))


def test_a_message_goes_at_once():
    day = Day()

    delivery = day.post()
    day.pass_time(0.1)

    assert day.told == [("ValueError", 0)]
    assert delivery.state == "sent"


def test_the_same_again_is_counted_and_told_once():
    day = Day(cool_down=60)

    for _ in range(120):
        day.post()
        day.pass_time(0.1)
    day.pass_time(300)

    assert day.told == [("ValueError", 0), ("ValueError", 118)]
    assert day.sent[1][1].more == "and 118 more"
    assert day.sent[1][0] == pytest.approx(60, abs=0.1)


def test_what_goes_on_all_day_is_told_less_and_less_often():
    day = Day(cool_down=60)

    for _ in range(86_400 // 60):
        day.post()
        day.pass_time(60)
    day.pass_time(4000)

    times = [round(at / 60) for at, _ in day.sent]
    assert times[:6] == [0, 1, 3, 7, 15, 31]
    assert len(times) < 40
    assert sum(1 + message.count for _, message in day.sent) == 1440


def test_a_message_that_waits_already_is_not_told_again_when_it_is_handed_over_anew():
    day = Day()
    left = Message(title="ValueError", time=day.now)
    waiting = Delivery(destination="x", message=left, created=day.now)
    day.schedule.restore(waiting, day.now)

    again = Delivery(destination="x", message=left, created=day.now)
    day.schedule.add(again, day.now)
    day.pass_time(86400)

    assert day.told == [("ValueError", 0)]
    assert again.state == "counted"


def test_what_comes_again_after_it_was_quiet_is_told_at_once():
    day = Day(cool_down=60)

    day.post()
    day.pass_time(61)
    day.post()
    day.pass_time(0.1)

    assert day.told == [("ValueError", 0), ("ValueError", 0)]


def test_different_errors_are_not_one():
    day = Day()

    day.post("KeyError")
    day.post("ValueError")
    day.post("a", key="group 7")
    day.post("b", key="group 7")
    day.pass_time(1)

    assert [title for title, _ in day.told] == ["KeyError", "ValueError", "a"]


def test_a_flood_of_different_errors_is_one_message_after_the_first_few():
    day = Day(per_minute=10)

    for number in range(1000):
        day.post(f"error {number}", severity="error", authors=("@ada",))
        day.pass_time(0.001)
    day.pass_time(600)

    assert len(day.sent) <= 13
    gathered = [message for _, message in day.sent if message.title.endswith("messages")]
    assert sum(int(message.title.split()[0].replace(",", "")) for message in gathered) == 990
    assert gathered[0].severity == "error"
    assert gathered[0].authors == ("@ada",)
    assert day.states()["counted"] == 990


def test_after_an_outage_what_waited_comes_as_one_message():
    day = Day()
    day.answer = ChannelError("down")
    for number in range(60):
        day.post(f"error {number}")
        day.pass_time(1)

    day.answer = Receipt()
    day.pass_time(600)

    assert sum(len(message.text.splitlines()) or 1 for _, message in day.sent) == 60
    assert len(day.sent) <= 3
    assert day.states().get("failed") is None


def test_many_of_the_same_during_an_outage_are_one_message():
    day = Day(cool_down=10)
    day.answer = ChannelError("down")
    for _ in range(200):
        day.post()
        day.pass_time(1)

    day.answer = Receipt()
    day.pass_time(600)

    assert sum(1 + message.count for _, message in day.sent) == 200
    assert len(day.sent) <= 2


def test_failures_are_tried_again_ever_later_and_not_forever():
    day = Day()
    day.answer = ChannelError("down")

    delivery = day.post()
    day.pass_time(3 * 86400)

    waits = [later - earlier for earlier, later in pairs(day.tries)]
    assert waits[0] <= 1
    assert all(earlier <= later * 1.4 for earlier, later in pairs(waits))
    assert max(waits) <= 301
    assert delivery.state == "failed"
    assert delivery.reason == "not delivered within 24 h: down"


def test_the_time_a_service_asks_for_is_given():
    day = Day()
    day.answer = ChannelError("too many", retry_after=37.5)
    day.post()
    day.pass_time(1)

    day.answer = Receipt()
    day.pass_time(36)
    assert day.sent == []
    day.pass_time(1)
    assert len(day.sent) == 1


def test_a_pause_after_a_message_is_kept():
    day = Day()
    day.answer = Receipt(pause=5)

    day.post("a")
    day.post("b")
    day.pass_time(20)

    assert [round(at) for at, _ in day.sent] == [0, 5]


def test_what_is_gone_is_left_alone_for_ten_minutes_and_tried_again():
    day = Day()
    day.answer = ChannelError("this webhook is gone", failure="gone")
    delivery = day.post()
    day.pass_time(3500)

    assert day.tries == pytest.approx([0, 600, 1200, 1800, 2400, 3000])
    assert (delivery.state, delivery.reason) == ("queued", "this webhook is gone")

    day.answer = Receipt()
    day.pass_time(600)
    assert delivery.state == "sent"


def test_a_message_that_is_refused_is_over_and_the_next_goes():
    day = Day()
    day.answer = ChannelError("too long", failure="refused")
    first = day.post("a")
    day.pass_time(0.1)
    day.answer = Receipt()
    second = day.post("b")
    day.pass_time(1)

    assert (first.state, first.reason) == ("failed", "too long")
    assert second.state == "sent"


def test_one_message_that_always_fails_does_not_hold_up_the_others():
    day = Day()
    poison = day.post("poison")

    def step() -> bool:
        delivery = day.schedule.next(day.now)
        if delivery is None:
            return False
        if delivery is poison:
            day.schedule.failed(delivery, ChannelError("HTTP 500"), day.now)
        else:
            day.schedule.sent(delivery, Receipt(), day.now)
            day.sent.append((day.now, delivery.message))
        return True

    day.step = step  # type: ignore[method-assign]
    day.post("fine")
    day.pass_time(60)

    assert day.told == [("fine", 0)]


def test_in_quiet_hours_only_what_is_critical_is_told_and_the_rest_in_the_morning():
    day = Day(quiet=parse_quiet_hours("11:30-13:00@UTC"))

    day.post("a", severity="error")
    day.post("b", severity="error")
    day.post("the shop is down", severity="critical")
    day.pass_time(59 * 60)
    assert [title for title, _ in day.told] == ["the shop is down"]

    day.pass_time(120)
    assert [title for title, _ in day.told] == ["the shop is down", "a", "b"]
    assert round(day.sent[1][0]) == 3600


def test_at_the_end_what_was_counted_is_told_and_what_failed_tried_once_more():
    day = Day()
    day.post()
    day.pass_time(0.1)
    day.post()
    day.post()

    while day.step(closing=True):
        pass

    assert day.told == [("ValueError", 0), ("ValueError", 1)]


def test_at_the_end_a_service_that_does_not_answer_is_tried_once():
    day = Day()
    day.answer = ChannelError("down")
    for number in range(10):
        day.post(f"error {number}")
    day.pass_time(0.1)
    tried = len(day.tries)

    while day.step(closing=True):
        pass

    assert len(day.tries) == tried + 1


def test_at_the_end_a_service_that_asked_to_be_left_alone_is():
    day = Day()
    day.answer = ChannelError("too many", retry_after=60)
    day.post()
    day.pass_time(0.1)

    assert not day.step(closing=True)


def test_at_the_end_many_are_told_as_one():
    day = Day()
    for number in range(8):
        day.post(f"error {number}")

    while day.step(closing=True):
        pass

    assert [title for title, _ in day.told] == ["8 messages"]


@pytest.mark.parametrize("bound", [{"most": 5}, {"most_bytes": 5 * 1600}])
def test_what_waits_is_bounded_and_the_oldest_go(bound):
    day = Day(**bound)
    day.answer = ChannelError("down")
    first = day.post("error 0", text="x" * 1000)
    for number in range(1, 20):
        day.post(f"error {number}", text="x" * 1000)

    assert len(day.schedule.waiting) == 5
    assert (first.state, first.reason) == ("failed", "too many messages wait")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", "d", "e"]),
            st.floats(0, 200),
            st.sampled_from([None, "temporary", "gone", "asked"]),
        ),
        max_size=60,
    ),
    st.integers(1, 20),
)
def test_whatever_happens_every_message_is_told_or_counted_in_one_that_is(events, per_minute):
    day = Day(cool_down=60, per_minute=per_minute)
    for title, wait, failure in events:
        if failure is None:
            day.answer = Receipt()
        elif failure == "asked":
            day.answer = ChannelError("later", retry_after=20)
        else:
            day.answer = ChannelError("no", failure=failure)
        day.post(title)
        day.pass_time(wait)
    day.answer = Receipt()
    day.pass_time(7200)

    def told(message: Message) -> int:
        if not message.key.startswith("gathered"):
            return 1 + message.count
        return int(message.title.split()[0].replace(",", ""))

    assert sum(told(message) for _, message in day.sent) == len(events)
    assert not day.schedule.waiting
    assert day.states().get("queued") is None
