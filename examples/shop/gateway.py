"""Gateway: what the shop's customers talk to. It knows the user and passes everything on."""

import logging
import os

import requests
from flask import Flask, jsonify, request

import otelbridge

app = Flask(__name__)
otelbridge.instrument(app)

log = logging.getLogger(__name__)

ORDERS = os.environ.get("ORDERS_URL", "http://127.0.0.1:5001")


@app.get("/products")
def products():
    answer = requests.get(f"{ORDERS}/products", params=request.args, timeout=5)
    return jsonify(answer.json()), answer.status_code


@app.get("/orders/<order_id>")
def order(order_id: str):
    answer = requests.get(f"{ORDERS}/orders/{order_id}", timeout=5)
    return jsonify(answer.json()), answer.status_code


@app.post("/checkout")
def checkout():
    user = request.authorization.username if request.authorization else "guest"
    answer = requests.post(f"{ORDERS}/orders", json={"user": user, **request.json}, timeout=5)
    if answer.status_code == 402:
        log.warning(
            "checkout of %s was declined",
            user,
            extra={
                "status": "declined",
                "user": user,
                "code": 402,
                "error_code": answer.json()["error"],
            },
        )
    elif not answer.ok:
        log.error(
            "checkout of %s failed",
            user,
            extra={
                "status": "critical",
                "user": user,
                "code": answer.status_code,
                "error_code": "order_failed",
            },
        )
        return jsonify(error="we could not take your order"), 502
    else:
        log.info("checkout of %s", user, extra={"status": "success", "user": user, "code": 200})
    return jsonify(answer.json()), answer.status_code
