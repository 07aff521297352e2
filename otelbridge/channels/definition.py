"""Destinations as text and as tables: URLs for a variable, tables for a file of rules.

    telegram://TOKEN@CHAT                discord://ID/TOKEN          slack://T.../B.../...
    smtp://user:password@host?to=...     file:///var/log/alarms      class:shop.pager.Pager?number=7
    https://any.host/hook                any other scheme: Apprise's

Options follow a ``?`` (``&`` between them); those of ``http(s)`` and Apprise URLs, whose query is
their own, follow a ``#``.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any, Final, get_args
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from otelbridge.channels.channel import Channel, ChannelSettingsError
from otelbridge.channels.destination import Destination
from otelbridge.channels.message import Severity, TracebackForm
from otelbridge.channels.quiet_hours import parse_quiet_hours
from otelbridge.setting_values import parse_choice, parse_integer, parse_period

# By name, so that nothing is imported that is not used.
KINDS: Final[Mapping[str, str]] = {
    "telegram": "otelbridge.channels.telegram.Telegram",
    "discord": "otelbridge.channels.discord.Discord",
    "slack": "otelbridge.channels.slack.Slack",
    "email": "otelbridge.channels.mail.Email",
    "webhook": "otelbridge.channels.webhook.Webhook",
    "file": "otelbridge.channels.file.File",
    "apprise": "otelbridge.channels.apprise.Apprise",
}

_OPTIONS: Final[Mapping[str, Any]] = {
    "name": str,
    "traceback": parse_choice(*get_args(TracebackForm)),
    "authors": lambda text: tuple(one.strip() for one in text.split(",") if one.strip()),
    "severity": parse_choice(*get_args(Severity)),
    "quiet": parse_quiet_hours,
    "cool_down": parse_period,
    "per_minute": parse_integer(1, 600),
}


def parse_destinations(text: str, *, importing: bool = True) -> tuple[Destination, ...]:
    """Read a list of destinations: URLs with white space between them.

    Args:
        text: the list.
        importing: whether classes of one's own are imported; without it they are left out.

    Raises:
        ValueError: says which one, what is wrong with it and what is allowed, without secrets.
    """
    found = []
    for place, url in enumerate(text.split(), start=1):
        if not importing and url.startswith("class:"):
            continue
        try:
            found.append(parse_destination(url))
        except ValueError as error:
            raise ValueError(f"number {place}: {error}") from None
    return checked(found)


def checked(destinations: list[Destination]) -> tuple[Destination, ...]:
    """Take a list of destinations whose names differ.

    Raises:
        ValueError: two have one name.
    """
    seen: set[str] = set()
    for one in destinations:
        if one.name in seen:
            raise ValueError(f"two destinations are called {one.name!r}; give one a name=...")
        seen.add(one.name)
    return tuple(destinations)


def parse_destination(url: str) -> Destination:
    """Read one destination's URL.

    Raises:
        ValueError: says what is wrong and what is allowed, without secrets.
    """
    scheme = url.partition(":")[0].lower()
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) or ":" not in url:
        raise ValueError(
            "allowed: URLs with spaces between them, such as telegram://TOKEN@CHAT, "
            "https://discord.com/api/webhooks/ID/TOKEN, smtp://user:password@host?to=a@b"
        )
    try:
        kind, values, options = _read_url(scheme, url)
        return make_destination(kind, {**values, **options})
    except ChannelSettingsError:
        raise
    except ValueError:
        # urllib's own errors show the whole text, secrets included.
        raise ChannelSettingsError(
            f"this {scheme} URL cannot be read; allowed: {scheme}://..., with %40 for @, %3A for :"
        ) from None


def make_destination(kind: str, values: Mapping[str, Any]) -> Destination:
    """Make a destination of a table: its channel's fields and its own options.

    Args:
        kind: a channel's name, or the import path of one's own class.
        values: by name, as text or as typed.

    Raises:
        ValueError: says what is wrong and what is allowed, without secrets.
    """
    channel_class = find_channel(kind)
    fields = {field.name for field in channel_class.form()}
    options: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name in [name for name in values if name in _OPTIONS and name not in fields]:
        given = values[name]
        if isinstance(given, (list, tuple)):
            given = ",".join(str(one) for one in given)
        try:
            options[name] = _OPTIONS[name](str(given))
        except ValueError as error:
            problems[name] = f"{kind}: {name} is {str(given)!r}; {error}"
    rest = {name: value for name, value in values.items() if name not in {*options, *problems}}
    try:
        channel = channel_class.from_values(rest)
    except ChannelSettingsError as error:
        text = next(iter(problems.values()), str(error))
        if "allowed:" in text and " has no " in text:
            text = f"{text}; and {', '.join(_OPTIONS)}"
        raise ChannelSettingsError(text, {**problems, **error.problems}) from None
    if problems:
        raise ChannelSettingsError(next(iter(problems.values())), problems)
    return Destination(channel=channel, **options)


def find_channel(kind: str) -> type[Channel]:
    """Find a channel's class by its name or its import path (``package.module.Class``).

    Raises:
        ValueError: there is none, or it is not a channel.
    """
    path = KINDS.get(kind, kind)
    module, dot, name = path.replace(":", ".").rpartition(".")
    if not dot:
        raise ChannelSettingsError(
            f"there is no channel {kind!r}; allowed: {', '.join(KINDS)}, or package.module.Class"
        )
    try:
        found = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ChannelSettingsError(f"cannot import {module}: {error}") from None
    except AttributeError:
        raise ChannelSettingsError(f"{module} has no {name}") from None
    except Exception as error:
        # The module is somebody's own; whatever it raises is what they want to read.
        raise ChannelSettingsError(f"{module}: {type(error).__name__}: {error}") from None
    if not (isinstance(found, type) and issubclass(found, Channel)):
        raise ChannelSettingsError(f"{path} is not a subclass of otelbridge.channels.Channel")
    if not hasattr(found, "__dataclass_fields__"):
        raise ChannelSettingsError(
            f"{path} is not a dataclass: its fields are declared by option()"
        )
    if found.send is Channel.send and found.send_async is Channel.send_async:
        raise ChannelSettingsError(f"{path} has neither send nor send_async")
    return found


def _read_url(scheme: str, url: str) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Split a URL into a kind, its channel's values and the options that follow."""
    if scheme in {"http", "https"}:
        address, _, fragment = url.partition("#")
        return _http_kind(address), {"url": address}, _options(fragment)
    if scheme == "class":
        path, _, query = url[len("class:") :].replace("#", "?", 1).partition("?")
        return path.strip("/"), {}, _options(query)
    if scheme == "file":
        path, _, query = url[len("file:") :].replace("#", "?", 1).partition("?")
        return (
            "file",
            {"path": unquote(re.sub(r"^//(?:localhost(?=/))?", "", path))},
            _options(query),
        )
    if scheme in {"telegram", "discord", "slack", "smtp", "smtps"}:
        address, _, query = url.replace("#", "?", 1).partition("?")
        kind, values = _OWN[scheme](address)
        options = _options(query)
        # A proxy, or a stand-in to try things with: the webhook's URL with another beginning.
        base = options.pop("base_url", "") if "url" in values else ""
        if base:
            path = urlsplit(values["url"]).path
            values["url"] = base.rstrip("/") + path
        return kind, values, options
    # What is left is Apprise's, whose query is its own.
    address, _, fragment = url.partition("#")
    return "apprise", {"url": address.removeprefix("apprise+")}, _options(fragment)


def _http_kind(url: str) -> str:
    parts = urlsplit(url)
    if parts.hostname in {"discord.com", "discordapp.com"} and "/webhooks/" in parts.path:
        return "discord"
    return "slack" if parts.hostname == "hooks.slack.com" else "webhook"


def _telegram(url: str) -> tuple[str, dict[str, Any]]:
    token, at, rest = url.partition("://")[2].rpartition("@")
    if not at:
        raise ChannelSettingsError("allowed: telegram://TOKEN@CHAT, and /TOPIC where there is one")
    chat, _, thread = unquote(rest).strip("/").partition("/")
    if chat and not re.fullmatch(r"-?\d+", chat):
        chat = f"@{chat.lstrip('@')}"
    # telegram://TOKEN@@name: the second sign belongs to the name.
    return "telegram", {"token": unquote(token.rstrip("@")), "chat": chat, "thread": thread}


def _discord(url: str) -> tuple[str, dict[str, Any]]:
    found = re.fullmatch(r"\w+://(\d+)/([^/\s]+)/?", url)
    if found is None:
        raise ChannelSettingsError(
            "allowed: discord://ID/TOKEN, or https://discord.com/api/webhooks/ID/TOKEN"
        )
    return "discord", {"url": f"https://discord.com/api/webhooks/{found[1]}/{found[2]}"}


def _slack(url: str) -> tuple[str, dict[str, Any]]:
    path = url.partition("://")[2].strip("/")
    if not re.fullmatch(r"[A-Z0-9]+/[A-Z0-9]+/[^/\s]+", path):
        raise ChannelSettingsError(
            "allowed: slack://T.../B.../..., or https://hooks.slack.com/services/T.../B.../..."
        )
    return "slack", {"url": f"https://hooks.slack.com/services/{path}"}


def _smtp(url: str) -> tuple[str, dict[str, Any]]:
    parts = urlsplit(url)
    values: dict[str, Any] = {
        "host": parts.hostname or "",
        "port": parts.port or "",
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "security": "tls" if parts.scheme.lower() == "smtps" else "",
    }
    if "@" in values["user"]:
        values["sender"] = values["user"]
    return "email", values


_OWN: Final = {
    "telegram": _telegram,
    "discord": _discord,
    "slack": _slack,
    "smtp": _smtp,
    "smtps": _smtp,
}


def _options(query: str) -> dict[str, str]:
    # A plus is a plus: +49..., and spaces are written %20.
    pairs = parse_qsl(query.replace("+", quote("+")), keep_blank_values=True)
    # `from` cannot be a field's name in Python, and is what everybody types.
    return {("sender" if name == "from" else name): value for name, value in pairs}
