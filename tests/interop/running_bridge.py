"""A running bridge as a sender and a reader see it: its receivers' addresses, and its HTTP API."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

FIND_SECONDS = 60.0


@dataclass(frozen=True)
class Bridge:
    """A running bridge's ports, and its API."""

    grpc: int
    http: int
    web: int

    def endpoint(self, protocol: str) -> str:
        """``host:port`` of the receiver for a protocol, named as OpenTelemetry names it."""
        return f"127.0.0.1:{self.grpc if protocol == 'grpc' else self.http}"

    def ask(self, path: str, **parameters: str) -> Any:
        """Get a JSON answer of the page's server; ``None`` where it has no such thing (404)."""
        address = f"http://127.0.0.1:{self.web}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise AssertionError(f"{address}: {error.code} {error.read()!r}") from None

    def logs(self, query: str, count: int) -> list[dict[str, Any]]:
        """The logs that match, once ``count`` are there; fails where they are fewer or more."""
        deadline = time.monotonic() + FIND_SECONDS
        while True:
            answer = self.ask("/logs.json", query=query, range="1h", limit="5000")
            if answer["total"] >= count or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert answer["total"] == count, f"{answer['total']} of {count} found by {query!r}"
        assert len(answer["records"]) == count
        return answer["records"]

    def traces(self, query: str, count: int) -> list[dict[str, Any]]:
        """The traces that match, once ``count`` are there; fails where they are fewer or more."""
        deadline = time.monotonic() + FIND_SECONDS
        while True:
            found = self.ask("/traces.json", query=query, range="1h", limit="5000")["traces"]
            if len(found) >= count or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert len(found) == count, f"{len(found)} of {count} traces found by {query!r}"
        return found
