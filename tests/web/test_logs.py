"""The Logs view and its data."""

from __future__ import annotations

import re

from tests.web.conftest import Page
from tests.web.samples import TRACEBACK, log

TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
SPAN = bytes.fromhex("b7ad6b7169203331")


def test_lines_show_the_newest_record_first(page: Page) -> None:
    page.store(log("breakfast", ago=20), log("lunch", ago=10))

    text = page.get("/logs").text

    assert text.index("lunch") < text.index("breakfast")


def test_a_query_narrows_the_lines(page: Page) -> None:
    page.store(log("paid", user="alice"), log("declined", user="bob"))

    text = page.get("/logs", query="user: bob").text

    assert "declined" in text
    assert "paid" not in text


def test_the_query_and_the_range_stay_in_every_view_s_address(page: Page) -> None:
    text = page.get("/logs", query='user: "a b"', range="3h").text

    for view in ("services", "traces", "metrics", "pipeline"):
        assert f'href="/{view}?query=user%3A+%22a+b%22&amp;range=3h"' in text


def test_a_wrong_query_says_where_and_is_a_bad_request(page: Page) -> None:
    answer = page.get("/logs", query="user: (alice")

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert re.search(r"<pre[^>]*>user: \(alice<mark>␣</mark></pre>", answer.text)


def test_a_wrong_query_keeps_what_was_typed(page: Page) -> None:
    answer = page.get("/logs", query='user: "alice')

    assert 'value="user: &#34;alice"' in answer.text


def test_a_wrong_range_says_what_is_allowed(page: Page) -> None:
    answer = page.get("/logs", range="next week")

    assert answer.status_code == 400
    assert "15m" in re.search(r'role="alert"><p>(.*?)</p>', answer.text)[1]


def test_json_gives_records_in_their_stored_shape(page: Page) -> None:
    page.store(
        log("hi", level="ERROR", trace_id=TRACE, span_id=SPAN, user="alice", nested={"a": [1]})
    )

    (record,) = page.get("/logs.json").json()["records"]

    assert record["body"] == {"text": "hi"}
    assert record["severity_text"] == "ERROR"
    assert record["severity_number"] == 17
    assert record["attributes"]["user"] == "alice"
    assert record["attributes"]["nested"] == {"a": [1]}
    assert record["resource"] == {"attributes": {"service.name": "shop"}}
    assert record["scope"]["name"] == "shop.web"
    assert record["trace_id"] == TRACE.hex()
    assert record["span_id"] == SPAN.hex()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", record["@timestamp"])


def test_json_says_how_many_match_and_of_which_range(page: Page) -> None:
    page.store(*(log(f"number {number}") for number in range(7)))

    answer = page.get("/logs.json", limit="3", range="1h", query="number").json()

    assert len(answer["records"]) == 3
    assert answer["total"] == 7
    assert answer["range"]["text"] == "1h"
    assert answer["query"] == "number"


def test_json_pages_to_the_end_without_losing_or_repeating(page: Page) -> None:
    page.store(*(log(f"number {number}", ago=1 + number / 100) for number in range(25)))

    seen: list[str] = []
    before: dict[str, str] = {}
    while True:
        records = page.get("/logs.json", limit="10", total="0", **before).json()["records"]
        if not records:
            break
        seen += [record["body"]["text"] for record in records]
        before = {"before": str(records[-1]["id"])}

    assert seen == [f"number {number}" for number in range(25)]


def test_a_query_error_in_json_has_a_message_and_a_position(page: Page) -> None:
    answer = page.get("/logs.json", query="user: (alice")

    assert answer.status_code == 400
    assert answer.json()["error"]["position"] == len("user: (alice")
    assert answer.json()["error"]["message"]


def test_a_range_error_in_json_has_a_message(page: Page) -> None:
    answer = page.get("/logs.json", range="soon")

    assert answer.status_code == 400
    assert "soon" in answer.json()["error"]["message"]


def test_the_page_offers_older_records_and_gives_them_as_a_part(page: Page) -> None:
    page.store(*(log(f"number {number:03d}", ago=1 + number / 100) for number in range(130)))
    first = page.get("/logs").text
    address = re.search(r'hx-get="(/logs\?before=\d+)"', first)[1]

    part = page.client.get(address, headers={"HX-Request": "true"}).text

    assert "number 099" in first
    assert "number 100" not in first
    assert "number 100" in part
    assert "number 129" in part
    assert "<html" not in part


def test_an_older_page_stands_alone_too(page: Page) -> None:
    arrived = page.store(*(log(f"number {number}", ago=1 + number) for number in range(5)))

    text = page.get("/logs", before=str(sorted(arrived.logs)[2])).text

    assert "<html" in text
    assert "number 4" in text
    assert "number 0" not in text
    assert "Back to the newest" in text


def test_an_empty_list_says_when_the_newest_record_was(page: Page) -> None:
    page.store(log("long ago", ago=3 * 3600))

    text = page.get("/logs/empty").text

    assert "Nothing" in text
    link = re.search(r'<a href="(/logs\?[^"]+)">show it</a>', text)[1].replace("&amp;", "&")
    assert "long ago" in page.get(link).text


def test_an_empty_store_says_where_to_send(page: Page) -> None:
    text = page.get("/logs/empty").text

    assert "Nothing has arrived yet" in text
    assert "127.0.0.1:4318" in text


def test_a_query_without_any_match_offers_to_clear_it(page: Page) -> None:
    page.store(log("hello"))

    text = page.get("/logs/empty", query="goodbye").text

    assert "No record matches" in text
    assert 'href="/logs"' in text


def test_the_histogram_counts_by_level(page: Page) -> None:
    page.store(log(level="ERROR", ago=5), log(level="INFO", ago=5), log(level="INFO", ago=300))

    text = page.get("/logs/histogram").text
    data = page.get("/logs/histogram.json").json()

    assert 'class="fill-error"' in text
    assert "<b>3</b> records" in text
    assert data["total"] == 3
    assert sum(bar["counts"].get("INFO", 0) for bar in data["bars"]) == 2


def test_facets_count_the_values_of_a_field(page: Page) -> None:
    page.store(log(user="alice"), log(user="alice"), log(user="bob", service="orders"))

    fields = page.get("/logs/facets.json?field=user&field=service.name").json()["facets"]

    assert fields[0]["values"] == [{"value": "alice", "count": 2}, {"value": "bob", "count": 1}]
    assert fields[1]["values"] == [{"value": "shop", "count": 2}, {"value": "orders", "count": 1}]


def test_the_levels_of_records_are_a_facet(page: Page) -> None:
    page.store(log(level="ERROR"), log(level="INFO"), log(level="INFO"))

    (level,) = page.get("/logs/facets.json?field=log.level").json()["facets"]

    assert level["values"] == [{"value": "INFO", "count": 2}, {"value": "ERROR", "count": 1}]


def test_every_attribute_is_offered_as_a_field(page: Page) -> None:
    page.store(log(user="alice", **{"cart.items": 3}))

    text = page.get("/logs/facets").text

    assert 'data-facet="user"' in text
    assert 'data-facet="cart.items"' in text


def test_a_record_has_a_page_a_part_and_json(page: Page) -> None:
    (id_,) = page.store(log("whole", user="alice")).logs

    assert "<html" in page.get(f"/logs/{id_}").text
    part = page.client.get(f"/logs/{id_}", headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert "alice" in part
    assert page.get(f"/logs/{id_}.json").json()["body"]["text"] == "whole"


def test_a_record_that_is_not_there_is_not_found(page: Page) -> None:
    assert page.get("/logs/123").status_code == 404
    assert page.get("/logs/123.json").json()["error"]["message"].startswith("This record")


def test_a_record_s_trace_is_a_link(page: Page) -> None:
    (id_,) = page.store(log(trace_id=TRACE, span_id=SPAN)).logs

    assert f'href="/traces/{TRACE.hex()}' in page.get(f"/logs/{id_}").text


def test_an_exception_is_shown_with_its_own_frames_open(page: Page) -> None:
    (id_,) = page.store(
        log(
            "failed",
            level="ERROR",
            **{
                "exception.type": "payments.CardError",
                "exception.message": "no card",
                "exception.stacktrace": TRACEBACK,
            },
        )
    ).logs

    text = page.get(f"/logs/{id_}").text

    assert "2 library frames" in text
    assert "raised here" in text
    assert "raised below, in a library" in text
    assert "Full text" in text


def test_the_address_opens_a_record_in_the_list(page: Page) -> None:
    (id_,) = page.store(log("opened", user="alice")).logs

    text = page.get("/logs", record=str(id_)).text

    assert f'data-record="{id_}"' in text
    assert 'aria-expanded="true"' in text


def test_a_record_outside_of_the_list_opens_above_it(page: Page) -> None:
    (id_,) = page.store(log("opened", ago=7200)).logs

    text = page.get("/logs", record=str(id_)).text

    assert 'class="opened-apart"' in text


def test_what_happened_around_a_record_is_one_click_away(page: Page) -> None:
    arrived = page.store(log("before", ago=5000), log("this one", ago=4990), log("apart", ago=60))
    middle = sorted(arrived.logs)[1]

    text = page.get(f"/logs/{middle}").text
    link = re.search(r'href="([^"]+)">What happened around it', text)[1].replace("&amp;", "&")
    around = page.get(link).text

    assert "before" in around
    assert "apart" not in around


def test_a_structured_body_is_shown_and_given_as_it_is(page: Page) -> None:
    (id_,) = page.store(log({"event": "login", "tries": 3})).logs

    assert page.get(f"/logs/{id_}.json").json()["body"] == {
        "structured": {"event": "login", "tries": 3}
    }
    assert "login" in page.get("/logs").text


def test_the_reader_s_clock_is_used(page: Page) -> None:
    page.store(log("here"))
    page.client.cookies.set("utc_offset", "330")

    text = page.get("/logs").text

    exact, shown = re.search(
        r'<time datetime="\S+T(\d\d:\d\d)[^"]*"[^>]*>(\d\d:\d\d)', text
    ).groups()
    minutes = [int(part[:2]) * 60 + int(part[3:5]) for part in (exact, shown[-5:])]
    assert (minutes[1] - minutes[0]) % 1440 == 330


def test_a_nonsensical_clock_is_not_believed(page: Page) -> None:
    page.store(log("here"))
    for offset in ("soon", "99999", "1e5", ""):
        page.client.cookies.set("utc_offset", offset)

        assert page.get("/logs").status_code == 200


def test_numbers_that_are_none_do_no_harm(page: Page) -> None:
    page.store(log("here"))

    for wrong in ("-1", "²", "1.5", "9" * 40, "x"):
        answer = page.get("/logs", before=wrong, record=wrong)

        assert answer.status_code == 200
        assert "here" in answer.text


def test_behind_a_message_the_caller_s_own_fields_come_first(page: Page) -> None:
    page.store(
        log("Request GET", **{"http.route": "/cart", "http.request.method": "GET"}, user="alice")
    )

    line = re.search(r'class="message".*?</a>', page.get("/logs").text)[0]

    assert line.index("alice") < line.index("/cart")
    assert "http.request.method" not in line


def test_fields_of_the_process_are_offered_apart(page: Page) -> None:
    page.store(log(user="alice", resource={"host.name": "desk"}))

    text = page.get("/logs/facets").text

    assert text.index('data-facet="user"') < text.index("Process and code")
    assert text.index("Process and code") < text.index('data-facet="host.name"')
