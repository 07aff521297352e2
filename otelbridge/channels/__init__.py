"""Channels that carry a message to a person, and the courier that sees to it that it arrives.

Both halves of the package use it: the app half for its own destinations, the bridge for alarms.
It imports neither of them, and httpx, apprise and each channel only when they are used.
"""

from otelbridge.channels.channel import (
    Channel,
    ChannelError,
    ChannelSettingsError,
    FormField,
    Receipt,
    option,
)
from otelbridge.channels.courier import Courier
from otelbridge.channels.definition import (
    KINDS,
    find_channel,
    make_destination,
    parse_destination,
    parse_destinations,
)
from otelbridge.channels.destination import Destination
from otelbridge.channels.message import Message, Severity, TracebackForm
from otelbridge.channels.outbox import Delivery, MemoryOutbox, Outbox
from otelbridge.channels.quiet_hours import QuietHours, parse_quiet_hours

__all__ = [
    "KINDS",
    "Channel",
    "ChannelError",
    "ChannelSettingsError",
    "Courier",
    "Delivery",
    "Destination",
    "FormField",
    "MemoryOutbox",
    "Message",
    "Outbox",
    "QuietHours",
    "Receipt",
    "Severity",
    "TracebackForm",
    "find_channel",
    "make_destination",
    "option",
    "parse_destination",
    "parse_destinations",
    "parse_quiet_hours",
]
