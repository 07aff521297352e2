"""Discord, through a webhook: https://discord.com/developers/docs/resources/webhook.

Where the facts are from (the developer documentation's pages):

- "Execute Webhook": POST to the webhook's URL, ``?wait=true`` for an answer that says whether the
  message was kept; content of up to 2,000 characters; files as multipart with ``payload_json``.
- "Allowed Mentions": ``{"parse": []}`` mentions nobody but the users and roles listed.
- "Message Flags": 4 is SUPPRESS_EMBEDS, allowed for webhooks.
- "Uploading Files": 10 MiB a file by default.
- "Rate Limits": 429 with ``Retry-After`` and JSON ``retry_after`` (seconds, with decimals);
  ``X-RateLimit-Remaining`` and ``X-RateLimit-Reset-After`` on every answer; a webhook that answers
  404 is not to be used again.
- "Opcodes and Status Codes", JSON error codes: 10015 unknown webhook, 50027 invalid webhook token.
- "User Agent": ``DiscordBot (URL, version)``, or the request may be blocked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlsplit

from otelbridge.channels.channel import ChannelError, ChannelSettingsError, Receipt, option
from otelbridge.channels.cutting import cut_bytes, cut_end, cut_middle, plain, utf16_length
from otelbridge.channels.http import (
    Answer,
    Exchange,
    HTTPChannel,
    Request,
    failure_of,
    seconds,
)
from otelbridge.channels.message import Message

CONTENT_LIMIT: Final = 2000
FILE_LIMIT: Final = 10 * 2**20
_TITLE_LIMIT: Final = 400
_WORTH: Final = 200
_SUPPRESS_EMBEDS: Final = 4
_FENCE: Final = ("```py\n", "\n```")

# Markdown takes a backslash before any punctuation as: this character, and no markup.
_PUNCTUATION: Final = re.compile(r"([\\`*_~|<>#\[\]()@:/+.!-])")
_USER: Final = re.compile(r"<?@?!?([0-9]{15,20})>?")
_ROLE: Final = re.compile(r"<?@?&([0-9]{15,20})>?")


@dataclass(frozen=True, kw_only=True)
class Discord(HTTPChannel):
    """Messages to a Discord channel, through its webhook."""

    kind: ClassVar[str] = "discord"
    interval: ClassVar[float] = 0.5
    timeout: ClassVar[float] = 15.0

    url: str = option("the webhook's URL, as Discord shows it", secret=True)
    username: str = option("the name to appear under; the webhook's own by default", default="")
    thread: str = option("the id of a thread in the webhook's channel", default="")

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^/\s]+(/\S*)?/webhooks/\d+/[^/\s]+/?", self.url):
            raise ChannelSettingsError(
                "discord: url is ***; allowed: https://discord.com/api/webhooks/ID/TOKEN"
            )

    @property
    def address(self) -> str:
        return f"discord:{urlsplit(self.url).path.rstrip('/').split('/')[-2]}"

    def secrets(self) -> list[str]:
        return [*super().secrets(), urlsplit(self.url).path.rstrip("/").rpartition("/")[2]]

    def exchange(self, message: Message, arrived: str = "") -> Exchange:
        content, allowed, whole = compose(message)
        payload: dict[str, Any] = {
            "content": content,
            "allowed_mentions": allowed,
            "flags": _SUPPRESS_EMBEDS,
        }
        if self.username:
            payload["username"] = cut_end(plain(self.username), 80)
        url = f"{self.url.rstrip('/')}?wait=true"
        if self.thread:
            url += f"&thread_id={quote(self.thread, safe='')}"
        headers = {"User-Agent": "DiscordBot (otelbridge, 1)"}
        if whole:
            file = ("message.txt", cut_bytes(whole, FILE_LIMIT - 1024), "text/plain")
            payload["attachments"] = [{"id": 0, "filename": "message.txt"}]
            request = Request(
                url=url,
                data={"payload_json": json.dumps(payload)},
                files={"files[0]": file},
                headers=headers,
            )
        else:
            request = Request(url=url, json=payload, headers=headers)
        answer = yield request
        note = ""
        if whole and answer.status == 413:
            # A server may allow less than the default; the cut message is better than none.
            payload.pop("attachments")
            answer = yield Request(url=url, json=payload, headers=headers)
            note = "without the whole text as a file: it is too large for this server"
        _check(answer)
        return Receipt(
            reply=f"message {answer.data.get('id', '')}".strip(), pause=_pause(answer), note=note
        )


def compose(message: Message) -> tuple[str, dict[str, Any], str]:
    """Write a message for Discord.

    Returns:
        The content of at most 2,000 UTF-16 code units, whom it may mention, and the whole text for
        a file, empty where nothing was cut.
    """
    users, roles, mentions = _mentions(message.authors)
    title = _cut_escaped_end(plain(message.heading), _TITLE_LIMIT)
    text = plain(message.text).strip()
    trace = plain(message.traceback()).strip()
    ends = [message.more, _link(message.link), cut_end(mentions, 400)]
    end = "\n".join(line for line in ends if line)

    room = CONTENT_LIMIT - utf16_length(title) - 4 - (utf16_length(end) + 2 if end else 0)
    fences = sum(map(len, _FENCE)) + 1
    text_room = max(room - (utf16_length(trace[:room]) + fences if trace else 0) - 1, _WORTH)
    if trace:
        text_room = max(text_room, room // 3)
    shown_text = cut_middle(text, min(text_room, room - 1), _escaped_length)
    if shown_text:
        room -= _escaped_length(shown_text) + 1
    shown_trace = cut_middle(trace, room - fences, _fenced_length)

    parts = [f"**{title}**", _escape(shown_text)]
    if shown_trace:
        parts.append(_FENCE[0] + _fenced(shown_trace) + _FENCE[1])
    if end:
        parts.append("\n" + end)
    cut = shown_text != text or shown_trace != trace
    whole = ""
    if cut:
        whole = "\n\n".join(p for p in (plain(message.heading), text, trace, message.more) if p)
    allowed = {"parse": [], "users": users[:100], "roles": roles[:100]}
    return "\n".join(part for part in parts if part), allowed, whole


def _escape(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\1", text)


def _escaped_length(text: str) -> int:
    return utf16_length(text) + len(_PUNCTUATION.findall(text))


def _cut_escaped_end(text: str, limit: int) -> str:
    return _escape(cut_end(text, limit, _escaped_length))


def _fenced(text: str) -> str:
    # No backslash counts within a code block; only three backticks in a row end it.
    return text.replace("`", "`\u200b")


def _fenced_length(text: str) -> int:
    return utf16_length(text) + text.count("`")


def _mentions(authors: tuple[str, ...]) -> tuple[list[str], list[str], str]:
    """Mention whom a webhook can mention, by id, and name the others; never everyone or here."""
    users: list[str] = []
    roles: list[str] = []
    said: list[str] = []
    for author in authors:
        name = author.strip()
        if user := _USER.fullmatch(name):
            users.append(user[1])
            said.append(f"<@{user[1]}>")
        elif role := _ROLE.fullmatch(name):
            roles.append(role[1])
            said.append(f"<@&{role[1]}>")
        elif name:
            said.append(_escape(plain(name)))
    return users, roles, " ".join(said)


def _link(link: str | None) -> str:
    if not link or not re.fullmatch(r"https?://[^\s<>]{1,500}", link):
        return ""
    return f"<{link}>"


def _pause(answer: Answer) -> float:
    if answer.headers.get("x-ratelimit-remaining") != "0":
        return 0.0
    try:
        return seconds(float(answer.headers.get("x-ratelimit-reset-after", ""))) or 0.0
    except ValueError:
        return 0.0


def _check(answer: Answer) -> None:
    if 200 <= answer.status < 300:
        return
    data = answer.data
    said = str(data.get("message") or "")
    code = data.get("code")
    if answer.status == 404 or code == 10015:
        raise ChannelError("Discord: this webhook is gone (HTTP 404)", failure="gone")
    if answer.status == 401 or code == 50027:
        raise ChannelError(
            f"Discord refuses the webhook's token (HTTP {answer.status})", failure="gone"
        )
    raise failure_of(answer, said, retry_after=seconds(data.get("retry_after")))
