"""What a terminal is to be given."""

from __future__ import annotations

import os
from typing import TextIO


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal; false for one that cannot say."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        # A stream that only has write(), or that is closed.
        return False


def wants_colour(stream: TextIO) -> bool:
    """Tell whether colours belong on a stream: on a terminal, if the user does not object.

    The variables ``NO_COLOR`` and ``FORCE_COLOR`` have the last word, in this order.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"
