"""Acting on modules when the program imports them, so that none is loaded for nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from wrapt import register_post_import_hook

_logger = logging.getLogger(__name__)


def when_imported(module: str, act: Callable[[], None]) -> None:
    """Act once a module is imported: now, if it is already; never, if it never is.

    A failure is logged: it must not make the program's import fail.
    """

    def hook(_: Any) -> None:
        try:
            act()
        except Exception:
            _logger.exception("could not instrument %s", module)

    register_post_import_hook(hook, module)
