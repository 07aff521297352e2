"""Traffic: a handful of customers, about ten requests a second, the same ones for a given seed.

python traffic.py --url http://127.0.0.1:5000 --rate 10 --seconds 60 --seed 7
"""

import argparse
import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

CUSTOMERS = {  # name: card; one ending in 7 has a slow bank, one in 0 has expired
    "alice": "4000111122223333",
    "bob": "4000111122224441",
    "carol": "4000111122225557",
    "Дмитрий": "4000111122226660",
    "Zoë": "4000111122227772",
}
SKUS = ("tea", "cup", "tin", "scale", "pot")
IN_FLIGHT = 16  # requests at one time, at most


def plan(seed: int) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Say what happens next: user, method, path, what ``requests`` sends with it."""
    dice = random.Random(seed)
    while True:
        user = dice.choice(list(CUSTOMERS))
        roll = dice.random()
        if roll < 0.45:
            yield user, "GET", "/products", {}
        elif roll < 0.50:
            yield user, "GET", "/products", {"params": {"sort": "best"}}
        elif roll < 0.60:
            yield user, "GET", f"/orders/{dice.getrandbits(48):012x}", {}
        else:
            basket = {sku: dice.randint(1, 3) for sku in dice.sample(SKUS, dice.randint(1, 3))}
            if dice.random() < 0.08:
                basket = {"sample": 1}
            yield user, "POST", "/checkout", {"json": {"basket": basket, "card": CUSTOMERS[user]}}


def send(url: str, user: str, method: str, path: str, more: dict[str, Any]) -> str:
    """Send one request and put its outcome in a word."""
    try:
        answer = requests.request(
            method, f"{url}{path}", auth=(user.encode(), b"secret"), timeout=10, **more
        )
    except requests.RequestException:
        return "unanswered"
    return {402: "declined", 404: "not found"}.get(
        answer.status_code, "ok" if answer.ok else "failed"
    )


def report(outcomes: Counter[str]) -> None:
    parts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{outcomes.total():>6} requests: {parts}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Customers for the demo shop.")
    parser.add_argument("--url", default="http://127.0.0.1:5000", help="the gateway's address")
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this long")
    parser.add_argument("--seed", type=int, default=7, help="the same seed, the same customers")
    options = parser.parse_args()

    outcomes: Counter[str] = Counter()
    slots = threading.Semaphore(IN_FLIGHT)
    start = time.monotonic()
    next_report = start + 10

    def work(*request: Any) -> None:
        try:
            outcomes[send(options.url, *request)] += 1
        finally:
            slots.release()

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for number, request in enumerate(plan(options.seed)):
            due = start + number / options.rate
            if due - start >= options.seconds:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            slots.acquire()
            pool.submit(work, *request)
            if time.monotonic() >= next_report:
                next_report += 10
                report(outcomes)
    report(outcomes)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
