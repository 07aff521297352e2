"""What client and server say to each other: JSON objects, one a line, with the trace in each.

A request has an ``action`` (authenticate, presence, join, msg, leave, quit), an answer a
``response`` (200, 202, 400, 401, 402, 403) and a ``text``. ``traceparent`` is W3C's: it makes the
work of both sides one trace.
"""

import json

from opentelemetry import propagate
from opentelemetry.context import Context

MOST_BYTES = 65_536


def encode(message: dict) -> bytes:
    """Write a message as a line, with the current span's trace in it."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return json.dumps({**message, **carrier}, ensure_ascii=False).encode() + b"\n"


def decode(line: bytes) -> dict:
    """Read a message.

    Raises:
        ValueError: it is not a JSON object.
    """
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError(f"a message is a JSON object, this is {type(message).__name__}")
    return message


def trace_of(message: dict) -> Context:
    """Find the trace that a message belongs to."""
    return propagate.extract({key: value for key, value in message.items() if value})
