"""The shop's own logic, without servers: what it gets wrong, and how it recovers."""

from __future__ import annotations

import importlib
import logging
import sys
from itertools import islice
from pathlib import Path

import pytest

SHOP = Path(__file__).parents[2] / "examples" / "shop"


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Import one of the shop's modules afresh, with a database of its own."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("SHOP_DATA", str(tmp_path))
    monkeypatch.syspath_prepend(str(SHOP))

    def load(name: str):
        monkeypatch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        monkeypatch.delitem(sys.modules, name)
        return module

    return load


def charge(client, **changes):
    body = {"order": "o1", "user": "alice", "cents": 1000, "card": "4000111122223333", **changes}
    return client.post("/charges", json=body)


def test_a_card_is_charged(load):
    client = load("payments").app.test_client()
    answer = charge(client)
    assert (answer.status_code, answer.json["status"]) == (200, "paid")


@pytest.mark.parametrize(
    ("changes", "error_code"),
    [({"card": "4000111122226660"}, "card_expired"), ({"cents": 100_000}, "limit_exceeded")],
)
def test_a_declined_card_is_a_402_and_a_warning_with_its_error_code(
    load, caplog, changes, error_code
):
    client = load("payments").app.test_client()
    answer = charge(client, **changes)
    assert (answer.status_code, answer.json["error"]) == (402, error_code)
    [warning] = [record for record in caplog.records if record.name == "payments"]
    assert warning.levelno == logging.WARNING
    assert (warning.user, warning.code, warning.error_code) == ("alice", 402, error_code)


def test_an_order_is_charged_once_however_often_it_is_asked_for(load, monkeypatch):
    payments = load("payments")
    asked = []
    monkeypatch.setattr(payments, "ask_bank", lambda *arguments: asked.append(arguments))
    client = payments.app.test_client()
    assert [charge(client).status_code for _ in range(3)] == [200, 200, 200]
    assert len(asked) == 1


def test_a_basket_of_free_samples_has_a_real_bug_with_a_cause(load):
    orders = load("orders")
    with pytest.raises(orders.PricingError) as caught:
        orders.price({"sample": 1})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert orders.price({"tea": 1, "sample": 1}) == 12_50


def test_a_slow_payment_is_asked_for_again(load, caplog, monkeypatch):
    orders = load("orders")
    monkeypatch.setattr(orders, "PATIENCE", 0.0)
    answers = [orders.requests.Timeout(), "paid"]

    def post(*arguments, **more):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(orders.requests, "post", post)
    assert orders.charge("o1", "alice", 1000, "4000111122223333") == "paid"
    [warning] = [record for record in caplog.records if record.name == "orders"]
    assert warning.error_code == "payment_timeout"


def test_best_sellers_are_the_same_sum_an_index_would_give(load):
    orders = load("orders")
    rows = orders.app.test_client().get("/products?sort=best").json
    with orders.database() as db:
        expected = db.execute(
            "SELECT sum(quantity) FROM sales WHERE sku = 'tea' AND day / 7 = 3"
        ).fetchone()[0]
    [tea] = [row for row in rows if row["week"] == 3 and row["name"] == "Assam, 250 g"]
    assert tea["sold"] == expected
    assert len(rows) == 12 * len(orders.PRODUCTS)


def test_traffic_is_the_same_for_the_same_seed_and_reaches_every_failure(load):
    traffic = load("traffic")
    first = list(islice(traffic.plan(7), 300))
    assert first == list(islice(traffic.plan(7), 300))
    assert first != list(islice(traffic.plan(8), 300))
    assert {user for user, *_ in first} == set(traffic.CUSTOMERS)
    assert any(more.get("params") == {"sort": "best"} for *_, more in first)
    baskets = [more["json"]["basket"] for *_, more in first if "json" in more]
    assert {"sample": 1} in baskets
