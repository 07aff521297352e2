"""Payments: charges cards, once for each order.

A card ending in 7 belongs to a slow bank; everybody has a limit. A charge is kept under its
order's number, so that a caller who gave up waiting can safely ask again.
"""

import logging
import os
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from flask import Flask, jsonify, request

import otelbridge

DATABASE = Path(os.environ.get("SHOP_DATA", tempfile.gettempdir())) / "payments.db"
LIMIT = 250_00  # cents
SLOW_BANK = 0.8  # seconds


class DeclinedError(Exception):
    """The bank said no."""

    def __init__(self, error_code: str) -> None:
        super().__init__(f"the bank declined: {error_code}")
        self.error_code = error_code


def database() -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(DATABASE, timeout=10, isolation_level=None))


with database() as db:
    db.execute(
        "CREATE TABLE IF NOT EXISTS charges"
        " (order_id TEXT PRIMARY KEY, user TEXT, cents INTEGER, made REAL)"
    )

app = Flask(__name__)
otelbridge.instrument(app)

log = logging.getLogger(__name__)


def ask_bank(card: str, cents: int) -> None:
    if card.endswith("7"):
        log.debug("the bank of card …%s is slow", card[-4:])
        time.sleep(SLOW_BANK)
    if card.endswith("0"):
        raise DeclinedError("card_expired")
    if cents > LIMIT:
        raise DeclinedError("limit_exceeded")


@app.post("/charges")
def charge():
    order, user = request.json["order"], request.json["user"]
    cents, card = request.json["cents"], request.json["card"]
    with database() as db:
        if db.execute("SELECT 1 FROM charges WHERE order_id = ?", (order,)).fetchone():
            log.info("order %s was charged before", order, extra={"user": user, "order": order})
            return jsonify(order=order, status="paid")
        try:
            ask_bank(card, cents)
        except DeclinedError as error:
            log.warning(
                "payment of %s declined for %s",
                f"{cents / 100:.2f}",
                user,
                extra={
                    "status": "declined",
                    "user": user,
                    "order": order,
                    "code": 402,
                    "error_code": error.error_code,
                },
            )
            return jsonify(error=error.error_code), 402
        db.execute(
            "INSERT OR IGNORE INTO charges VALUES (?, ?, ?, ?)", (order, user, cents, time.time())
        )
    log.info(
        "charged %s to %s",
        f"{cents / 100:.2f}",
        user,
        extra={"status": "success", "user": user, "order": order, "code": 200, "cents": cents},
    )
    return jsonify(order=order, status="paid")
