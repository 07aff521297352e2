"""What is asked of an app before its framework's module is needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, TypeGuard

if TYPE_CHECKING:
    from flask import Flask

# What FastAPI calls an app that was given no title.
_NO_TITLE: Final = "FastAPI"


def is_flask(app: Any) -> TypeGuard[Flask]:
    """Tell whether an app is Flask's."""
    flask = sys.modules.get("flask")
    return flask is not None and isinstance(app, flask.Flask)


def own_name(app: Any) -> str:
    """Return the name an app has by itself, or nothing: Flask's name, FastAPI's title."""
    if is_flask(app):
        return app.name
    title = getattr(app, "title", "")
    return title if isinstance(title, str) and title != _NO_TITLE else ""
