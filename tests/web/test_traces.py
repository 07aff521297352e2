"""The Traces view: the list and one trace."""

from __future__ import annotations

from otelbridge.model import SpanEvent, SpanLink
from tests.web.conftest import Page
from tests.web.samples import TRACEBACK, log, span

TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
OTHER = bytes.fromhex("1111111111111111111111111111aaaa")
ROOT, CALL, INNER = (bytes([number] * 8) for number in (1, 2, 3))


def failing(page: Page) -> None:
    """A request that failed two calls down, with its logs."""
    page.store(
        span("POST /checkout", trace_id=TRACE, span_id=ROOT, service="gateway", failed=True),
        span(
            "charge",
            trace_id=TRACE,
            span_id=CALL,
            parent=ROOT,
            service="gateway",
            failed=True,
            start=-1.98,
            seconds=0.06,
            kind=3,
        ),
        span(
            "POST /pay",
            trace_id=TRACE,
            span_id=INNER,
            parent=CALL,
            service="payments",
            failed=True,
            start=-1.97,
            seconds=0.04,
            events=[
                SpanEvent(
                    0,
                    "exception",
                    {
                        "exception.type": "payments.CardError",
                        "exception.message": "no card",
                        "exception.stacktrace": TRACEBACK,
                    },
                )
            ],
        ),
        log(
            "asking the bank",
            trace_id=TRACE,
            span_id=INNER,
            service="payments",
            ago=1.96,
            user="alice",
        ),
        log("from nowhere", trace_id=TRACE, span_id=bytes([9] * 8), ago=1.5),
    )


def test_the_list_shows_each_trace_with_its_service_and_status(page: Page) -> None:
    failing(page)

    text = page.get("/traces").text

    assert "POST /checkout" in text
    assert "gateway" in text
    assert "3 failed" in text
    assert f'href="/traces/{TRACE.hex()}"' in text


def test_the_list_as_json(page: Page) -> None:
    failing(page)

    (trace,) = page.get("/traces.json").json()["traces"]

    assert trace["trace_id"] == TRACE.hex()
    assert trace["service"] == "gateway"
    assert trace["spans"] == 3
    assert trace["errors"] == 3
    assert trace["status"] == "Error"
    assert sorted(trace["services"]) == ["gateway", "payments"]


def test_a_query_over_spans_narrows_the_list(page: Page) -> None:
    failing(page)
    page.store(span("GET /cart", trace_id=OTHER))

    found = page.get("/traces.json", query="status.code: error").json()["traces"]

    assert [trace["trace_id"] for trace in found] == [TRACE.hex()]


def test_traces_of_matching_logs_are_found(page: Page) -> None:
    failing(page)
    page.store(span("GET /cart", trace_id=OTHER), log("unrelated", trace_id=OTHER))

    found = page.get("/traces.json", query="user: alice", by="logs").json()["traces"]

    assert [trace["trace_id"] for trace in found] == [TRACE.hex()]


def test_no_trace_is_of_logs_that_have_none(page: Page) -> None:
    failing(page)
    page.store(log("alone", user="bob"))

    assert page.get("/traces.json", query="user: bob", by="logs").json()["traces"] == []


def test_an_empty_list_offers_to_look_among_the_logs(page: Page) -> None:
    failing(page)

    text = page.get("/traces", query="user: alice").text

    assert "No trace" in text
    assert 'href="/traces?query=user%3A+alice&amp;by=logs"' in text


def test_the_list_pages(page: Page) -> None:
    for number in range(105):
        page.store(span(trace_id=number.to_bytes(16, "big"), start=-2 - number / 100))

    first = page.get("/traces").text
    address = first.split('hx-get="')[1].split('"')[0]
    part = page.client.get(address, headers={"HX-Request": "true"}).text

    assert first.count("data-row-link") == 100
    assert part.count("data-row-link") == 5
    assert "<html" not in part


def test_a_wrong_query_is_said_in_place(page: Page) -> None:
    answer = page.get("/traces", query="(")

    assert answer.status_code == 400
    assert 'id="query-error"' in answer.text


def test_the_failing_span_is_open_with_its_exception(page: Page) -> None:
    failing(page)

    text = page.get(f"/traces/{TRACE.hex()}").text
    opened = text.split('class="span failed opened"')[1]

    assert f'data-span="{INNER.hex()}"' in opened[:200]
    assert "payments.CardError" in opened
    assert "It went wrong in" in text
    assert text.count('class="span failed opened"') == 1


def test_logs_stand_under_their_span_and_those_without_one_below(page: Page) -> None:
    failing(page)

    text = page.get(f"/traces/{TRACE.hex()}").text

    assert text.index('aria-label="Logs of POST /pay"') < text.rindex("asking the bank")
    assert text.index("Logs of this trace without a span here") < text.index("from nowhere")


def test_logs_whose_spans_have_not_arrived_are_shown(page: Page) -> None:
    page.store(log("early", trace_id=TRACE, span_id=ROOT))

    answer = page.get(f"/traces/{TRACE.hex()}")

    assert answer.status_code == 200
    assert "early" in answer.text


def test_a_missing_parent_is_said(page: Page) -> None:
    page.store(span("lonely", trace_id=TRACE, parent=bytes([7] * 8)))

    assert "parent missing" in page.get(f"/traces/{TRACE.hex()}").text


def test_the_address_opens_a_span(page: Page) -> None:
    failing(page)

    text = page.get(f"/traces/{TRACE.hex()}", span=ROOT.hex()).text

    assert f'data-span="{ROOT.hex()}"' in text.split("opened")[1][:200]


def test_the_address_of_a_record_opens_its_span(page: Page) -> None:
    failing(page)
    record = page.get("/logs.json", query="asking").json()["records"][0]["id"]

    text = page.get(f"/traces/{TRACE.hex()}", record=str(record)).text

    assert f'class="span-row span-log asked" id="log-{record}"' in text


def test_a_linked_trace_is_a_link(page: Page) -> None:
    linked = span(trace_id=TRACE)
    linked.links = [SpanLink(OTHER, ROOT, {})]
    page.store(linked)

    text = page.get(f"/traces/{TRACE.hex()}").text

    assert f'href="/traces/{OTHER.hex()}?span={ROOT.hex()}"' in text


def test_a_trace_as_json_has_its_spans_and_logs(page: Page) -> None:
    failing(page)

    trace = page.get(f"/traces/{TRACE.hex()}.json").json()

    assert [found["name"] for found in trace["spans"]] == ["POST /checkout", "charge", "POST /pay"]
    assert trace["spans"][2]["parent_span_id"] == CALL.hex()
    assert trace["spans"][2]["events"][0]["attributes"]["exception.type"] == "payments.CardError"
    assert [found["body"]["text"] for found in trace["logs"]] == ["asking the bank", "from nowhere"]


def test_what_is_no_trace_id_is_not_found(page: Page) -> None:
    for wrong in ("x", "12", "zz" * 16, TRACE.hex() + "00"):
        assert page.get(f"/traces/{wrong}").status_code == 404
        assert "32 hexadecimal" in page.get(f"/traces/{wrong}.json").json()["error"]["message"]


def test_a_trace_that_is_not_there_is_not_found(page: Page) -> None:
    assert page.get(f"/traces/{TRACE.hex()}").status_code == 404


def test_an_exception_that_was_recorded_and_logged_is_shown_once(page: Page) -> None:
    failing(page)
    page.store(
        log(
            "payment failed",
            trace_id=TRACE,
            span_id=INNER,
            **{
                "exception.type": "CardError",
                "exception.message": "no card",
                "exception.stacktrace": "Traceback:\n...\nCardError: no card",
            },
        )
    )

    text = page.get(f"/traces/{TRACE.hex()}").text

    assert text.count('class="traceback"') == 1


def test_a_trace_that_went_well_in_spite_of_a_failed_call_is_told_from_one_that_failed(
    page: Page,
) -> None:
    page.store(
        span("GET /order", trace_id=TRACE, span_id=ROOT),
        span("GET", trace_id=TRACE, span_id=CALL, parent=ROOT, failed=True, kind=3),
    )

    text = page.get("/traces").text

    assert 'title="A call in it failed"' in text
    assert "1 failed" in text
