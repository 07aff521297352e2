"""Keeping what we note on a log record from those who would write all that stands on it.

Some formatters write every attribute of a record that is not one of Python's. What is ours goes,
once our handlers have had the record, unless one of the logger's own handlers may have use for it:
because it is ours, or because it hands records on.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any, Final

from otelbridge.records.extras import OWN_ATTRIBUTES

# Of the standard library: those that give records to others, in other threads or processes too.
_HANDING_ON: Final = frozenset({"QueueHandler", "SocketHandler", "MemoryHandler"})


def remove_own_attributes(record: logging.LogRecord, logger: logging.Logger) -> None:
    """Remove our attributes from a record, unless a handler of its logger may look for them."""
    node: logging.Logger | None = logger
    while node is not None:
        for handler in node.handlers:
            kinds: tuple[Any, Any] = type(handler), type(handler.formatter)
            if _has_use(*kinds):
                return
        node = node.parent if node.propagate else None
    forget = record.__dict__.pop
    for name in OWN_ATTRIBUTES:
        forget(name, None)


@lru_cache(maxsize=256)
def _has_use(handler: type, formatter: type) -> bool:
    if any(base.__module__.startswith("otelbridge.") for base in formatter.__mro__):
        return True
    return any(
        base.__module__.startswith("otelbridge.")
        or (base.__module__ == "logging.handlers" and base.__name__ in _HANDING_ON)
        for base in handler.__mro__
    )
