"""The token that senders present."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode


def presents_token(authorization: str | None, token: str | None) -> bool:
    """Tell whether an ``Authorization`` header carries the token, in constant time.

    Args:
        authorization: the header, such as ``Bearer 2f6c...``, or ``Basic ...`` with the token as
            the password; ``None`` where it is missing.
        token: what is asked for; ``None`` or empty where nothing is.
    """
    if not token:
        return True
    scheme, _, presented = (authorization or "").partition(" ")
    presented = presented.strip()
    if scheme.lower() == "basic":
        presented = _password(presented)
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(presented.encode(), token.encode())


def _password(credentials: str) -> str:
    """Read the password of RFC 7617's credentials; empty where they are none."""
    try:
        return b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


INGEST_UNAUTHORIZED = (
    "the ingest token is missing or wrong; send the header 'Authorization: Bearer TOKEN' "
    "(OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20TOKEN)"
)
