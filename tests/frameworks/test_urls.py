"""Secrets in addresses do not reach telemetry."""

from __future__ import annotations

import logging
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.frameworks.urls import redact_access_record, redact_query, redact_url
from otelbridge.records.redaction import is_secret


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("http://h/p", "http://h/p"),
        ("http://h/p?", "http://h/p?"),
        ("http://h/p?a=1&b", "http://h/p?a=1&b"),
        ("http://h/p?token=x", "http://h/p?token=***"),
        ("http://h/p?TOKEN=x", "http://h/p?TOKEN=***"),
        ("http://h/p?access_token=x&a=1", "http://h/p?access_token=***&a=1"),
        ("http://h/p?accessToken=x", "http://h/p?accessToken=***"),
        ("http://h/p?a=1;password=x;b=2", "http://h/p?a=1;password=***;b=2"),
        (
            "http://h/p?api_key=x&api-key=y&apikey=z",
            "http://h/p?api_key=***&api-key=***&apikey=***",
        ),
        ("http://h/p?client_secret=a%26b", "http://h/p?client_secret=***"),
        ("http://h/p?user[password]=x", "http://h/p?user[password]=***"),
        ("http://h/p?pass%77ord=x", "http://h/p?pass%77ord=***"),
        ("http://h/p?token=a=b", "http://h/p?token=***"),
        ("http://h/p?token=", "http://h/p?token="),
        ("http://h/p?tokens=3&keyboard=de&author=me", "http://h/p?tokens=3&keyboard=de&author=me"),
        ("http://user:pw@h/p", "http://h/p"),
        ("http://h/p?token=x#part", "http://h/p?token=***#part"),
        ("http://h/@me?mail=a@b", "http://h/@me?mail=a@b"),
    ],
)
def test_what_is_secret_is_masked_and_the_rest_stays(url: str, redacted: str) -> None:
    assert redact_url(url) == redacted


NAMES = st.sampled_from(["token", "password", "api_key", "secret", "x-api-key", "refreshToken"])
PLAIN = st.tuples(st.sampled_from(["a", "page", "q"]), st.text(max_size=8))
VALUE = "s3cr3t-value"


@given(st.lists(st.one_of(PLAIN, NAMES.map(lambda name: (name, VALUE))), max_size=6))
def test_no_secret_is_left_and_no_other_parameter_is_changed(pairs: list[tuple[str, str]]) -> None:
    parts = [f"{name}={quote(value, safe='')}" for name, value in pairs]
    redacted = redact_query("&".join(parts))
    assert VALUE not in redacted
    if parts:
        for before, after in zip(parts, redacted.split("&"), strict=True):
            assert after == before or before.endswith(f"={VALUE}")


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    assert isinstance(redact_url(text), str)
    assert isinstance(redact_query(text), str)


def access_record(name: str, message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, __file__, 1, message, arguments, None)


def test_a_servers_access_line_is_redacted_in_a_copy() -> None:
    record = access_record("werkzeug", '"%s" %s -', "GET /x?token=abc&a=1 HTTP/1.1", 200)
    changed = redact_access_record(record)
    assert changed.getMessage() == '"GET /x?token=***&a=1 HTTP/1.1" 200 -'
    assert record.getMessage() == '"GET /x?token=abc&a=1 HTTP/1.1" 200 -'


@pytest.mark.parametrize(
    "record",
    [
        access_record("werkzeug", "no query"),
        access_record("werkzeug", "%d", "not a number"),
    ],
)
def test_other_records_are_left_as_they_are(record: logging.LogRecord) -> None:
    assert redact_access_record(record) is record


@given(st.text("ab=&;%5token_ +", max_size=30))
def test_a_query_is_redacted_parameter_by_parameter(query: str) -> None:
    """However it is looked at before: each `name=value` by itself."""
    expected = re.sub(
        r"([^=&;]+)=([^&;]*)",
        lambda found: f"{found[1]}=***" if found[2] and is_secret(found[1]) else found[0],
        query,
    )
    assert redact_query(query) == expected


@pytest.mark.parametrize(
    "query", ["=token=s", "a;token=s", "==token=s;b", "a=b=token", "%74oken=s"]
)
def test_a_name_is_found_wherever_it_begins(query: str) -> None:
    assert ("***" in redact_query(query)) is ("=s" in query)
