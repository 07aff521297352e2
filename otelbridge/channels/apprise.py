"""Every other service: a URL of Apprise's, https://github.com/caronc/apprise/wiki.

Apprise knows more than a hundred services and each one's limits and markup. The body is given to
it as plain text, which it escapes for the service.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from otelbridge.channels.channel import Channel, ChannelError, ChannelSettingsError, Receipt, option
from otelbridge.channels.cutting import cut_bytes, cut_middle, plain
from otelbridge.channels.message import Message
from otelbridge.channels.quiet import prepare_quiet, quietly

# A service that takes less cuts what is left; one that takes files is given the whole as well.
BODY_LIMIT: Final = 30_000
_ATTACHMENT_LIMIT: Final = 5_000_000

_TYPES: Final = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}


@dataclass(frozen=True, kw_only=True)
class Apprise(Channel):
    """Any service that Apprise knows."""

    kind: ClassVar[str] = "apprise"
    timeout: ClassVar[float] = 30.0

    url: str = option("an Apprise URL, such as ntfy://topic or gotify://host/token", secret=True)

    def __post_init__(self) -> None:
        if "://" not in self.url:
            raise ChannelSettingsError("apprise: url is ***; allowed: an Apprise URL, scheme://...")

    @property
    def address(self) -> str:
        return f"apprise:{urlsplit(self.url).scheme}"

    def secrets(self) -> list[str]:
        parts = urlsplit(self.url)
        pieces = [*parts.netloc.replace("@", ":").split(":"), *parts.path.split("/")]
        return [*super().secrets(), *(piece for piece in pieces if len(piece) >= 6)]

    def prepare(self) -> None:
        prepare_quiet()
        import apprise  # noqa: F401

    def send(self, message: Message) -> Receipt:
        service, library = self._service()
        with quietly(), _arguments(message, self.timeout) as arguments:
            result = service.notify(**arguments)
        return _receipt(result, library)

    async def send_async(self, message: Message) -> Receipt:
        import asyncio  # whoever waits for this has it loaded already; others need not

        # Apprise takes a good while to load; reading the URL loads the service's own module.
        service, library = await asyncio.to_thread(self._service)
        with quietly(), _arguments(message, self.timeout) as arguments:
            result = await service.async_notify(**arguments)
        return _receipt(result, library)

    def _service(self) -> tuple[Any, Any]:
        try:
            import apprise
        except ImportError:
            raise ChannelError(
                "apprise is not installed: pip install 'otelbridge[notify]'", failure="gone"
            ) from None
        service = apprise.Apprise()
        if not service.add(self.url):
            scheme = urlsplit(self.url).scheme
            raise ChannelError(
                f"Apprise cannot read this {scheme}:// URL; see the service's page in its wiki",
                failure="gone",
            )
        return service, apprise


@contextmanager
def _arguments(message: Message, timeout: float) -> Iterator[dict[str, Any]]:
    authors = " ".join(message.authors)
    parts = [message.text, message.traceback(), message.more, message.link or "", authors]
    whole = "\n\n".join(plain(part).strip() for part in parts if part.strip())
    body = cut_middle(whole, BODY_LIMIT, len)
    arguments: dict[str, Any] = {
        "title": plain(message.heading),
        "body": body or plain(message.heading),
        "notify_type": _TYPES[message.severity],
        "body_format": "text",
        "timeout": timeout,
    }
    if body == whole:
        yield arguments
        return
    with tempfile.TemporaryDirectory(prefix="otelbridge-") as folder:
        path = Path(folder) / "message.txt"
        path.write_bytes(cut_bytes(whole, _ATTACHMENT_LIMIT))
        yield {**arguments, "attach": str(path)}


def _receipt(result: Any, library: Any) -> Receipt:
    if result:
        return Receipt(reply="accepted")
    lines = [str(getattr(entry, "message", entry)) for entry in result.logs()]
    said = lines[-1] if lines else "Apprise could not deliver it and does not say why"
    raise ChannelError(said)
