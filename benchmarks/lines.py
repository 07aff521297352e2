"""Send JSON lines by UDP at a steady rate: ``python -m benchmarks.lines``.

One line is one datagram, as ``otelbridge.UDPHandler`` writes it, with its running number.
"""

from __future__ import annotations

import argparse
import socket
import time
from datetime import datetime, timezone

from benchmarks.batches import Ids, order_number

_LINE = (
    '{"@timestamp":"%s","log.level":"info","message":"Order %s accepted for user%04d, 3 items in'
    ' basket","ecs.version":"8.11.0","log.logger":"shop.cart","log.origin.file.name":'
    '"/srv/app/shop/cart.py","log.origin.file.line":41,"log.origin.function":"handle_cart",'
    '"process.pid":4001,"process.thread.name":"MainThread","service.name":"orders",'
    '"service.node.name":"%s","host.name":"node-1","trace.id":"%s","span.id":"%s",'
    '"log.record.uid":"%s","user":"user%04d","status":"success","code":200,"event.sequence":%d}'
)


def send_lines(address: tuple[str, int], node: str, rate: float, total: int, seed: int) -> None:
    """Send ``total`` lines of one sender, ``rate`` a second, ten at a time."""
    ids = Ids(seed)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        begin = time.monotonic()
        for number in range(total):
            if number % 10 == 0:
                wait = begin + number / rate - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
            now = time.time_ns()
            stamp = datetime.fromtimestamp(now / 1e9, timezone.utc).isoformat()
            line = _LINE % (
                stamp,
                order_number(number),
                number % 5000,
                node,
                ids.log_trace(number).hex(),
                ids.span(number).hex(),
                ids.uid(number, now),
                number % 5000,
                number + 1,
            )
            out.sendto(line.encode(), address)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--node", default="bench-1")
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--total", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=3)
    given = parser.parse_args()
    send_lines(("127.0.0.1", given.port), given.node, given.rate, given.total, given.seed)


if __name__ == "__main__":
    main()
