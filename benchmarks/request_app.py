"""The app whose requests are measured: ``python -m benchmarks.request_app``.

It has a process of its own and imports nothing but Flask and what the set-up imports, so that a
set-up may have an environment of its own. Prints what it took as JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask

from benchmarks.memory import peak_memory
from benchmarks.peers import VARIANTS

# Requests before those that are measured.
WARM_UP = 200


def run_app(
    variant: str,
    endpoint: str,
    requests: int,
    rate: float,
    begins: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Serve requests; ``begins`` is called when all is warmed up.

    Args:
        requests: how many are measured.
        rate: how many a second; 0 asks again as soon as there is an answer.

    Returns:
        Seconds that one took: of the processor, and the answer's median and 99th percentile; the
        process's largest memory in bytes; how many of the app's log records are
        in a file.
    """
    app = Flask("bench")
    logger = logging.getLogger("shop.orders")

    @app.get("/orders/<order_id>")
    def order(order_id: str) -> dict[str, str]:
        logger.info(
            "Order %s accepted", order_id, extra={"user": "alice", "status": "success", "code": 200}
        )
        logger.warning(
            "Stock of order %s is low", order_id, extra={"user": "alice", "items": 3, "left": 0.5}
        )
        return {"order": order_id}

    with tempfile.TemporaryDirectory() as folder:
        running = VARIANTS[variant].setup(app, endpoint, folder)

        def start_response(*_: object) -> object:
            return lambda _: None

        def call(number: int) -> None:
            environ = {
                "REQUEST_METHOD": "GET",
                "SCRIPT_NAME": "",
                "PATH_INFO": f"/orders/{number}",
                "QUERY_STRING": "verbose=1",
                "SERVER_NAME": "127.0.0.1",
                "SERVER_PORT": "8000",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "REMOTE_ADDR": "10.0.0.7",
                "HTTP_HOST": "shop.example:8000",
                "HTTP_USER_AGENT": "benchmark/1.0",
                "HTTP_ACCEPT": "*/*",
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "http",
                "wsgi.input": io.BytesIO(),
                "wsgi.errors": sys.stderr,
                "wsgi.multithread": True,
                "wsgi.multiprocess": True,
                "wsgi.run_once": False,
            }
            answer = app(environ, start_response)
            for _ in answer:
                pass
            close = getattr(answer, "close", None)
            if close:
                close()

        for number in range(WARM_UP):
            call(number)
        # The first delivery loads what delivers; that is the start's cost, not a request's.
        running.flush()
        latencies = []
        begins()
        cpu, begin = time.process_time(), time.perf_counter()
        for number in range(requests):
            if rate:
                wait = begin + number / rate - time.perf_counter()
                if wait > 0:
                    time.sleep(wait)
            before = time.perf_counter()
            call(number)
            latencies.append(time.perf_counter() - before)
        running.finish()
        cpu = time.process_time() - cpu
        # Before the files are looked through, which needs memory as well.
        memory = peak_memory()
        written = sum(_app_records(path) for path in Path(folder).iterdir())
    latencies.sort()
    return {
        "cpu": cpu / requests,
        "p50": latencies[requests // 2],
        "p99": latencies[requests * 99 // 100],
        "memory": memory,
        "written": written,
    }


def _app_records(path: Path) -> int:
    """How many of the app's log records a file has, a line each."""
    with path.open("rb") as lines:
        return sum(b"rder " in line for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("variant")
    parser.add_argument("endpoint")
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    given = parser.parse_args()
    measured = run_app(given.variant, given.endpoint, given.requests, given.rate)
    # Beside whoever has taken the place of standard output.
    print(json.dumps(measured), file=sys.__stdout__, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
