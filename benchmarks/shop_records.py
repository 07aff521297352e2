"""A shop's log calls, as an application makes them: ``python -m benchmarks.shop_records``.

As a program it is an instrumented application that logs at a steady rate; each record says which
one it is (``number``) and when it was made (``sent``, in seconds since the epoch).
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Sequence
from typing import Any

SERVICE = "shop"

# Logger, level, message, what every such record carries; the order and the user differ.
_CALLS: tuple[tuple[str, int, str, dict[str, Any]], ...] = (
    ("shop.cart", logging.INFO, "Order %s accepted for %s, %d items", {"status": "success"}),
    ("shop.stock", logging.INFO, "Reserved for order %s of %s: %d items", {"status": "success"}),
    ("shop.payment", logging.INFO, "Order %s of %s authorised in %d ms", {"code": 201}),
    ("shop.mail", logging.DEBUG, "Order %s: to %s after %d attempts", {"status": "queued"}),
    ("shop.payment", logging.WARNING, "Order %s of %s is slow: %d ms", {"code": 200}),
    ("shop.payment", logging.ERROR, "Order %s of %s declined after %d ms", {"error_code": "PAY-7"}),
)


def log(number: int) -> None:
    """Make the shop's log call of that number."""
    name, level, message, more = _CALLS[number % len(_CALLS)]
    order, user = f"A-{number:08d}", f"user{number % 4999:04d}"
    logging.getLogger(name).log(
        level,
        message,
        order,
        user,
        number % 97,
        extra={
            "user": user,
            "order_id": order,
            "amount": number % 9973 / 100,
            "number": number,
            "sent": time.time(),
            **more,
        },
    )


def at_rate(rate: float, total: int) -> float:
    """Make log calls at a steady rate.

    Returns:
        The seconds by which the last came after its moment.
    """
    start, late = time.monotonic(), 0.0
    for number in range(total):
        wait = start + number / rate - time.monotonic()
        if wait > 0.001:
            time.sleep(wait)
        late = max(0.0, -wait)
        log(number)
    return late


def main(arguments: Sequence[str] | None = None) -> None:
    import otelbridge

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, required=True, help="log calls a second")
    parser.add_argument("--total", type=int, required=True, help="log calls in all")
    given = parser.parse_args(arguments)
    handle = otelbridge.instrument(service_name=SERVICE)
    shop = logging.getLogger("shop")
    shop.setLevel(logging.DEBUG)
    shop.addHandler(logging.NullHandler())  # or warnings would be printed as well
    late = at_rate(given.rate, given.total)
    flushed = handle.flush(30.0)
    handle.shutdown(30.0)
    print(json.dumps({"late": late, "flushed": flushed}))


if __name__ == "__main__":
    main()
