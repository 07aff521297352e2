"""What a form or a program posts: a few named texts, as a form's fields or as a JSON object."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request

from otelbridge.web.answers import BadAddressError

LARGEST_BODY = 64 * 2**10
_MOST_FIELDS = 200


async def read_posted(request: Request) -> dict[str, Any]:
    """Read a posted body: a form's fields as texts, or a JSON object as it is.

    Raises:
        HTTPException: status 413, more than :data:`LARGEST_BODY` bytes.
        BadAddressError: it is neither.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"At most {LARGEST_BODY:,} bytes are read here.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            posted = orjson.loads(body)
            if isinstance(posted, dict):
                return posted
            raise ValueError
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise BadAddressError("What was sent is neither a form nor a JSON object.") from error
