"""Discord: what is sent, in which shape, and what is made of every answer."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.channels import ChannelError, ChannelSettingsError, Destination, Message
from otelbridge.channels.courier import deliver_now
from otelbridge.channels.discord import Discord, compose
from tests.channels.services import (
    DISCORD_TOKEN,
    DiscordService,
    Reply,
    discord_problem,
    units,
)

# What Discord's Markdown could make something of, where no backslash stands before it.
MARKUP = re.compile(r"(?<!\\)(?:\\\\)*[*_~|`<>#\[\]()@]")


def message(**values) -> Message:
    return Message(**{"title": "ValueError: no such order", **values})


def trace(text: str) -> dict[str, str]:
    return {"full": text}


def read(content: str) -> tuple[str, str, str]:
    """Take a message apart: the title, the text after it, and the code block's content."""
    said, _, code = content.partition("\n```py\n")
    title, _, text = said.partition("\n")
    assert title.startswith("**")
    assert title.endswith("**")
    return title[2:-2], text, code.rpartition("\n```")[0]


def unescape(text: str) -> str:
    return re.sub(r"\\([^0-9A-Za-z\s])", r"\1", text)


def test_a_message_is_one_request_that_asks_for_an_answer(discord):
    receipt = Discord(url=discord.url, username="shop", thread="77").send(
        message(
            project="shop",
            text="while paying",
            tracebacks=trace("Traceback ...\nValueError: no such order"),
            authors=("<@80351110224678912>", "@alice", "<@&165511591545143296>"),
            link="http://127.0.0.1:4319/errors/5",
            count=118,
        )
    )

    (request,) = discord.taken
    assert request.query == {"wait": "true", "thread_id": "77"}
    assert request.fields["content"] == (
        "**shop\\: ValueError\\: no such order**\nwhile paying\n"
        "```py\nTraceback ...\nValueError: no such order\n```\n\n"
        "and 118 more\n<http://127.0.0.1:4319/errors/5>\n"
        "<@80351110224678912> \\@alice <@&165511591545143296>"
    )
    assert request.fields["allowed_mentions"] == {
        "parse": [],
        "users": ["80351110224678912"],
        "roles": ["165511591545143296"],
    }
    assert request.fields["flags"] == 4
    assert request.fields["username"] == "shop"
    assert receipt.reply == "message 5000"


@pytest.mark.parametrize("author", ["@everyone", "everyone", "@here", "<@&everyone>"])
def test_nobody_can_be_made_to_call_everyone(author):
    content, allowed, _ = compose(message(title="@everyone look", text="@here", authors=(author,)))

    assert allowed == {"parse": [], "users": [], "roles": []}
    assert MARKUP.search(content.replace("**", "")) is None


@given(st.text(max_size=300), st.text(max_size=300))
def test_markup_in_a_message_is_text(title, text):
    content, _, _ = compose(Message(title=title, text=text))

    shown_title, shown_text, _ = read(content)
    assert MARKUP.search(shown_title) is None
    assert MARKUP.search(shown_text) is None


@given(st.text(alphabet="ab*_~|`<>#[]()@\\:-. ", max_size=60))
def test_what_is_escaped_reads_as_it_was_written(text):
    content, _, _ = compose(message(text=text))

    assert unescape(read(content)[1]) == text.strip()


@given(st.text(alphabet="`ab\n", max_size=300))
def test_backticks_do_not_end_the_code_block(traced):
    content, _, _ = compose(message(tracebacks=trace(traced)))

    shown = read(content)[2]
    assert "```" not in shown
    assert shown.replace("\u200b", "") == traced.strip()


@given(
    title=st.text(max_size=900),
    text=st.text(max_size=5000),
    traced=st.text(max_size=5000),
    authors=st.lists(st.text(max_size=80), max_size=30),
    count=st.integers(0, 10**9),
    link=st.one_of(st.none(), st.text(max_size=900).map("https://x/{}".format)),
)
def test_whatever_the_message_it_is_one_that_discord_takes(
    title, text, traced, authors, count, link
):
    content, allowed, whole = compose(
        Message(
            title=title,
            text=text,
            tracebacks=trace(traced),
            authors=tuple(authors),
            count=count,
            link=link,
        )
    )

    assert discord_problem({"content": content, "allowed_mentions": allowed}) is None
    assert content.count("```") in {0, 2}
    if len(text) + len(traced) > 4000:
        assert whole


def test_what_is_too_long_is_cut_in_the_middle_with_the_whole_as_a_file(discord):
    long = "Traceback\n" + "  File `shop.py`\n" * 1000 + "ValueError: the end"

    Discord(url=discord.url).send(message(tracebacks=trace(long)))

    (request,) = discord.taken
    content = request.fields["content"]
    assert 1900 < units(content) <= 2000
    assert "characters cut" in content
    assert content.endswith("ValueError: the end\n```")
    name, file = request.files["files[0]"]
    assert name == "message.txt"
    assert request.fields["attachments"] == [{"id": 0, "filename": "message.txt"}]
    assert long in file.decode()


def test_ten_megabytes_of_traceback_are_cut_to_what_a_file_may_be(discord):
    long = "a line of it 🎉\n" * 700_000

    receipt = Discord(url=discord.url).send(message(tracebacks=trace(long)))

    (request,) = discord.taken
    assert 10_000_000 < len(request.files["files[0]"][1]) <= 10 * 2**20
    assert receipt.note == ""


def test_a_server_that_takes_no_such_file_has_the_message_all_the_same(discord):
    discord.file_limit = 100

    receipt = Discord(url=discord.url).send(message(tracebacks=trace("x" * 5000)))

    (request,) = discord.taken
    assert not request.files
    assert "attachments" not in request.fields
    assert "without the whole text" in receipt.note


def test_the_pace_that_the_headers_ask_for_is_passed_on(discord):
    discord.rate_headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "1.25"}

    assert Discord(url=discord.url).send(message()).pause == 1.25

    discord.rate_headers["X-RateLimit-Remaining"] = "4"
    assert Discord(url=discord.url).send(message()).pause == 0.0


def test_too_many_messages_say_when_to_come_back_to_the_millisecond(discord):
    discord.replies = [DiscordService.too_many(64.57)]

    with pytest.raises(ChannelError, match="too many messages") as caught:
        Discord(url=discord.url).send(message())

    assert caught.value.failure == "temporary"
    assert caught.value.retry_after == 64.57


def test_an_answer_without_json_has_its_header(discord):
    discord.replies = [Reply(429, "error code: 1015", {"Retry-After": "7"})]

    with pytest.raises(ChannelError) as caught:
        Discord(url=discord.url).send(message())

    assert caught.value.retry_after == 7


def test_a_webhook_that_is_gone_and_a_wrong_token_are_said(discord):
    wrong = Discord(url=discord.url.replace(DISCORD_TOKEN, "other-token"))
    with pytest.raises(ChannelError, match="refuses the webhook's token") as caught:
        wrong.send(message())
    assert caught.value.failure == "gone"

    discord.gone = True
    with pytest.raises(ChannelError, match="this webhook is gone") as caught:
        Discord(url=discord.url).send(message())
    assert caught.value.failure == "gone"


def test_a_webhook_that_hangs_is_left_after_the_time_allowed(discord, monkeypatch):
    monkeypatch.setattr(Discord, "timeout", 0.2)
    discord.hanging.set()

    with pytest.raises(ChannelError, match=r"no answer within 0.2 s"):
        Discord(url=discord.url).send(message())
    with pytest.raises(ChannelError, match=r"no answer within 0.2 s"):
        asyncio.run(Discord(url=discord.url).send_async(message()))


def test_the_token_is_nowhere_to_be_seen(discord, caplog):
    caplog.set_level("DEBUG")
    channel = Discord(url=discord.url)
    discord.replies = [Reply(400, {"message": f"no {DISCORD_TOKEN}"})]

    with pytest.raises(ChannelError) as caught:
        deliver_now(Destination(channel=channel), message(text=f"hook: {discord.url}"))

    assert DISCORD_TOKEN not in discord.arrived[0].body.decode()
    assert DISCORD_TOKEN not in f"{channel!r} {channel.address} {caught.value} {caplog.text}"


@pytest.mark.parametrize("url", ["", "https://discord.com/channels/1/2", "ftp://x/webhooks/1/2"])
def test_an_address_that_is_no_webhook_is_refused(url):
    with pytest.raises(ChannelSettingsError, match="allowed: https://discord"):
        Discord(url=url)
