"""Two services in one script: a shop whose checkout asks a payment service, which fails.

Run as ``failing_shop.py payments PORT_FILE`` and ``failing_shop.py shop PAYMENTS_URL``.
"""

from __future__ import annotations

import logging
import sys
import urllib.error
import urllib.request
from pathlib import Path

from flask import Flask
from opentelemetry import propagate, trace
from werkzeug.serving import make_server

import otelbridge

log = logging.getLogger("shop")


class CardError(Exception):
    """The bank said no."""


def charge(user: str) -> None:
    balance = {"alice": 3}[user]
    if balance < 10:
        raise CardError(f"{user} has {balance}, needs 10")


def payments(port_file: str) -> None:
    """Serve one request, then send what was recorded and end."""
    app = Flask("payments")
    handle = otelbridge.instrument(app, service_name="payments")

    @app.post("/pay")
    def pay() -> str:
        log.info("asking the bank", extra={"user": "alice"})
        charge("alice")
        return "paid"

    server = make_server("127.0.0.1", 0, app)
    Path(port_file).write_text(str(server.server_port))
    server.handle_request()
    assert handle.flush(10)
    handle.shutdown()


def shop(payments_url: str) -> None:
    """Handle one checkout, then send what was recorded and end."""
    app = Flask("shop")
    handle = otelbridge.instrument(app, service_name="shop")

    @app.post("/checkout")
    def checkout() -> tuple[str, int]:
        with trace.get_tracer("shop").start_as_current_span("POST", kind=trace.SpanKind.CLIENT):
            headers: dict[str, str] = {}
            propagate.inject(headers)
            request = urllib.request.Request(payments_url + "/pay", b"", headers)
            try:
                urllib.request.urlopen(request, timeout=10)
            except urllib.error.HTTPError as error:
                log.error("checkout failed", extra={"user": "alice", "error_code": "E_PAY"})
                return f"payment answered {error.code}", 502
        return "done", 200

    assert app.test_client().post("/checkout").status_code == 502
    assert handle.flush(10)
    handle.shutdown()


if __name__ == "__main__":
    {"payments": payments, "shop": shop}[sys.argv[1]](sys.argv[2])
