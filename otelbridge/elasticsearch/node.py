"""The connection to a server, with requests compressed quickly rather than most tightly."""

from __future__ import annotations

import gzip
import ipaddress
from typing import Any, Final

from elastic_transport import NodeConfig, Urllib3HttpNode
from elastic_transport.client_utils import DEFAULT

# The client's own is 9, which takes six times as long and saves a fifth more of records' bytes.
LEVEL: Final = 1
# What is shorter goes in one packet as it is.
SHORTEST: Final = 1400


def is_on_this_machine(host: str) -> bool:
    """Tell by its name or address whether a host is this one."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


class CompressingNode(Urllib3HttpNode):
    """Sends the bodies of requests compressed to other machines, and takes answers that are."""

    def __init__(self, config: NodeConfig) -> None:
        """Connect to nothing yet.

        Args:
            config: the server's address, and how to reach it.
        """
        super().__init__(config)
        # Between two programs of one machine it would cost time and save nothing.
        self._compresses = not is_on_this_machine(config.host)
        if self._compresses:
            self.headers["accept-encoding"] = "gzip"
        # urllib3 empties its pool as the interpreter exits, before anybody's own exit functions
        # have sent what is left; they must not wait for a connection to be put back.
        self.pool.block = False

    def perform_request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Any = None,
        request_timeout: Any = DEFAULT,
    ) -> Any:
        """Send a request and wait for its answer, as the class this is made of does."""
        if self._compresses and body and len(body) > SHORTEST:
            body = gzip.compress(body, LEVEL)
            headers = {**(headers or {}), "content-encoding": "gzip"}
        return super().perform_request(method, target, body, headers, request_timeout)
