"""Errors in the start and the end of an ASGI app, which its server learns of as text."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Send

    from otelbridge.frameworks.wiring import Wiring


def tell_lifespan_errors(send: Send, logger: str, wiring: Wiring) -> Send:
    """Report an error in an app's lifespan when the app tells its server of it.

    There is no span around a lifespan: whatever is started in it, and works for as long as the app
    does, would belong to its trace for ever.

    Args:
        send: what the app tells its server by.
        logger: the name that the error's record gets.
        wiring: reports it.

    Returns:
        What the app is to tell its server by instead.
    """

    async def send_reported(message: Message) -> None:
        if message["type"] in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            # Starlette tells it while the exception is handled.
            error = sys.exc_info()[1]
            errors = wiring.errors()
            if isinstance(error, Exception) and errors is not None:
                starts = message["type"] == "lifespan.startup.failed"
                errors.report(
                    error,
                    logger=logger,
                    said=f"Exception in the app's {'startup' if starts else 'shutdown'}",
                    level=logging.CRITICAL if starts else logging.ERROR,
                )
                errors.repetitions.expect(str(message.get("message", "")))
        await send(message)

    return send_reported
