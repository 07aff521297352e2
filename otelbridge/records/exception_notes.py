"""What is known of an exception beyond itself, kept in it so that nothing else holds on to it."""

from __future__ import annotations

from typing import Any


def note(exception: BaseException, mark: str, value: Any) -> None:
    """Keep something with an exception, unless it is kept already."""
    try:
        BaseException.__getattribute__(exception, "__dict__").setdefault(mark, value)
    except Exception:
        # A class without a place for it; then it is not known.
        return


def forget(exception: BaseException, *marks: str) -> None:
    """Forget what was kept with an exception."""
    try:
        kept = BaseException.__getattribute__(exception, "__dict__")
    except Exception:
        return  # then nothing was
    for mark in marks:
        kept.pop(mark, None)


def noted(exception: BaseException, mark: str) -> Any:
    """Return what was kept with an exception, or ``None``."""
    try:
        return BaseException.__getattribute__(exception, "__dict__").get(mark)
    except Exception:
        return None
