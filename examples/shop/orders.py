"""Orders: the catalogue, the best sellers (slow on purpose), and placing an order.

Nothing here raises on purpose: the slow query lacks an index, and a basket that holds nothing
but free samples divides by zero, as real code does.
"""

import logging
import os
import sqlite3
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

import requests
from flask import Flask, jsonify, request

import otelbridge

DATABASE = Path(os.environ.get("SHOP_DATA", tempfile.gettempdir())) / "orders.db"
PAYMENTS = os.environ.get("PAYMENTS_URL", "http://127.0.0.1:5002")
PATIENCE = 0.5  # seconds to wait for payments, and before asking again

PRODUCTS = {  # sku: (name, cents)
    "tea": ("Assam, 250 g", 12_50),
    "pot": ("Cast-iron teapot", 89_00),
    "cup": ("Stoneware cup", 14_00),
    "tin": ("Tea tin", 9_90),
    "scale": ("Pocket scale", 34_00),
    "sample": ("Free sample", 0),
}

# The slow query: no index on sales, so each of the 72 answers reads every sale.
BEST_SELLERS = """
WITH RECURSIVE weeks(week) AS (SELECT 0 UNION ALL SELECT week + 1 FROM weeks WHERE week < 11)
SELECT week, name,
    (SELECT sum(quantity) FROM sales WHERE sales.sku = products.sku AND day / 7 = week) AS sold
FROM weeks, products ORDER BY week, sold DESC
"""


class PricingError(Exception):
    """A basket has no price."""


class PaymentsSilentError(Exception):
    """Payments did not answer, however often it was asked."""


def database() -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(DATABASE, timeout=10, isolation_level=None))


def create() -> None:
    """Make the database, once, whichever worker comes first."""
    skus = list(PRODUCTS)
    with database() as db:
        db.execute("BEGIN IMMEDIATE")
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            db.execute("CREATE TABLE products (sku TEXT PRIMARY KEY, name TEXT, cents INTEGER)")
            db.execute("CREATE TABLE sales (sku TEXT, quantity INTEGER, day INTEGER)")
            db.execute(
                "CREATE TABLE orders (id TEXT PRIMARY KEY, user TEXT, cents INTEGER, status TEXT)"
            )
            db.executemany(
                "INSERT INTO products VALUES (?, ?, ?)",
                [(sku, name, cents) for sku, (name, cents) in PRODUCTS.items()],
            )
            db.executemany(
                "INSERT INTO sales VALUES (?, ?, ?)",
                ((skus[n * 7919 % len(skus)], n % 4 + 1, n % 365) for n in range(150_000)),
            )
        db.execute("COMMIT")


create()

app = Flask(__name__)
otelbridge.instrument(app)

log = logging.getLogger(__name__)


@app.get("/products")
def products():
    with database() as db:
        if request.args.get("sort") == "best":
            rows = db.execute(BEST_SELLERS).fetchall()
            return jsonify(
                [{"week": week, "name": name, "sold": sold} for week, name, sold in rows]
            )
        rows = db.execute("SELECT sku, name, cents FROM products").fetchall()
    return jsonify([{"sku": sku, "name": name, "cents": cents} for sku, name, cents in rows])


@app.get("/orders/<order_id>")
def order(order_id: str):
    with database() as db:
        row = db.execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
    if row is None:
        log.info("no order %s", order_id, extra={"status": "missing", "code": 404})
        return jsonify(error="no such order"), 404
    return jsonify(dict(zip(("id", "user", "cents", "status"), row, strict=True)))


@app.post("/orders")
def place():
    user, basket, card = request.json["user"], request.json["basket"], request.json["card"]
    order_id = uuid.uuid4().hex[:12]
    cents = price(basket)
    log.info("order %s of %s", order_id, user, extra={"user": user, "basket": basket})
    answer = charge(order_id, user, cents, card)
    status = "paid" if answer.ok else "declined"
    with database() as db:
        db.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", (order_id, user, cents, status))
    return jsonify(id=order_id, cents=cents, **answer.json()), answer.status_code


def price(basket: dict[str, int]) -> int:
    """Add up a basket; whoever buys three or more gets half an average line off."""
    paid = [PRODUCTS[sku][1] * quantity for sku, quantity in basket.items() if PRODUCTS[sku][1]]
    count = sum(basket.values())
    try:
        average = sum(paid) // len(paid)
    except ZeroDivisionError as error:
        raise PricingError(f"no price for a basket of {', '.join(basket)}") from error
    return sum(paid) - (average // 2 if count >= 3 else 0)


def charge(order_id: str, user: str, cents: int, card: str) -> requests.Response:
    """Ask payments for the money; ask again if it takes too long."""
    body = {"order": order_id, "user": user, "cents": cents, "card": card}
    for attempt in (1, 2, 3):
        try:
            return requests.post(f"{PAYMENTS}/charges", json=body, timeout=PATIENCE)
        except requests.Timeout:
            log.warning(
                "payments took longer than %s s, attempt %d of 3",
                PATIENCE,
                attempt,
                extra={"user": user, "order": order_id, "error_code": "payment_timeout"},
            )
            time.sleep(PATIENCE)
    raise PaymentsSilentError(f"order {order_id} could not be charged")
