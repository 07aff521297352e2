"""A span that is started and ended the lean way is the one that the SDK would have made."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from opentelemetry.baggage import set_baggage
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from otelbridge.delivery.lean_span import LeanSpan
from otelbridge.delivery.own_tracer import OwnTracerProvider
from otelbridge.delivery.processors import DeliveredSpanProcessor
from otelbridge.delivery.redacted import redact_records
from otelbridge.sinks.otlp_request import RequestEncoder

ATTRIBUTES = {"http.request.method": "GET", "server.port": 8000, "url.path": "/café"}


class Counted(IdGenerator):
    """Gives the same ids in the same order."""

    def __init__(self) -> None:
        self.number = 0

    def generate_trace_id(self) -> int:
        self.number += 1
        return self.number << 64

    def generate_span_id(self) -> int:
        self.number += 1
        return self.number

    def is_trace_id_random(self) -> bool:
        return True


class Kept:
    """Stands for a delivery: keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def put(self, record: Any) -> None:
        self.records.append(record)


class Listener(SpanProcessor):
    """A processor of the program's own."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        self.seen.append(("start", span.name, dict(span.attributes), parent_context))

    def on_end(self, span: Any) -> None:
        self.seen.append(("end", type(span).__name__, dict(span.attributes)))


def make_tracer(*processors: Any, lean: bool = True, **given: Any) -> tuple[Any, Kept]:
    kept: Any = Kept()
    provider = (OwnTracerProvider if lean else TracerProvider)(
        resource=Resource({"service.name": "shop"}),
        shutdown_on_exit=False,
        **{"id_generator": Counted(), **given},
    )
    for processor in (DeliveredSpanProcessor(kept), *processors):
        provider.add_span_processor(processor)
    return provider.get_tracer("shop", "1"), kept


def below(**given: Any) -> Context:
    fields = {"is_remote": True, "trace_flags": TraceFlags(1), **given}
    return set_span_in_context(NonRecordingSpan(SpanContext(7, 8, **fields)), Context())


def started(tracer: Any, parent: Context, attributes: Any = None) -> Any:
    attributes = dict(ATTRIBUTES) if attributes is None else attributes
    return tracer.start_span("GET /", parent, SpanKind.SERVER, attributes, start_time=5)


def do_nothing(span: Any) -> None:
    """Look at nothing."""


def use_all(span: Any) -> None:
    """Call everything that a span has."""
    span.set_attribute("http.response.status_code", 200)
    span.set_attribute("url.path", "/tea")
    span.set_attributes({"list": ["a", "b"], "token": "secret", "nothing": None})
    span.add_event("paid", {"amount": 3.5}, timestamp=6)
    span.add_link(SpanContext(3, 4, is_remote=True), {"why": "retry"})
    span.update_name("GET /tea")
    span.record_exception(KeyError("no"), timestamp=7)
    span.set_status(Status(StatusCode.ERROR, "password=no"))


def use_more_than_is_allowed(span: Any) -> None:
    """Go beyond every limit."""
    for number in range(200):
        span.set_attribute(f"key {number}", number)
        span.add_event("event", timestamp=number)
        span.add_link(SpanContext(3, number + 1, is_remote=False))


def use_after_the_end(span: Any) -> None:
    """Change what has ended."""
    span.end(9)
    span.set_attribute("late", 1)
    span.set_status(StatusCode.ERROR)
    span.update_name("late")


PARENTS = [
    Context(),
    below(),
    below(trace_state=TraceState([("a", "b")])),
    below(is_remote=False),
    below(trace_flags=TraceFlags(3)),
    set_baggage("user", "alice", Context()),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("parent", PARENTS, ids=range(len(PARENTS)))
@pytest.mark.parametrize("use", [do_nothing, use_all, use_more_than_is_allowed, use_after_the_end])
def test_what_is_sent_is_the_same(parent, use):
    sent = []
    for lean in (True, False):
        tracer, kept = make_tracer(lean=lean)
        span = started(tracer, parent)
        assert isinstance(span, LeanSpan) is lean
        assert span.is_recording()
        use(span)
        span.end(9)
        assert not span.is_recording()
        assert len(kept.records) == 1
        sent.append(encode_spans(kept.records).SerializeToString())
        masked = redact_records("traces", kept.records)
        sent.append(encode_spans(masked).SerializeToString())
        assert RequestEncoder("traces", encode_spans).encode(masked) == sent[-1]
    assert sent[:2] == sent[2:]


def test_everything_stands_on_it_that_stands_on_the_sdks():
    mine, sdks = [started(make_tracer(lean=lean)[0], Context()) for lean in (True, False)]

    for name, value in vars(sdks).items():
        kind = type(value)
        if name in {"_events", "_links"}:
            assert list(getattr(mine, name)) == list(value) == []
        elif name == "_status":
            assert mine._status.status_code is value.status_code is StatusCode.UNSET
        elif name == "_record_end_metrics":
            assert not mine._record_end_metrics
        elif name not in {"_lock", "_attributes", "_span_processor", "_limits"}:
            assert getattr(mine, name) == value, name
        else:
            assert type(getattr(mine, name)) is kind, name
    assert vars(mine._attributes).keys() == vars(sdks._attributes).keys()
    assert vars(mine._attributes)["_dict"] == vars(sdks._attributes)["_dict"]
    assert mine.to_json() == sdks.to_json()
    copied = copy.copy(mine)
    assert copied.to_json() == sdks.to_json()
    with pytest.raises(TypeError):
        pickle.dumps(sdks)
    with pytest.raises(TypeError):
        pickle.dumps(mine)


def test_an_event_in_one_is_in_no_other():
    tracer, _ = make_tracer()
    first, second = (started(tracer, Context()) for _ in range(2))
    first.add_event("paid")

    assert [len(first.events), len(second.events)] == [1, 0]


def test_as_a_context_manager_it_records_what_leaves_it():
    tracer, kept = make_tracer()
    with pytest.raises(ValueError, match="no"), started(tracer, Context()):
        raise ValueError("no")

    assert kept.records[0].status.status_code is StatusCode.ERROR
    assert kept.records[0].events[0].name == "exception"


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ({"sampler": ALWAYS_OFF}, False),
        ({"sampler": TraceIdRatioBased(1.0)}, True),
        ({"span_limits": SpanLimits(max_span_attributes=2)}, True),
        ({"span_limits": SpanLimits(max_attribute_length=2)}, True),
    ],
)
def test_whatever_else_is_asked_for_is_done_by_the_sdk(given, recorded):
    tracer, kept = make_tracer(**given)
    span = started(tracer, Context())
    span.end()

    assert not isinstance(span, LeanSpan)
    assert span.is_recording() is False
    assert len(kept.records) == recorded


def test_a_sampler_that_takes_all_is_one_that_nobody_asks():
    tracer, kept = make_tracer(sampler=ALWAYS_ON)
    span = started(tracer, Context())
    span.end()

    assert isinstance(span, LeanSpan)
    assert kept.records == [span]


def test_what_is_not_sampled_above_is_not_sampled_here():
    tracer, kept = make_tracer()
    span = started(tracer, below(trace_flags=TraceFlags(0)))
    span.end()

    assert not span.is_recording()
    assert kept.records == []


def test_values_that_must_be_cleaned_are_left_to_the_sdk():
    tracer, kept = make_tracer()
    items = ["a"]
    span = started(tracer, Context(), {"items": items})
    items.append("b")
    span.end()

    assert kept.records[0].attributes["items"] == ("a",)


def test_a_processor_of_the_programs_sees_what_it_always_saw():
    seen = []
    for lean in (True, False):
        listener = Listener()
        tracer, _ = make_tracer(listener, lean=lean)
        started(tracer, Context()).end(9)
        seen.append(listener.seen)

    assert seen[0] == seen[1]


def test_a_processor_that_is_added_meanwhile_is_told_of_the_end():
    tracer, kept = make_tracer()
    listener = Listener()
    span = started(tracer, Context())
    tracer.span_processor.add_span_processor(listener)
    span.end(9)

    assert [what[0] for what in listener.seen] == ["end"]
    assert len(kept.records) == 1


def test_it_ends_once(caplog):
    tracer, kept = make_tracer()
    span = started(tracer, Context())
    span.end(9)
    span.end(10)

    assert len(kept.records) == 1
    assert kept.records[0].end_time == 9
    assert "Calling end() on an ended span." in caplog.text
