"""Facets and completion."""

from __future__ import annotations

from otelbridge.search import parse
from otelbridge.store.sqlite import facets
from tests.store.samples import EVER, NOON, log, span


def test_facets_count_the_values_of_any_field(store):
    store.put(
        *(log(attributes={"user": "alice", "code": 200}) for _ in range(3)),
        log(attributes={"user": "bob", "tags": ["a", "b"]}, severity_number=17, severity_text="E"),
        log(resource={"service.name": "pay", "user": "from the resource"}),
    )
    found = {
        facet.field: facet.values
        for facet in store.log_facets(
            None, EVER, ["log.level", "service.name", "log.logger", "user", "code", "tags"]
        )
    }
    assert found == {
        "log.level": [("INFO", 4), ("E", 1)],
        "service.name": [("shop", 4), ("pay", 1)],
        "log.logger": [("shop.views", 5)],
        "user": [("alice", 3), ("bob", 1), ("from the resource", 1)],
        "code": [("200", 3)],
        "tags": [("a", 1), ("b", 1)],
    }


def test_a_level_that_came_as_a_number_only_has_its_usual_name(store):
    store.put(log(severity_number=17, severity_text=""), log(severity_number=0, severity_text=""))
    [facet] = store.log_facets(None, EVER, ["log.level"])
    assert facet.values == [("ERROR", 1)]


def test_every_facet_value_is_found_by_a_query_for_it(store):
    store.put(
        *(log(attributes={"user": f"user {n % 3}", "n": n % 2, "yes": True}) for n in range(12)),
        log(severity_number=17, severity_text="ERROR", trace_id=b"t" * 16, event_name="paid"),
    )
    fields = ["log.level", "service.name", "log.logger", "user", "n", "yes", "trace.id"]
    for facet in store.log_facets(None, EVER, [*fields, "event.name"]):
        assert facet.values
        for value, count in facet.values:
            assert store.count_logs(parse(f'{facet.field}: "{value}"'), EVER) == count


def test_facets_are_of_the_records_that_match(store):
    store.put(
        log(body="apple", attributes={"user": "a"}), log(body="pear", attributes={"user": "b"})
    )
    (facet,) = store.log_facets(parse("apple"), EVER, ["user"])
    assert facet.values == [("a", 1)]
    assert store.log_facets(None, EVER, []) == []


def test_only_the_most_frequent_values_are_given(store):
    store.put(*(log(attributes={"n": str(n)}) for n in range(30)), log(attributes={"n": "7"}))
    (facet,) = store.log_facets(None, EVER, ["n"], size=3)
    assert facet.values == [("7", 2), ("0", 1), ("1", 1)]


def test_a_facet_over_very_many_records_says_that_it_is_sampled(store, monkeypatch):
    monkeypatch.setattr(facets, "_SAMPLE", 10)
    store.put(*(log(NOON + n * 1000, attributes={"old": n < 5}) for n in range(15)))
    (facet,) = store.log_facets(None, EVER, ["old"])
    assert (facet.values, facet.sampled) == ([("false", 10)], 10)
    (facet,) = store.log_facets(parse("old: true"), EVER, ["old"])
    assert (facet.values, facet.sampled) == ([("true", 5)], 0)


def test_names_are_the_built_in_ones_and_those_seen(store):
    store.put(
        log(
            attributes={"user": "alice", "order.id": 1}, resource={"service.name": "a", "pod": "p"}
        ),
        span(attributes={"http.route": "/"}),
    )
    of_logs = store.field_names("logs")
    assert {"user", "order.id", "pod", "log.level", "trace.id", "message"} <= set(of_logs)
    assert "http.route" not in of_logs
    assert {"http.route", "pod", "duration", "name"} <= set(store.field_names("spans"))


def test_values_begin_with_what_was_typed_most_frequent_first(store):
    store.put(
        *(log(attributes={"user": name}) for name in ["bob", "alice", "Alan", "Alan"]),
        span(name="GET /orders", kind=2),
        span(name="GET /carts", kind=3),
    )
    assert store.field_values("logs", "user") == ["Alan", "alice", "bob"]
    assert store.field_values("logs", "user", "al") == ["Alan", "alice"]
    assert store.field_values("logs", "user", limit=1) == ["Alan"]
    assert store.field_values("logs", "log.level", "i") == ["INFO"]
    assert store.field_values("spans", "span.name", "get /o") == ["GET /orders"]
    assert store.field_values("spans", "kind") == ["client", "server"]
    assert store.field_values("spans", "service.name") == ["shop"]
    assert store.field_values("logs", "never seen") == []
