"""A channel with how it is to be used: whose, in which form, how often, and when not."""

from __future__ import annotations

from dataclasses import dataclass

from otelbridge.channels.channel import Channel
from otelbridge.channels.message import SEVERITIES, Message, Severity, TracebackForm
from otelbridge.channels.quiet_hours import QuietHours


@dataclass(frozen=True, kw_only=True)
class Destination:
    """One place that messages go to.

    Attributes:
        name: what it is called in logs and by ``otelbridge notify --to``; its address by default.
        channel: what carries messages there.
        traceback: the form of tracebacks that is sent: full, clean, minimal or none.
        authors: whom every message mentions, before those the message names itself.
        severity: the least severe message that is sent.
        quiet: hours in which only what is critical is sent; the rest is held until they end.
        cool_down: seconds in which the same message again is counted, not told; it doubles, to
            an hour, for as long as the same goes on.
        per_minute: messages a minute; what is more is gathered into one.
    """

    channel: Channel
    name: str = ""
    traceback: TracebackForm = "clean"
    authors: tuple[str, ...] = ()
    severity: Severity = "info"
    quiet: QuietHours | None = None
    cool_down: float = 300.0
    per_minute: int = 10

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.channel.address)

    def wants(self, message: Message) -> bool:
        """Tell whether a message is severe enough to be sent there."""
        return SEVERITIES.index(message.severity) >= SEVERITIES.index(self.severity)

    def render(self, message: Message) -> Message:
        """Give a message the form it has there: one traceback, the authors, no secrets."""
        hide = self.channel.without_secrets
        trace = message.traceback(self.traceback)
        authors = tuple(dict.fromkeys((*self.authors, *message.authors)))
        return message.with_(
            title=hide(message.title),
            text=hide(message.text),
            tracebacks={"full": hide(trace)} if trace else {},
            authors=authors,
        )
