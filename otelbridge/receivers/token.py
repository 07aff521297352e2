"""The token that senders present."""

from __future__ import annotations

import hmac


def presents_token(authorization: str | None, token: str | None) -> bool:
    """Tell whether an ``Authorization`` header carries the token, in constant time.

    Args:
        authorization: the header, such as ``Bearer 2f6c...``; ``None`` where it is missing.
        token: what is asked for; ``None`` or empty where nothing is.
    """
    if not token:
        return True
    scheme, _, presented = (authorization or "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(
        presented.strip().encode(), token.encode()
    )


INGEST_UNAUTHORIZED = (
    "the ingest token is missing or wrong; send the header 'Authorization: Bearer TOKEN' "
    "(OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20TOKEN)"
)
