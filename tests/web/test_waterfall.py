"""How a trace is laid out."""

from __future__ import annotations

import itertools

from otelbridge.model import STATUS_ERROR, LogRecord, Scope, Span, SpanEvent
from otelbridge.store.protocol import StoredLog, StoredSpan, Trace
from otelbridge.web import waterfall as module
from otelbridge.web.waterfall import Node, Waterfall, build_waterfall

MS = 1_000_000
BASE = 1_700_000_000_000 * MS


def span(
    name: str,
    start: int,
    end: int,
    parent: str = "",
    *,
    service: str = "shop",
    kind: int = 1,
    failed: bool = False,
    exception: bool = False,
) -> Span:
    """A span from ``start`` to ``end`` (milliseconds); its name is its id."""
    return Span(
        time=BASE + start * MS,
        duration=(end - start) * MS,
        trace_id=b"t" * 16,
        span_id=name.encode().ljust(8, b"\0"),
        parent_span_id=parent.encode().ljust(8, b"\0") if parent else None,
        name=name,
        attributes={},
        resource={"service.name": service},
        scope=Scope(),
        kind=kind,
        status_code=STATUS_ERROR if failed else 0,
        events=[SpanEvent(BASE, "exception", {})] if exception else [],
    )


def build(*spans: Span, logs: tuple[LogRecord, ...] = ()) -> Waterfall:
    stored = [StoredSpan(number, one) for number, one in enumerate(spans)]
    return build_waterfall(
        Trace(b"t" * 16, stored, [StoredLog(number, one) for number, one in enumerate(logs)])
    )


def names(waterfall: Waterfall) -> list[str]:
    return [node.span.name for node in waterfall.nodes()]


def find(waterfall: Waterfall, name: str) -> Node:
    return next(node for node in waterfall.nodes() if node.span.name == name)


def critical(waterfall: Waterfall) -> list[tuple[str, int, int]]:
    """The critical path in time's order: name, start and end in milliseconds."""
    found = [
        (node.span.name, (start - BASE) // MS, (end - BASE) // MS)
        for node in waterfall.nodes()
        for start, end in node.critical
    ]
    return sorted(found, key=lambda stretch: stretch[1])


def test_children_follow_their_parent_in_the_order_of_their_start() -> None:
    found = build(
        span("root", 0, 100),
        span("late", 50, 60, "root"),
        span("early", 10, 20, "root"),
        span("inner", 12, 15, "early"),
    )

    assert names(found) == ["root", "early", "inner", "late"]
    assert [node.depth for node in found.nodes()] == [0, 1, 2, 1]
    assert find(found, "root").below == 3


def test_a_span_without_its_parent_stands_among_the_roots_and_says_so() -> None:
    found = build(span("root", 0, 100), span("lost", 10, 20, "gone"))

    assert names(found) == ["root", "lost"]
    assert find(found, "lost").orphan
    assert not find(found, "root").orphan


def test_spans_that_name_each_other_as_parents_are_all_shown() -> None:
    found = build(span("a", 0, 10, "b"), span("b", 1, 9, "a"), span("self", 2, 3, "self"))

    assert sorted(names(found)) == ["a", "b", "self"]


def test_a_child_of_another_clock_is_moved_into_its_parent() -> None:
    found = build(
        span("call", 100, 200, kind=3),
        span("serve", 40, 120, "call", service="other", kind=2),
        span("query", 60, 80, "serve", service="other"),
    )

    serve = find(found, "serve")
    assert serve.shift == 70 * MS
    assert (serve.start, serve.end) == (BASE + 110 * MS, BASE + 190 * MS)
    assert find(found, "query").shift == 70 * MS


def test_a_longer_child_of_another_clock_begins_with_its_parent() -> None:
    found = build(
        span("call", 100, 150, kind=3), span("serve", 10, 110, "call", service="other", kind=2)
    )

    assert find(found, "serve").start == BASE + 100 * MS


def test_work_that_was_handed_over_may_begin_after_its_parent_ended() -> None:
    found = build(
        span("send", 0, 10, kind=4), span("receive", 500, 600, "send", service="other", kind=5)
    )

    assert find(found, "receive").shift == 0


def test_a_child_of_the_same_process_is_where_it_says() -> None:
    found = build(span("root", 100, 200), span("before", 50, 60, "root"))

    assert find(found, "before").shift == 0
    assert found.start == BASE + 50 * MS


def test_the_culprit_is_the_deepest_failure() -> None:
    found = build(
        span("root", 0, 100, failed=True),
        span("call", 10, 90, "root", failed=True),
        span("inner", 20, 80, "call", failed=True),
        span("fine", 30, 40, "inner"),
    )

    assert found.culprit is find(found, "inner")


def test_of_several_failures_the_one_with_the_exception_is_the_culprit() -> None:
    found = build(
        span("root", 0, 100, failed=True),
        span("first", 10, 20, "root", failed=True),
        span("second", 30, 40, "root", failed=True, exception=True),
    )

    assert found.culprit is find(found, "second")


def test_a_healthy_trace_has_no_culprit() -> None:
    assert build(span("root", 0, 100)).culprit is None


def test_the_critical_path_is_what_the_trace_waited_for() -> None:
    found = build(
        span("root", 0, 100),
        span("short", 10, 30, "root"),
        span("long", 15, 70, "root"),
        span("last", 75, 95, "root"),
    )

    assert critical(found) == [
        ("root", 0, 15),
        ("long", 15, 70),
        ("root", 70, 75),
        ("last", 75, 95),
        ("root", 95, 100),
    ]


def test_the_critical_path_covers_the_root_without_gap_or_overlap() -> None:
    found = build(
        span("root", 0, 100),
        span("a", 0, 50, "root"),
        span("b", 20, 60, "a"),
        span("c", 40, 100, "root"),
        span("d", 90, 130, "c"),
    )

    path = critical(found)

    assert path[0][1] == 0
    assert path[-1][2] == 100
    assert all(left[2] == right[1] for left, right in itertools.pairwise(path))


def test_logs_go_to_their_spans_and_the_rest_is_kept() -> None:
    def log(span_id: bytes | None) -> LogRecord:
        return LogRecord(BASE, "x", {}, {}, Scope(), span_id=span_id)

    found = build(
        span("root", 0, 100), logs=(log(b"root".ljust(8, b"\0")), log(b"other123"), log(None))
    )

    assert len(find(found, "root").logs) == 1
    assert len(found.loose_logs) == 2


def test_a_deep_chain_is_laid_out() -> None:
    chain = [span("0", 0, 5000)]
    chain += [span(str(n), n, 5000 - n, str(n - 1)) for n in range(1, 2000)]

    found = build(*chain)

    assert [node.depth for node in found.nodes()] == list(range(2000))


def test_what_is_too_much_to_draw_is_counted() -> None:
    spans = [span("root", 0, 9999)]
    spans += [span(f"c{n}", n, n + 1, "root") for n in range(module.LARGEST_WATERFALL + 10)]

    found = build(*spans)

    assert len(names(found)) == module.LARGEST_WATERFALL
    assert found.hidden == 11
    assert found.total == module.LARGEST_WATERFALL + 11


def test_a_trace_of_logs_only_has_their_times() -> None:
    found = build(logs=(LogRecord(BASE, "x", {}, {}, Scope()),))

    assert (found.start, found.end) == (BASE, BASE)
    assert names(found) == []
