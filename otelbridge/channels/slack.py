"""Slack, through an incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.

Where the facts are from (Slack's developer documentation):

- "Sending messages using incoming webhooks": POST JSON with ``text`` and ``blocks``; the answer is
  ``ok`` with 200, or a word with 400, 403, 404, 410 or 500 (``invalid_payload``, ``no_service``,
  ``channel_is_archived``, ...). A webhook takes no files.
- "Formatting message text": ``&``, ``<`` and ``>`` are escaped as entities; ``<@U...>`` mentions a
  user, ``<!subteam^S...>`` a group, ``<!channel>`` everyone, which is never written here.
- Block Kit: ``header`` holds 150 characters of plain text, ``section`` 3,000, ``context`` ten
  elements; ``plain_text`` with ``emoji`` false is shown as it is.
- "Rate limits": one message a second; 429 with ``Retry-After`` in seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from otelbridge.channels.channel import ChannelError, ChannelSettingsError, Receipt, option
from otelbridge.channels.cutting import cut_end, cut_middle, plain, utf16_length
from otelbridge.channels.http import Answer, Exchange, HTTPChannel, Request, failure_of
from otelbridge.channels.message import Message

HEADER_LIMIT: Final = 150
SECTION_LIMIT: Final = 3000
TEXT_LIMIT: Final = 4000
_FENCE: Final = "```\n"

_USER: Final = re.compile(r"<?@?([UW][A-Z0-9]{5,20})>?")
_GROUP: Final = re.compile(r"(?:<!subteam\^)?(S[A-Z0-9]{5,20})>?")

# The webhook's own words for what only its owner can put right.
_GONE: Final = frozenset(
    {
        "no_service",
        "no_service_id",
        "no_team",
        "no_active_hooks",
        "invalid_token",
        "invalid_auth",
        "team_disabled",
        "channel_not_found",
        "channel_is_archived",
        "action_prohibited",
        "posting_to_general_channel_denied",
        "user_not_found",
    }
)


@dataclass(frozen=True, kw_only=True)
class Slack(HTTPChannel):
    """Messages to a Slack channel, through its incoming webhook."""

    kind: ClassVar[str] = "slack"
    interval: ClassVar[float] = 1.0

    url: str = option("the webhook's URL, https://hooks.slack.com/services/...", secret=True)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^/\s]+/\S+", self.url):
            raise ChannelSettingsError(
                "slack: url is ***; allowed: https://hooks.slack.com/services/T.../B.../..."
            )

    @property
    def address(self) -> str:
        # The workspace's id; what follows it is the secret.
        team = re.search(r"/services/([A-Z0-9]+)/", urlsplit(self.url).path)
        return f"slack:{team[1]}" if team else "slack"

    def secrets(self) -> list[str]:
        path = urlsplit(self.url).path.strip("/")
        return [*super().secrets(), path, path.rpartition("/")[2]]

    def exchange(self, message: Message, arrived: str = "") -> Exchange:
        answer = yield Request(url=self.url, json=compose(message))
        _check(answer)
        return Receipt(reply=cut_end(answer.text, 100))


def compose(message: Message) -> dict[str, Any]:
    """Write a message for Slack: blocks whose texts are each within their limit."""
    heading = plain(message.heading)
    text = plain(message.text).strip()
    trace = plain(message.traceback()).strip()
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain_text(cut_end(heading, HEADER_LIMIT))}
    ]
    if utf16_length(heading) > HEADER_LIMIT:
        text = f"{heading}\n\n{text}".strip()
    if text:
        blocks.append({"type": "section", "text": _plain_text(cut_middle(text, SECTION_LIMIT))})
    if trace:
        shown = cut_middle(trace, SECTION_LIMIT - 2 * len(_FENCE), _fenced_length)
        code = f"{_FENCE}{_fenced(shown)}\n```"
        blocks.append(
            {"type": "section", "text": {"type": "mrkdwn", "text": code, "verbatim": True}}
        )
    ends = [
        message.more,
        _link(message.link),
        " ".join(_mention(author) for author in message.authors[:20] if author.strip()),
    ]
    elements = [{"type": "mrkdwn", "text": line, "verbatim": True} for line in ends if line]
    if elements:
        blocks.append({"type": "context", "elements": elements})
    # What a phone's notification shows; the blocks stand in its place in the channel.
    fallback = cut_end(heading, TEXT_LIMIT, lambda part: utf16_length(_escape(part)))
    return {"text": _escape(fallback), "blocks": blocks}


def _plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _fenced(text: str) -> str:
    return _escape(text).replace("`", "`\u200b")


def _fenced_length(text: str) -> int:
    return utf16_length(_fenced(text))


def _link(link: str | None) -> str:
    if not link or not re.fullmatch(r"https?://[^\s<>|]{1,2000}", link):
        return ""
    return f"<{_escape(link)}>"


def _mention(author: str) -> str:
    name = author.strip()
    if user := _USER.fullmatch(name):
        return f"<@{user[1]}>"
    if group := _GROUP.fullmatch(name):
        return f"<!subteam^{group[1]}>"
    return _fenced(cut_end(plain(name), 100))


def _check(answer: Answer) -> None:
    if answer.status == 200:
        return
    said = " ".join(answer.text.split())[:100]
    error = failure_of(answer, f"Slack: {said}" if said else "")
    if said in _GONE:
        error.failure = "gone"
    elif answer.status == 400:
        error.failure = "refused"
    raise ChannelError(str(error), failure=error.failure, retry_after=error.retry_after)
