"""The Errors view, and the page of one group."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from otelbridge import schema
from otelbridge.error_groups import identify
from otelbridge.model import LogRecord
from otelbridge.records.exceptions import exception_fields
from tests.web.conftest import Page
from tests.web.samples import TRACEBACK, log

FINGERPRINT = "0123456789abcdef"
OTHER = "fedcba9876543210"


def error(
    fingerprint: str = FINGERPRINT, *, ago: float = 5.0, service: str = "shop", **attributes: Any
) -> LogRecord:
    """An error record as the library's own senders make it."""
    own = {
        "exception.type": "payments.CardError",
        "exception.message": "no card",
        "exception.stacktrace": TRACEBACK,
        schema.FINGERPRINT: fingerprint,
        schema.TRACEBACK_MINIMAL: "shop/payments.py:14 in charge - payments.CardError: no card",
    }
    return log("cannot pay", level="ERROR", service=service, ago=ago, **{**own, **attributes})


def groups(page: Page, **parameters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.get("/errors.json", **parameters).json()["groups"]
    return found


def say(page: Page, state: str, fingerprint: str = FINGERPRINT) -> int:
    return page.client.post(f"/errors/{fingerprint}/state", json={"state": state}).status_code


def links(html: str, path: str) -> list[str]:
    """The addresses of this view that a page links to."""
    return [
        unescape(found) for found in re.findall(r'href="([^"]+)"', html) if found.startswith(path)
    ]


# --- the list -------------------------------------------------------------------------------------


def test_a_group_is_one_row_with_what_where_and_how_often(page: Page) -> None:
    page.store(error(ago=9, user="ann"), error(user="bob"), error(OTHER, ago=7), log("no error"))

    first, second = groups(page)

    assert first["fingerprint"] == FINGERPRINT
    assert (first["type"], first["message"]) == ("payments.CardError", "no card")
    assert first["where"] == "shop/payments.py:14 in charge"
    assert (first["count"], first["user_count"], first["state"]) == (2, 2, "new")
    assert sum(first["series"]) == 2
    assert second["count"] == 1
    text = page.get("/errors").text
    assert text.count("<tr data-row") == 2
    assert "<b>3</b> errors in <b>2</b> groups" in text


def test_one_error_of_two_services_is_one_group_with_two_services(page: Page) -> None:
    page.store(error(service="shop"), error(service="pay"))

    (group,) = groups(page)

    assert sorted(one["name"] for one in group["services"]) == ["pay", "shop"]
    assert 'class="service">pay<' in page.get("/errors").text


def test_an_error_without_a_frame_of_its_own_is_listed(page: Page) -> None:
    library = TRACEBACK.replace("/srv/shop/", "/usr/lib/python3.11/site-packages/shop/")
    page.store(
        error(**{"exception.stacktrace": library}),
        error(OTHER, **{"exception.stacktrace": "", schema.TRACEBACK_MINIMAL: "KeyError"}),
    )

    assert {group["fingerprint"] for group in groups(page)} == {FINGERPRINT, OTHER}
    for fingerprint in (FINGERPRINT, OTHER):
        assert page.get(f"/errors/{fingerprint}").status_code == 200


class CardError(Exception):
    """Has no card."""


def caught(error: BaseException) -> LogRecord:
    """The record of an exception as the library sends it."""
    fields = exception_fields(error)
    assert fields is not None
    return log(
        "it broke",
        level="ERROR",
        **{
            "exception.type": fields.type,
            "exception.message": fields.message,
            "exception.stacktrace": fields.stack_trace,
            **fields.attributes(),
        },
    )


def test_raised_from_another_error_the_one_raised_last_is_reported(page: Page) -> None:
    try:
        try:
            {}["alice"]
        except KeyError as error:
            raise CardError("no card") from error
    except CardError as error:
        ours = caught(error)
    # As a stock SDK sends it: without a fingerprint, given one when it arrives.
    stock = log("it broke", **{k: v for k, v in ours.attributes.items() if "otelbridge" not in k})
    identify([stock])
    page.store(ours, stock)

    for group in groups(page):
        assert group["type"].endswith("CardError")
        assert group["message"] == "no card"
        text = page.get(f"/errors/{group['fingerprint']}").text
        assert f"<h1>{group['type']}</h1>" in text
        assert "KeyError: &#39;alice&#39;" in text
        assert "direct cause of the following exception" in text


def test_the_count_is_that_of_the_list_behind_it(page: Page) -> None:
    page.store(
        *(error(ago=n, service=("shop", "pay")[n % 2], user=f"u{n % 3}") for n in range(1, 20)),
        *(error(OTHER, ago=n) for n in range(1, 5)),
        log("unlike", **{"exception.type": "KeyError"}),
    )

    for query in ("", "service.name: shop", "user: u1 or user: u2"):
        found = groups(page, query=query)
        assert found
        text = page.get("/errors", query=query).text
        addresses = links(text.partition("<main")[2], "/logs?")
        assert len(addresses) == len(found)
        for group, address in zip(found, addresses, strict=True):
            parts = parse_qs(urlsplit(address).query)
            behind = page.get("/logs.json", query=parts["query"][0]).json()
            assert behind["total"] == group["count"]


def test_every_number_of_a_group_is_that_of_the_list_behind_it(page: Page) -> None:
    page.store(
        *(
            error(
                ago=n,
                service=("shop", "pay")[n % 2],
                resource={"service.version": f"1.{n % 3}"},
                **{("user", "user.id", "enduser.id")[n % 3]: f"u {n % 4}"},
            )
            for n in range(1, 20)
        )
    )

    text = page.get(f"/errors/{FINGERPRINT}").text
    numbers = re.findall(r'<td><a href="([^"]+)">(\d+)</a></td>', text)

    assert len(numbers) == 2 + 3 + 4
    for address, number in numbers:
        parts = parse_qs(urlsplit(unescape(address)).query)
        behind = page.get("/logs.json", query=parts["query"][0]).json()
        assert behind["total"] == int(number)


def test_a_query_and_a_range_choose_groups(page: Page) -> None:
    page.store(error(service="pay"), error(OTHER, service="shop"), error(OTHER, ago=7200))

    assert [g["fingerprint"] for g in groups(page, query="service.name: pay")] == [FINGERPRINT]
    (old,) = groups(page, query=f'"{OTHER}"', range="1d")
    assert old["count"] == 2
    assert page.get("/errors", query="(").status_code == 400
    assert page.get("/errors.json", range="never").status_code == 400


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("last_seen", [FINGERPRINT, OTHER]),
        ("count", [OTHER, FINGERPRINT]),
        ("first_seen", [FINGERPRINT, OTHER]),
    ],
)
def test_groups_are_sorted(page: Page, sort: str, expected: list[str]) -> None:
    page.store(error(ago=1), error(OTHER, ago=20), error(OTHER, ago=30))

    assert [group["fingerprint"] for group in groups(page, sort=sort)] == expected


def test_another_order_or_state_is_refused(page: Page) -> None:
    assert page.get("/errors", sort="size").status_code == 400
    assert page.get("/errors.json", state="forgotten").status_code == 400


def test_an_empty_list_says_where_the_newest_error_is(page: Page) -> None:
    assert "Nothing went wrong" in page.get("/errors").text
    page.store(error(ago=7200))

    text = page.get("/errors").text

    assert "No error in the last 15m" in " ".join(text.split())
    (around,) = [address for address in links(text, "/errors?range=") if "Z" in address]
    assert FINGERPRINT in page.get(around).text


# --- states ---------------------------------------------------------------------------------------


def test_a_state_is_kept_and_chooses_what_is_listed(page: Page) -> None:
    page.store(error(), error(OTHER))

    assert say(page, "resolved") == 200
    assert say(page, "seen", OTHER) == 200

    assert [g["fingerprint"] for g in groups(page)] == [OTHER]
    assert [g["fingerprint"] for g in groups(page, state="resolved")] == [FINGERPRINT]
    assert [g["state"] for g in groups(page, state="all", sort="count")].count("seen") == 1
    assert say(page, "ignored", OTHER) == 200
    assert groups(page) == []
    assert "of another state" in page.get("/errors").text
    assert say(page, "new", OTHER) == 200
    assert [g["state"] for g in groups(page)] == ["new"]


def test_a_resolved_error_that_returns_is_reopened(page: Page) -> None:
    page.store(error(ago=60))
    say(page, "resolved")
    assert groups(page) == []

    # Sent late, out of a spool: it happened before.
    page.store(error(ago=30))
    assert groups(page) == []
    page.store(error(ago=-1))

    (group,) = groups(page)
    assert group["state"] == "reopened"
    assert "reopened" in page.get(f"/errors/{FINGERPRINT}").text
    say(page, "resolved")
    assert groups(page) == []


def test_an_ignored_error_that_returns_stays_ignored(page: Page) -> None:
    page.store(error(ago=60))
    say(page, "ignored")

    page.store(error(ago=-1))

    assert groups(page) == []


def test_states_outlive_the_bridge(open_page: Callable[..., Page]) -> None:
    first = open_page()
    first.store(error())
    say(first, "ignored")
    portal = first.client.portal
    assert portal is not None
    portal.call(first.bridge.store.close)

    second = open_page()

    assert [group["state"] for group in groups(second, state="all")] == ["ignored"]


def test_the_buttons_of_a_page_lead_back_to_it(page: Page) -> None:
    page.store(error())
    text = page.get("/errors", range="1h").text
    back = unescape(re.findall(r'name="back" value="([^"]+)"', text)[0])

    answer = page.client.post(
        f"/errors/{FINGERPRINT}/state",
        data={"state": "resolved", "back": back},
        follow_redirects=False,
    )

    assert answer.status_code == 303
    assert answer.headers["location"] == "/errors?range=1h"


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/errorsome", ""])
def test_they_lead_nowhere_else(page: Page, back: str) -> None:
    page.store(error())

    answer = page.client.post(
        f"/errors/{FINGERPRINT}/state", data={"state": "seen", "back": back}, follow_redirects=False
    )

    assert answer.headers["location"] == f"/errors/{FINGERPRINT}"


def test_a_state_there_is_not_is_refused(page: Page) -> None:
    page.store(error())

    assert say(page, "forgiven") == 400
    assert page.client.post(f"/errors/{FINGERPRINT}/state", content=b"\xff{").status_code == 400
    assert say(page, "seen", OTHER) == 404


def test_a_state_asks_for_the_token_and_takes_no_foreign_form(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(token="a-token-of-some-length")
    page.store(error())
    address = f"/errors/{FINGERPRINT}/state"
    bearer = {"Authorization": "Bearer a-token-of-some-length"}

    assert page.client.post(address, json={"state": "seen"}).status_code == 401
    foreign = {**bearer, "Sec-Fetch-Site": "cross-site"}
    assert page.client.post(address, json={"state": "seen"}, headers=foreign).status_code == 403
    assert page.client.post(address, json={"state": "seen"}, headers=bearer).status_code == 200


def test_a_state_that_cannot_be_kept_is_an_error_and_not_shown(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.store(error())

    def fail(data: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page.bridge.error_states._file, "save", fail)

    answer = page.client.post(f"/errors/{FINGERPRINT}/state", json={"state": "seen"})

    assert answer.status_code == 503
    assert "No space left" in answer.text
    assert [group["state"] for group in groups(page)] == ["new"]


# --- one group ------------------------------------------------------------------------------------


def test_a_group_shows_its_newest_error_and_where_else_to_look(page: Page) -> None:
    trace = bytes(range(16))
    page.store(
        error(ago=60),
        log(
            "cannot pay, newest",
            level="ERROR",
            trace_id=trace,
            **{"exception.type": "payments.CardError", schema.FINGERPRINT: FINGERPRINT},
        ),
    )

    text = page.get(f"/errors/{FINGERPRINT}").text

    assert "cannot pay, newest" in text
    assert links(text, f"/traces/{trace.hex()}")
    assert links(text, "/logs?query=otelbridge.fingerprint")
    assert [link for link in links(text, "/traces?") if "by=logs" in link]


def test_own_frames_are_those_the_sender_named(page: Page) -> None:
    # By its path the last frame is a library's; the sender knows better.
    stack = (
        "Traceback (most recent call last):\n"
        '  File "/srv/shop/run.py", line 3, in run\n    call()\n'
        '  File "/venv/site-packages/shop/orders.py", line 12, in pay\n    raise Declined\n'
        "shop.Declined\n"
    )
    clean = stack.replace('  File "/srv/shop/run.py", line 3, in run\n    call()\n', "")
    page.store(error(**{"exception.stacktrace": stack, schema.TRACEBACK_CLEAN: clean}))

    text = page.get(f"/errors/{FINGERPRINT}").text

    own = re.findall(r'class="frame own[^"]*">.*?<span class="file">([^<]+)<', text, re.DOTALL)
    assert own == ["/venv/site-packages/shop/orders.py"]
    assert "1 library frame<" in text
    assert "raised here" in text


def test_source_lines_are_coloured_and_stay_text(page: Page) -> None:
    stack = (
        "Traceback (most recent call last):\n"
        '  File "/srv/shop/run.py", line 3, in run\n    return show("<b>&")  # <i>\n'
        "           ^^^^^^^^^^^\nshop.Declined\n"
    )
    page.store(error(**{"exception.stacktrace": stack}))

    text = page.get(f"/errors/{FINGERPRINT}").text

    [shown] = re.findall(r"</div>\s*<pre>(.*?)</pre>", text, re.DOTALL)
    assert shown == (
        '<span class="code"><span class="keyword">return</span> show('
        '<span class="string">&#34;&lt;b&gt;&amp;&#34;</span>)  '
        '<span class="comment"># &lt;i&gt;</span></span>\n'
        '<span class="carets">       ^^^^^^^^^^^</span>\n'
    )


def test_local_variables_are_shown_where_they_were_recorded(page: Page) -> None:
    variables = [
        {"frame": "shop/run.py:3 in run", "variables": {"count": "7"}},
        {"frame": "shop/orders.py:12 in pay", "variables": {"user": "'<b>ann</b>'"}},
    ]
    page.store(error(**{schema.ERROR_VARIABLES: variables}))

    text = page.get(f"/errors/{FINGERPRINT}").text

    assert text.index("shop/orders.py:12 in pay</summary>") < text.index("shop/run.py:3 in run</s")
    assert "&#39;&lt;b&gt;ann&lt;/b&gt;&#39;" in text


@pytest.mark.parametrize("variables", ["text", [1, None], [{"variables": "x"}], {"frame": 1}])
def test_variables_that_are_none_are_left_out(page: Page, variables: Any) -> None:
    page.store(error(**{schema.ERROR_VARIABLES: variables}))

    answer = page.get(f"/errors/{FINGERPRINT}")

    assert answer.status_code == 200
    assert "Local variables" not in answer.text


def test_a_group_without_errors_in_the_range_shows_its_last_one(page: Page) -> None:
    page.store(error(ago=7200))

    text = page.get(f"/errors/{FINGERPRINT}").text

    assert "show the last" in text
    assert "cannot pay" in text
    document = page.get(f"/errors/{FINGERPRINT}.json").json()
    assert document["count"] == 0
    assert document["last_seen"] == document["first_seen"]


@pytest.mark.parametrize("wrong", [{"query": "("}, {"range": "never"}])
def test_a_group_asked_for_with_a_wrong_query_is_still_shown(
    page: Page, wrong: dict[str, str]
) -> None:
    page.store(error())

    answer = page.get(f"/errors/{FINGERPRINT}", **wrong)

    assert answer.status_code == 400
    assert "cannot pay" in answer.text
    assert 'role="alert"' in answer.text


def test_a_group_of_which_nothing_is_stored_is_not_found(page: Page) -> None:
    assert page.get(f"/errors/{FINGERPRINT}").status_code == 404
    assert page.get(f"/errors/{FINGERPRINT}.json").status_code == 404


def test_an_error_of_another_road_is_found_by_its_type_whatever_characters_it_has(
    page: Page,
) -> None:
    kind = 'a/b "c" <d>?&#'
    page.store(log("odd", level="ERROR", **{"exception.type": kind}))
    (group,) = groups(page)

    (address,) = [
        link for link in links(page.get("/errors").text, "/errors/") if "state" not in link
    ]

    assert quote(kind, safe="") in address
    assert "odd" in page.get(address).text
    assert say(page, "seen", quote(group["fingerprint"], safe="")) == 200
    assert [one["state"] for one in groups(page)] == ["seen"]


def test_html_and_markdown_in_a_message_are_text(page: Page) -> None:
    evil = "<img src=x onerror=alert(1)> *bold* [link](https://evil.example) `code`"
    page.store(error(**{"exception.message": evil}))

    for address in ("/errors", f"/errors/{FINGERPRINT}"):
        text = page.get(address).text

        assert "<img" not in text
        assert (
            "&lt;img src=x onerror=alert(1)&gt; *bold* [link](https://evil.example) `code`" in text
        )


def test_a_traceback_of_ten_megabytes_is_shown_by_its_ends(page: Page) -> None:
    middle = "x" * 99 + "\n"
    stack = TRACEBACK.replace("    card = vault.load(user)\n", middle * 100_000)
    page.store(error(**{"exception.stacktrace": stack}))

    answer = page.get(f"/errors/{FINGERPRINT}")

    assert len(answer.text) < 2_000_000
    assert "left out here" in answer.text
    assert "raise CardError" in answer.text


def test_a_deep_recursion_is_shown(page: Page) -> None:
    def walk(depth: int) -> int:
        return walk(depth + 1)

    try:
        walk(0)
    except RecursionError as error:
        page.store(caught(error))

    (group,) = groups(page)

    assert group["type"] == "RecursionError"
    assert re.search(r"repeated \d+ more times", page.get(f"/errors/{group['fingerprint']}").text)


def test_an_error_that_was_never_raised_is_listed(page: Page) -> None:
    page.store(caught(CardError("only made")))

    (group,) = groups(page)

    assert group["message"] == "only made"
    assert "only made" in page.get(f"/errors/{group['fingerprint']}").text


def test_a_record_leads_to_its_group(page: Page) -> None:
    page.store(error())
    (record,) = page.get("/logs.json").json()["records"]

    assert links(page.get(f"/logs/{record['id']}").text, f"/errors/{FINGERPRINT}")
