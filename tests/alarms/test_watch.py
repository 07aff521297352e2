"""Alarms over a real store: what fires, once, for how long, and over restarts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from otelbridge import schema
from otelbridge.alarms import FileBook, Watch, make_rule
from otelbridge.bridge_state import StateFile
from otelbridge.channels import Courier, Destination, Message
from otelbridge.channels.file import File
from otelbridge.error_states import ErrorStates
from otelbridge.model import KIND_SERVER, STATUS_ERROR, LogRecord, MetricPoint, Scope, Span
from otelbridge.store.protocol import StoreError
from tests.store.samples import NOON, SECOND, OpenStore, opened


class Told(Courier):
    """A courier that keeps what it is handed."""

    def __init__(self) -> None:
        super().__init__([Destination(channel=File(path="unused"), name="ops")])
        self.messages: list[Message] = []
        self.to: list[list[str] | None] = []

    def post(self, message, to=None):
        self.messages.append(message)
        self.to.append(list(to) if to else None)
        return []


class Scene:
    """A store, a clock at noon, and what a watch told."""

    def __init__(self, store: OpenStore, folder) -> None:
        self.store = store
        self.now = NOON / SECOND
        self.told = Told()
        self.book = FileBook(folder / "states.json")

    def watch(self, *tables, **options) -> Watch:
        self.watching = Watch(
            [make_rule({"name": f"rule {n}", **table}) for n, table in enumerate(tables)],
            self.store,
            self.told,
            self.book,
            now=lambda: self.now,
            **options,
        )
        return self.watching

    def look(self, seconds: float = 0) -> list[str]:
        """Let time pass, look, and give the titles of what was told."""
        self.now += seconds
        before = len(self.told.messages)
        self.watching.look()
        return [message.title for message in self.told.messages[before:]]

    def log(
        self,
        body="it failed",
        service="shop",
        severity=17,
        at=0.0,
        event="",
        instance="shop-1",
        **attributes,
    ):
        named = {name.replace("__", "."): value for name, value in attributes.items()}
        self.store.put(
            LogRecord(
                time=int((self.now + at) * SECOND),
                body=body,
                attributes=named,
                resource={
                    "service.name": service,
                    "service.instance.id": instance,
                    "process.pid": 7,
                },
                scope=Scope("shop"),
                severity_number=severity,
                event_name=event,
                uid=uuid.uuid4().bytes,
            )
        )

    def error(self, fingerprint: str, **values):
        self.log(
            **{
                schema.FINGERPRINT.replace(".", "__"): fingerprint,
                "exception__type": "ValueError",
                "exception__message": f"no such order ({fingerprint})",
                "exception__stacktrace": "Traceback\nValueError",
                schema.TRACEBACK_MINIMAL.replace(".", "__"): "shop.py:3 in pay - ValueError",
                **values,
            }
        )

    def ended(self, outcome: str, **values):
        self.log(
            f"process 7 has ended: {outcome}",
            event=schema.PROCESS_END,
            **{schema.PROCESS_OUTCOME.replace(".", "__"): outcome},
            **values,
        )

    def requests(self, number: int, failed: int = 0, duration: float = 0.01, service="shop"):
        self.store.put(
            *(
                Span(
                    time=int(self.now * SECOND) - SECOND + index,
                    duration=int(duration * SECOND),
                    trace_id=uuid.uuid4().bytes,
                    span_id=uuid.uuid4().bytes[:8],
                    name="GET /",
                    attributes={},
                    resource={"service.name": service, "service.instance.id": f"{service}-1"},
                    scope=Scope("flask"),
                    kind=KIND_SERVER,
                    status_code=STATUS_ERROR if index < failed else 0,
                )
                for index in range(number)
            )
        )

    def measured(self, name: str, value: float, instance="shop-1", at=0.0, **attributes):
        self.store.put(
            MetricPoint(
                time=int((self.now + at) * SECOND),
                name=name,
                type="gauge",
                value=value,
                attributes=attributes,
                resource={"service.name": "shop", "service.instance.id": instance},
                scope=Scope("system"),
            )
        )


@pytest.fixture
def scene(tmp_path) -> Iterator[Scene]:
    with opened(tmp_path / "store.db") as store:
        yield Scene(store, tmp_path / "state")


def test_an_error_fires_once_and_is_resolved_when_it_is_over(scene):
    scene.watch({"when": "error", "over": "1m", "to": ["ops"], "authors": ["@ada"]})
    assert scene.look() == []

    scene.log("payment refused")
    assert scene.look(1) == ["shop: 1 error in 1m"]
    scene.log("payment refused")
    assert scene.look(5) == []
    assert scene.look(5) == []

    fired = scene.told.messages[0]
    assert fired.text == "payment refused\n\nalarm: rule 0"
    assert (fired.severity, fired.authors) == ("error", ("@ada",))
    assert scene.told.to == [["ops"]]
    assert [state.phase for state in scene.watching.states()] == ["firing"]

    told = [title for _ in range(30) for title in scene.look(10)]
    assert len(told) == 1
    assert told[0].startswith("resolved: shop:")
    assert scene.told.messages[1].text.startswith("alarm: rule 0\nlasted 1 min")
    assert scene.watching.states() == []


def test_an_alarm_that_comes_and_goes_is_one_alarm(scene):
    scene.watch({"when": "cpu", "above": 0.9, "over": "20s"})
    told = []
    for turn in range(40):
        scene.measured("process.cpu.utilization", 0.95 if turn % 4 < 2 else 0.1)
        told += scene.look(20)

    assert len(told) == 1


def test_it_must_hold_for_as_long_as_the_rule_says(scene):
    scene.watch({"when": "log", "query": "disk and full", "over": "30s", "for": "1m"})
    scene.log("the disk is full", severity=9)
    assert scene.look(1) == []
    assert [state.phase for state in scene.watching.states()] == ["waiting"]
    assert scene.look(40) == []
    assert scene.watching.states() == []

    told = []
    for _ in range(8):
        scene.log("the disk is full", severity=9)
        told += scene.look(10)
    assert told == ["3 records in 30s: disk and full"]


def test_each_service_is_an_alarm_of_its_own_and_others_are_left_out(scene):
    scene.watch({"when": "error", "services": ["shop", "pay*"]})

    for service in ("shop", "payments", "gateway"):
        scene.log(service=service)

    assert scene.look(1) == ["payments: 1 error in 5m", "shop: 1 error in 5m"]


def test_errors_can_be_narrowed_by_a_query(scene):
    scene.watch({"when": "error", "query": "user: alice", "count": 2})

    scene.log(user="bob")
    scene.log(user="bob")
    scene.log(user="alice")
    assert scene.look(1) == []
    scene.log(user="alice")
    assert scene.look(1) == ["shop: 2 errors in 5m"]


def test_a_new_error_is_told_once_and_what_was_there_is_not_new(scene):
    scene.error("old", at=-86400.0)
    scene.watch({"when": "new-error"})
    assert scene.look() == []

    scene.error("old")
    scene.error("fresh")
    scene.error("fresh")
    assert scene.look(1) == ["shop: new error ValueError: no such order (fresh)"]
    assert scene.look(5) == []

    told = scene.told.messages[0]
    assert told.tracebacks == {
        "full": "Traceback\nValueError",
        "minimal": "shop.py:3 in pay - ValueError",
    }
    assert "seen 2 times in 5m" in told.text
    assert [title for _ in range(20) for title in scene.look(60)] == []


def test_an_error_that_comes_back_after_it_was_resolved_is_told_each_time(scene, tmp_path):
    states = ErrorStates(StateFile(tmp_path / "errors.json"))
    scene.watch({"when": "new-error"}, error_states=states, page="http://here")
    scene.look()
    scene.error("fresh")
    scene.look(1)
    states.say("fresh", "resolved", int(scene.now * SECOND))
    scene.error("fresh", at=-1)
    # It was sent late, and happened before.
    assert scene.look(1) == []

    for _ in range(2):
        scene.error("fresh")
        assert scene.look(1) == ["shop: reopened error ValueError: no such order (fresh)"]
        scene.error("fresh")
        assert scene.look(1) == []
        states.say("fresh", "resolved", int(scene.now * SECOND))
        assert scene.look(1) == []

    assert "it was resolved on 2026-11-21 at 12:00 UTC" in scene.told.messages[1].text
    assert scene.told.messages[1].link == "http://here/errors/fresh"


def test_a_rule_that_is_made_later_does_not_tell_of_what_was_back_before(scene, tmp_path):
    states = ErrorStates(StateFile(tmp_path / "errors.json"))
    states.say("old", "resolved", int((scene.now - 60) * SECOND))
    scene.error("old")
    scene.watch({"when": "new-error"}, error_states=states)

    assert scene.look(1) == []
    scene.error("old")
    assert scene.look(1) == []


def test_the_same_error_of_another_service_is_no_new_one(scene):
    scene.watch({"when": "new-error"})
    scene.look()
    scene.error("fresh")
    assert len(scene.look(1)) == 1

    scene.error("fresh", service="pay")
    assert scene.look(1) == []


def test_an_error_of_a_program_without_fingerprints_is_new_by_its_type(scene):
    scene.watch({"when": "new-error"})
    scene.look()
    for kind in ("java.lang.IllegalStateException", "java.lang.IllegalStateException", "Odd"):
        scene.log(**{"exception__type": kind})

    assert sorted(title.partition(" error ")[2].partition(":")[0] for title in scene.look(1)) == [
        "Odd",
        "java.lang.IllegalStateException",
    ]


def test_a_restart_tells_nothing_twice_and_forgets_nothing(scene):
    rules = ({"when": "new-error"}, {"when": "error", "over": "1m"})
    scene.watch(*rules)
    scene.look()
    scene.error("a")
    assert len(scene.look(1)) == 2

    scene.watch(*rules)
    assert scene.look(1) == []
    scene.error("b")
    assert scene.look(1) == ["shop: new error ValueError: no such order (b)"]
    scene.watch(*rules)
    told = [title for _ in range(20) for title in scene.look(10)]
    assert [title.partition(":")[0] for title in told] == ["resolved"]


def test_what_fired_just_before_a_kill_is_told_by_the_next_process_with_the_same_id(scene):
    watch = scene.watch({"when": "error"})
    scene.look()
    scene.log()

    class Killed(BaseException):
        """The process ends here."""

    def killed(message, to=None):
        raise Killed

    scene.told.post = killed
    with pytest.raises(Killed):
        scene.look(1)
    firing = next(iter(watch._states.values())).firing

    scene.told = Told()
    scene.watch({"when": "error"})
    assert scene.look(1) == []
    assert [message.id for message in scene.told.messages] == [firing]
    scene.watch({"when": "error"})
    assert len(scene.told.messages) == 1


def test_too_many_failing_requests(scene):
    scene.watch({"when": "error-rate", "above": "5%", "over": "1m"})

    scene.requests(9, failed=9)
    assert scene.look(1) == []  # too few to mean something
    scene.requests(91, failed=1)
    assert scene.look(1) == ["shop: 10.0% of requests fail (above 5.0%)"]
    assert scene.told.messages[0].text.startswith("10 of 100 in 1m")


def test_slow_answers(scene):
    scene.watch({"when": "latency", "above": "500ms", "percentile": 50, "count": 5})

    scene.requests(4, duration=2.0)
    assert scene.look(1) == []
    scene.requests(4, duration=2.0)
    (title,) = scene.look(1)
    assert title.startswith("shop: p50 is ")
    assert title.endswith("(above 500 ms)")


def test_processor_and_memory_of_a_process(scene):
    scene.watch(
        {"when": "cpu", "above": "90%", "over": "1m"},
        {"when": "memory", "above": "512MB", "over": "1m"},
    )
    for instance, value in (("shop-1", 0.95), ("shop-2", 0.2)):
        scene.measured("process.cpu.utilization", value, instance)
    # Two states of one process are added up, two processes are not.
    scene.measured("process.memory.usage", 300 * 2**20, "shop-1", state="a")
    scene.measured("process.memory.usage", 300 * 2**20, "shop-1", state="b")
    scene.measured("process.memory.usage", 300 * 2**20, "shop-2")

    assert scene.look(1) == [
        "shop: processor 95% (above 90%)",
        "shop: memory 600MB (above 512MB)",
    ]
    assert "process shop-1" in scene.told.messages[0].text


def test_a_service_that_falls_silent_and_comes_back(scene):
    scene.watch({"when": "silent", "after": "2m"})
    scene.log("hello", severity=9)
    assert scene.look(60) == []

    told = [title for _ in range(10) for title in scene.look(20)]
    assert len(told) == 1
    assert told[0].startswith("shop: nothing heard for 2")

    scene.log("hello again", severity=9)
    told = [title for _ in range(10) for title in scene.look(10)]
    assert told == [f"resolved: {scene.told.messages[0].title}"] or told[0].startswith("resolved")


@pytest.mark.parametrize("outcome", ["completed", "terminated", "interrupted"])
def test_a_service_that_was_stopped_is_not_silent(scene, outcome):
    scene.watch({"when": "silent", "after": "2m"}, {"when": "crashed"})
    scene.log("hello", severity=9)
    scene.ended(outcome, severity=9)

    assert [title for _ in range(30) for title in scene.look(20)] == []


def test_each_crash_is_told_once(scene):
    scene.watch({"when": "crashed"})
    scene.ended(
        "crashed",
        **{
            schema.LAST_ERROR_TYPE.replace(".", "__"): "ValueError",
            schema.LAST_ERROR_MESSAGE.replace(".", "__"): "no such order",
        },
    )

    assert scene.look(1) == ["shop: process 7 has ended: crashed"]
    assert scene.told.messages[0].text.startswith("last error: ValueError: no such order")
    scene.ended("failed", instance="shop-2")
    assert scene.look(5) == ["shop: process 7 has ended: failed"]
    assert [title for _ in range(30) for title in scene.look(60)] == []


def test_a_message_leads_to_the_page(scene):
    scene.watch({"when": "error"}, page="http://127.0.0.1:4319/")
    scene.log()
    scene.look(1)

    assert scene.told.messages[0].link == (
        "http://127.0.0.1:4319/logs?query=severity_number+%3E%3D+17"
        "+and+not+log.logger%3A+%22otelbridge.lifecycle%22+and+service.name%3A+%22shop%22"
        "&range=2026-11-21T11%3A55%3A01Z%2F2026-11-21T12%3A00%3A02Z"
    )


def test_an_end_is_not_told_where_the_rule_says_so(scene):
    scene.watch({"when": "error", "over": "30s", "resolved": False})
    scene.log()

    told = [title for _ in range(30) for title in scene.look(10)]

    assert told == ["shop: 1 error in 30s"]
    assert scene.watching.states() == []


def test_a_store_that_cannot_be_read_changes_nothing(scene, monkeypatch):
    scene.watch({"when": "error", "over": "1m"}, {"when": "log", "query": "x"})
    scene.log()
    assert len(scene.look(1)) == 1

    def broken(*args, **options):
        raise StoreError("the disk is full")

    monkeypatch.setattr(scene.store, "services", broken)
    monkeypatch.setattr(scene.store, "count_logs", lambda *a: 1 / 0)
    assert [title for _ in range(30) for title in scene.look(10)] == []
    assert scene.watching.problems == {
        "rule 0": "the disk is full",
        "rule 1": "ZeroDivisionError: division by zero",
    }
    assert [state.phase for state in scene.watching.states()] == ["firing"]

    monkeypatch.undo()
    told = [title for _ in range(30) for title in scene.look(10)]
    assert len(told) == 1
    assert scene.watching.problems == {}


def test_rules_can_be_changed_while_watching(scene):
    scene.watch({"when": "error", "name": "kept"}, {"when": "error", "name": "dropped"})
    scene.log()
    assert len(scene.look(1)) == 2

    scene.watching.change_rules([make_rule({"when": "error", "name": "kept"})])

    assert [state.rule for state in scene.watching.states()] == ["kept"]
    assert scene.look(1) == []


def test_states_that_cannot_be_kept_are_said_and_alarms_go_on(scene, tmp_path, caplog):
    (tmp_path / "state").write_text("a file where a folder should be")
    scene.watch({"when": "error"})
    scene.log()

    assert len(scene.look(1)) == 1
    assert scene.look(1) == []
    assert "cannot be kept" in scene.watching.problems["states"]
    assert len([r for r in caplog.records if "cannot be kept" in r.getMessage()]) == 1


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"rule": "x"}]', "null"])
def test_a_damaged_book_is_an_empty_one(scene, content):
    scene.book.path.parent.mkdir(parents=True)
    scene.book.path.write_text(content)

    scene.watch({"when": "error"})
    scene.log()

    assert len(scene.look(1)) == 1


def test_a_clock_that_is_put_back_fires_nothing_twice(scene):
    scene.watch({"when": "error", "over": "5m"})
    scene.log()
    assert len(scene.look(1)) == 1

    scene.log(at=-30)
    assert scene.look(-60) == []
