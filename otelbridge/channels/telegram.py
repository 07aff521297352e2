"""Telegram, through a bot: https://core.telegram.org/bots/api, methods sendMessage, sendDocument.

Where the facts are from:

- "Making requests": POST to /bot<token>/METHOD; the answer is ``{"ok": true, "result": ...}`` or
  ``{"ok": false, "error_code": ..., "description": ..., "parameters": ...}``.
- "ResponseParameters": ``retry_after`` (seconds) and ``migrate_to_chat_id`` (the group became a
  supergroup).
- sendMessage: text of 1 to 4,096 characters after entities parsing; sendDocument: a caption of up
  to 1,024, a file of up to 50 MB. "MessageEntity": offsets and lengths are UTF-16 code units.
- A malformed token is answered with 404, one that is not valid with 401 (python-telegram-bot,
  request/_baserequest.py); about one message a second to a chat and 20 a minute to a group pass
  (Bots FAQ; python-telegram-bot, constants.FloodLimit).

No parse mode is used. What is bold and what is code is said beside the text, as entities, so that
nothing in a message can be read as markup and no escaping can go wrong.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import quote

from otelbridge.channels.channel import ChannelError, Receipt, option
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

TEXT_LIMIT: Final = 4096
DOCUMENT_LIMIT: Final = 50_000_000
_TITLE_LIMIT: Final = 300
# The smallest part of a text or a traceback that is worth showing.
_WORTH: Final = 200


@dataclass(frozen=True, kw_only=True)
class Telegram(HTTPChannel):
    """Messages to a person, a group or a channel, from a bot."""

    kind: ClassVar[str] = "telegram"
    interval: ClassVar[float] = 1.0
    timeout: ClassVar[float] = 15.0
    resumes: ClassVar[bool] = True

    token: str = option("the bot's token, from @BotFather", secret=True)
    chat: str = option("the chat's id (-100... for a supergroup), or @name of a public one")
    thread: int | None = option("the topic's id, in a group that has topics", default=None)
    silent: bool = option("deliver without a sound", default=False)
    base_url: str = option("another Bot API server", default="https://api.telegram.org")

    @property
    def address(self) -> str:
        return f"telegram:{self.chat}"

    def exchange(self, message: Message, arrived: str = "") -> Exchange:
        text, entities, whole = compose(message)
        chat, note = self.chat, ""
        sent = arrived
        if not sent:
            body = {
                **self._where(chat),
                "text": text,
                "entities": entities,
                "link_preview_options": {"is_disabled": True},
            }
            answer = yield self._request("sendMessage", json=body)
            if moved := _moved_to(answer):
                chat, note = moved, f"the chat's id is now {moved}"
                answer = yield self._request("sendMessage", json={**body, "chat_id": chat})
            sent = _message_id(_result(answer))
        if whole:
            fields = {
                **{key: _form_value(value) for key, value in self._where(chat).items()},
                "reply_parameters": json.dumps(
                    {"message_id": int(sent or 0), "allow_sending_without_reply": True}
                ),
            }
            file = ("message.txt", cut_bytes(whole, DOCUMENT_LIMIT), "text/plain; charset=utf-8")
            answer = yield self._request("sendDocument", data=fields, files={"document": file})
            try:
                _result(answer)
            except ChannelError as error:
                if error.failure == "temporary":
                    error.arrived = sent
                    raise
                # The message itself is there; a group that allows no files is no reason to
                # send it once more.
                note = f"without the whole text as a file: {error}"
        return Receipt(reply=f"message {sent}", note=note)

    def _where(self, chat: str) -> dict[str, Any]:
        where: dict[str, Any] = {"chat_id": chat}
        if self.thread is not None:
            where["message_thread_id"] = self.thread
        if self.silent:
            where["disable_notification"] = True
        return where

    def _request(self, method: str, **parts: Any) -> Request:
        token = quote(self.token, safe=":")
        return Request(url=f"{self.base_url.rstrip('/')}/bot{token}/{method}", **parts)


def compose(message: Message) -> tuple[str, list[dict[str, Any]], str]:
    """Write a message for Telegram.

    Returns:
        The text of at most 4,096 UTF-16 code units, its entities, and the whole text for a file,
        empty where nothing was cut.
    """
    title = cut_end(_inert(plain(message.heading)), _TITLE_LIMIT)
    text = _inert(plain(message.text)).strip()
    trace = plain(message.traceback()).strip()
    link = cut_end(message.link or "", 1000)
    end = "\n".join(line for line in (message.more, link) if line)
    mentions = [_mention(author) for author in message.authors[:20] if author.strip()]
    if mentions:
        end = f"{end}\n{' '.join(mentions)}" if end else " ".join(mentions)

    room = TEXT_LIMIT - utf16_length(title) - (utf16_length(end) + 2 if end else 0)
    # The traceback gives way to the text only as far as both remain readable.
    text_room = max(room - (utf16_length(trace[:room]) + 2 if trace else 0) - 2, _WORTH)
    if trace:
        text_room = max(text_room, room // 3)
    shown_text = cut_middle(text, min(text_room, room - 2))
    if shown_text:
        room -= utf16_length(shown_text) + 2
    shown_trace = cut_middle(trace, room - 2)

    written = ""
    entities: list[dict[str, Any]] = []
    for part, kind in ((title, "bold"), (shown_text, ""), (shown_trace, "pre"), (end, "")):
        if not part:
            continue
        if written:
            written += "\n\n"
        if kind:
            entity = {"type": kind, "offset": utf16_length(written), "length": utf16_length(part)}
            entities.append({**entity, "language": "python"} if kind == "pre" else entity)
        written += part
    # Whoever has no @name is mentioned by id, as a link: "Formatting options", tg://user?id=.
    at = utf16_length(written) - utf16_length(" ".join(mentions))
    for name in mentions:
        if name.isdigit():
            link_to = {"type": "text_link", "url": f"tg://user?id={name}"}
            entities.append({**link_to, "offset": at, "length": len(name)})
        at += utf16_length(name) + 1
    cut = shown_text != text or shown_trace != trace
    whole = "\n\n".join(p for p in (plain(message.heading), text, trace, end) if p) if cut else ""
    return written, entities, whole


def _inert(text: str) -> str:
    # Telegram makes mentions of @names in plain text by itself; a word joiner after the sign
    # keeps an error's text from calling somebody.
    return text.replace("@", "@\u2060")


def _mention(author: str) -> str:
    name = cut_end("".join(plain(author).split()), 64).lstrip("@")
    return name if name.isdigit() else f"@{name}"


def _form_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _moved_to(answer: Answer) -> str:
    parameters = answer.data.get("parameters")
    moved = parameters.get("migrate_to_chat_id") if isinstance(parameters, dict) else None
    return str(moved) if isinstance(moved, int) else ""


def _message_id(result: Any) -> str:
    return str(result.get("message_id", "")) if isinstance(result, dict) else ""


def _result(answer: Answer) -> Any:
    data = answer.data
    if answer.status == 200 and data.get("ok") is True:
        return data.get("result")
    said = str(data.get("description") or "")
    if answer.status == 200 and not said:
        raise ChannelError("what answers there is not Telegram's Bot API", failure="gone")
    parameters = data.get("parameters")
    wait = seconds(parameters.get("retry_after")) if isinstance(parameters, dict) else None
    error = failure_of(answer, said, retry_after=wait)
    if answer.status == 401:
        raise ChannelError("Telegram does not know this token (HTTP 401)", failure="gone")
    if answer.status == 404:
        raise ChannelError("Telegram: this is not a token (HTTP 404)", failure="gone")
    # A chat that is not there, a topic that was closed: 400 as well, but not the message's fault.
    if answer.status == 400 and any(
        word in said.lower() for word in ("chat", "thread", "topic", "peer", "group")
    ):
        error.failure = "gone"
    raise error
