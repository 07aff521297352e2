"""Any HTTP endpoint: one POST with the message as JSON.

With a ``signing_key`` the request is signed as https://www.standardwebhooks.com describes: the
headers ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``, which is ``v1,`` and the
base64 of HMAC-SHA256 over ``id.timestamp.body``. ``webhook-id`` is the same when a message is sent
again, so a receiver can tell.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from otelbridge.channels.channel import ChannelSettingsError, Receipt, option
from otelbridge.channels.cutting import cut_end, cut_middle, one_line
from otelbridge.channels.http import Exchange, HTTPChannel, Request, failure_of
from otelbridge.channels.message import Message


@dataclass(frozen=True, kw_only=True)
class Webhook(HTTPChannel):
    """The message as JSON, to an address of one's own."""

    kind: ClassVar[str] = "webhook"

    url: str = option("where to POST, http(s)://...", secret=True)
    authorization: str = option(
        "the Authorization header, such as Bearer ...", default="", secret=True
    )
    signing_key: str = option(
        "the key to sign with (text, or whsec_ and base64)", default="", secret=True
    )
    max_chars: int = option("the longest text or traceback; the rest is cut", default=1_000_000)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^/\s?#]+\S*", self.url):
            raise ChannelSettingsError("webhook: url is ***; allowed: http(s)://host[:port]/path")

    @property
    def address(self) -> str:
        # A path or a query may be the secret, as it is with most services' webhooks.
        return f"webhook:{urlsplit(self.url).netloc.rpartition('@')[2]}"

    def secrets(self) -> list[str]:
        parts = urlsplit(self.url)
        after_host = urlunsplit(("", "", parts.path, parts.query, ""))
        login = parts.netloc.rpartition("@")[0]
        found = [*super().secrets(), after_host, login, login.partition(":")[2]]
        return [one for one in found if len(one) >= 4]

    def exchange(self, message: Message, arrived: str = "") -> Exchange:
        body = json.dumps(self.document(message), ensure_ascii=True).encode()
        headers = {"Content-Type": "application/json", "webhook-id": message.id}
        if self.authorization:
            headers["Authorization"] = one_line(self.authorization)
        if self.signing_key:
            stamp = str(int(time.time()))
            headers["webhook-timestamp"] = stamp
            headers["webhook-signature"] = signature(self.signing_key, message.id, stamp, body)
        answer = yield Request(url=self.url, content=body, headers=headers)
        if not 200 <= answer.status < 300:
            raise failure_of(answer, cut_end(one_line(answer.text), 200))
        return Receipt(reply=f"HTTP {answer.status}")

    def document(self, message: Message) -> dict[str, Any]:
        """Give the JSON object that is sent."""
        return {
            "version": 1,
            "id": message.id,
            "time": datetime.fromtimestamp(message.time, timezone.utc).isoformat(),
            "project": message.project,
            "severity": message.severity,
            "title": message.title,
            "text": cut_middle(message.text, self.max_chars, len),
            "traceback": cut_middle(message.traceback(), self.max_chars, len),
            "key": message.key,
            "more": message.count,
            "authors": list(message.authors),
            "link": message.link,
        }


def signature(key: str, message_id: str, stamp: str, body: bytes) -> str:
    """Sign a body; a receiver compares this with the header.

    Args:
        key: text, or ``whsec_`` and base64.
        stamp: seconds since the epoch, as sent in ``webhook-timestamp``.
    """
    secret = key.encode()
    if key.startswith("whsec_"):
        try:
            secret = base64.b64decode(key[len("whsec_") :], validate=True)
        except binascii.Error:
            secret = key.encode()
    signed = hmac.new(secret, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(signed.digest()).decode()
