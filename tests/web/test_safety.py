"""Records are text, and a browser is told what it may load."""

from __future__ import annotations

import pytest

from otelbridge.model import SpanEvent
from otelbridge.store.protocol import StoreUnavailableError
from tests.web.conftest import Page
from tests.web.samples import log, span

EVIL = "<script>alert(1)</script>\"'&"
TRACE = bytes(range(16))
SPAN = bytes(range(8))

PAGES = [
    "/errors",
    "/errors?state=all",
    "/errors/type%3A%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%27%26",
    "/services",
    "/logs",
    "/logs/histogram",
    "/logs/facets",
    "/logs/facet?field=" + "%3Cscript%3E",
    "/logs/empty",
    "/traces",
    "/traces?by=logs&query=alert",
    f"/traces/{TRACE.hex()}",
    "/metrics",
    "/pipeline",
    "/login",
    "/nothing-here",
    "/logs/1",
]


@pytest.fixture
def evil(page: Page) -> Page:
    """A page whose every record has a script in each of its texts."""
    page.store(
        log(
            EVIL,
            service=EVIL,
            logger=EVIL,
            trace_id=TRACE,
            span_id=SPAN,
            resource={EVIL: EVIL},
            **{
                EVIL: EVIL,
                "exception.type": EVIL,
                "exception.message": EVIL,
                "exception.stacktrace": f'Traceback (most recent call last):\n  File "{EVIL[:8]}"'
                f", line 1, in {EVIL}\n    {EVIL}\n{EVIL}: {EVIL}",
                "nested": {EVIL: [EVIL]},
            },
        ),
        log(EVIL, trace_id=TRACE),
        span(
            EVIL,
            trace_id=TRACE,
            span_id=SPAN,
            service=EVIL,
            failed=True,
            events=[SpanEvent(1, EVIL, {EVIL: EVIL})],
            **{EVIL: EVIL},
        ),
    )
    return page


@pytest.mark.parametrize("address", PAGES)
def test_no_text_of_a_record_becomes_markup(evil: Page, address: str) -> None:
    text = evil.get(address).text

    assert "<script>alert" not in text
    assert "alert(1)</script>" not in text
    assert 'alert(1)"' not in text


def test_a_record_s_every_text_is_escaped_when_it_is_opened(evil: Page) -> None:
    records = evil.get("/logs.json").json()["records"]

    for record in records:
        text = evil.get(f"/logs/{record['id']}").text

        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_the_query_and_the_range_are_escaped_where_they_are_repeated(page: Page) -> None:
    for view in ("/logs", "/traces", "/services", "/metrics", "/pipeline"):
        text = page.get(view, query=f'"{EVIL}', range=EVIL).text

        assert "<script>alert" not in text


@pytest.mark.parametrize("address", [*PAGES, "/logs.json", "/logs.json?query=(", "/healthz"])
def test_every_answer_says_what_a_browser_may_load(page: Page, address: str) -> None:
    headers = page.get(address).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_an_answer_to_a_fault_says_so_in_one_sentence_and_keeps_the_policy(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page.bridge.store, "logs", None)

    answer = page.get("/logs")

    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "TypeError" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_store_that_cannot_answer_is_said_with_a_retry_hint(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailableError("the disk is full", retry_after=2.5)

    monkeypatch.setattr(page.bridge.store, "logs", refuse)

    shown = page.get("/logs")
    data = page.get("/logs.json")

    assert shown.status_code == data.status_code == 503
    assert "the disk is full" in shown.text
    assert data.json()["error"]["message"] == "The store cannot answer: the disk is full."
    assert data.headers["retry-after"] == "3"


def test_no_page_has_inline_script_or_style(evil: Page) -> None:
    for address in PAGES:
        text = evil.get(address).text

        assert "<script>" not in text
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick=" not in text
        assert "javascript:" not in text


def test_no_page_names_another_host(evil: Page) -> None:
    for address in PAGES:
        text = evil.get(address).text

        assert 'src="http' not in text
        assert 'href="http' not in text
        assert 'src="//' not in text


def test_static_files_may_be_kept_and_their_address_names_their_contents(page: Page) -> None:
    text = page.get("/logs").text
    address = text.split('rel="stylesheet" href="')[1].split('"')[0]

    answer = page.get(address)

    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["%2e%2e/__init__.py", "..%2f__init__.py", "vendor/%2e%2e/%2e%2e/pages.py"]
)
def test_only_static_files_are_served_as_such(page: Page, path: str) -> None:
    answer = page.get(f"/static/any/{path}")

    assert answer.status_code == 404


def test_vendored_files_come_with_their_licences(page: Page) -> None:
    for name in ("htmx", "uplot"):
        assert page.get(f"/static/any/vendor/{name}/LICENSE").status_code == 200
