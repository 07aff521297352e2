"""Completion over what is stored."""

from __future__ import annotations

from tests.web.conftest import Page
from tests.web.samples import log, span


def labels(page: Page, text: str, **parameters: str) -> list[str]:
    answer = page.get("/complete.json", text=text, **parameters).json()
    return [completion["label"] for completion in answer["completions"]]


def test_names_of_attributes_are_offered(page: Page) -> None:
    page.store(log(user="alice"))

    assert "user" in labels(page, "us")


def test_values_of_a_field_are_offered(page: Page) -> None:
    page.store(log(user="alice"), log(user="albert"), log(user="bob"))

    assert sorted(labels(page, "user: al")) == ["albert", "alice"]


def test_only_what_stands_at_the_cursor_is_completed(page: Page) -> None:
    page.store(log(user="alice"))

    answer = page.get("/complete.json", text="us and x", cursor="2").json()
    (user,) = [found for found in answer["completions"] if found["label"] == "user"]

    assert (user["start"], user["end"]) == (0, 2)


def test_spans_have_their_own_fields(page: Page) -> None:
    page.store(span(trace_id=bytes(range(16)), **{"http.route": "/cart"}))

    assert "http.route" in labels(page, "http", signal="spans")


def test_half_typed_nonsense_offers_nothing_and_does_no_harm(page: Page) -> None:
    for text in ('user: "', "((((", "\\", "a: b: c", "😀 us", "x" * 5000):
        assert page.get("/complete.json", text=text, cursor="99999").status_code == 200
