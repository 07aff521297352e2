"""A rule in words, and where what it found can be looked at."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from otelbridge.alarms import make_rule
from otelbridge.alarms.evidence import evidence
from otelbridge.alarms.rules import KINDS
from otelbridge.alarms.states import State
from otelbridge.alarms.words import condition
from otelbridge.search import parse

ERRORS = 'severity_number >= 17 and not log.logger: "otelbridge.lifecycle"'


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"when": "error"}, "an error within 5m"),
        (
            {"when": "error", "count": 1200, "query": "user: alice"},
            "at least 1,200 errors within 5m, among records of user: alice",
        ),
        ({"when": "new-error"}, "an error that was not there before, or is back"),
        (
            {"when": "error-rate", "above": "5%", "services": "shop, pay-*", "for": "2m"},
            "more than 5% of requests fail within 5m (of 10 or more), in shop or pay-*, for 2m",
        ),
        (
            {"when": "log", "query": "disk", "over": "1h", "count": 3},
            "at least 3 records of disk within 1h",
        ),
        ({"when": "silent", "after": "90s"}, "nothing heard for 90s, and no end announced"),
        ({"when": "crashed"}, "a process ends by an error"),
        (
            {"when": "cpu", "above": "90%"},
            "a process uses more than 90% of a processor on average within 5m",
        ),
        (
            {"when": "memory", "above": "512MB"},
            "a process uses more than 512MB of memory on average within 5m",
        ),
        (
            {"when": "latency", "above": "800ms", "percentile": 99, "count": 1},
            "p99 of requests is above 800 ms within 5m",
        ),
    ],
)
def test_a_condition_in_words(table, words):
    assert condition(make_rule({"name": "a", **table})) == words


def state(subject: str = "shop", project: str = "shop") -> State:
    return State(rule="a", subject=subject, project=project, since=1e9, seen=1e9, fired=1e9 + 60)


def looked_at(table, **options) -> tuple[str, str, dict[str, str]]:
    made = state(**options.pop("state", {}))
    name, address = evidence(make_rule({"name": "a", **table}), made, **options)
    parts = urlsplit(address)
    return name, parts.path, {key: one[0] for key, one in parse_qs(parts.query).items()}


@pytest.mark.parametrize(
    ("table", "place"),
    [
        (
            {"when": "error"},
            (
                "records",
                "/logs",
                {"query": ERRORS + ' and service.name: "shop"', "range": "5m"},
            ),
        ),
        (
            {"when": "error", "query": "a or b"},
            (
                "records",
                "/logs",
                {
                    "query": ERRORS + ' and service.name: "shop" and (a or b)',
                    "range": "5m",
                },
            ),
        ),
        (
            {"when": "log", "query": "a or b"},
            ("records", "/logs", {"query": "a or b", "range": "5m"}),
        ),
        (
            {"when": "log", "query": "disk", "services": ["shop", "my pay"], "over": "90s"},
            (
                "records",
                "/logs",
                {"query": 'disk and (service.name: (shop or "my pay"))', "range": "90s"},
            ),
        ),
        (
            {"when": "error-rate", "above": 1},
            (
                "requests",
                "/traces",
                {"query": 'service.name: "shop" and status.code: error', "range": "5m"},
            ),
        ),
        (
            {"when": "latency", "above": "1s"},
            ("requests", "/traces", {"query": 'service.name: "shop"', "range": "5m"}),
        ),
        (
            {"when": "cpu", "above": 1},
            ("curves", "/metrics", {"service": "shop", "range": "5m"}),
        ),
        ({"when": "silent"}, ("project", "/projects/shop", {})),
    ],
)
def test_what_is_behind_an_alarm(table, place):
    assert looked_at(table) == place


def test_a_new_error_leads_to_its_group():
    fingerprint = {"subject": "8d1f", "project": "shop"}

    assert looked_at({"when": "new-error"}, state=fingerprint) == ("group", "/errors/8d1f", {})


def test_a_link_that_is_kept_holds_the_time_of_the_firing():
    _, _, parameters = looked_at({"when": "error"}, lasting=True)

    assert parameters["range"] == "2001-09-09T01:41:40Z/2001-09-09T01:47:41Z"


@pytest.mark.parametrize("when", KINDS)
@pytest.mark.parametrize("project", ['a "quoted" name', "a\\b", "and or not", "<b>&?#/%", "sho*"])
def test_a_name_is_only_a_name_in_every_address(when, project):
    table = {"when": when, "above": "1", "query": "x"}
    needed = {"name": "a", "when": when, **{k: table[k] for k in KINDS[when].needed}}
    made = state(subject=project, project=project)

    _, address = evidence(make_rule(needed), made)

    parts = urlsplit(address)
    assert "<" not in address
    assert not parts.fragment
    if query := parse_qs(parts.query).get("query"):
        assert parse(query[0]) is not None
