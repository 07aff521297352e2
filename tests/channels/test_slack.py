"""Slack: blocks within their limits, and what is made of every word it answers."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.channels import ChannelError, ChannelSettingsError, Destination, Message
from otelbridge.channels.courier import deliver_now
from otelbridge.channels.slack import Slack, compose
from tests.channels.services import SLACK_PATH, Reply, slack_problem


def message(**values) -> Message:
    return Message(**{"title": "ValueError: no such order", **values})


def trace(text: str) -> dict[str, str]:
    return {"full": text}


def test_a_message_is_blocks(slack):
    receipt = Slack(url=slack.url).send(
        message(
            project="shop",
            text="while <paying> & *waiting*",
            tracebacks=trace("if a < b:\nValueError"),
            authors=("U012ABCDEF", "alice", "<!subteam^S012ABCDEF>"),
            link="http://127.0.0.1:4319/errors/5?a=1&b=2",
            count=118,
        )
    )

    (request,) = slack.taken
    assert request.fields["text"] == "shop: ValueError: no such order"
    header, text, code, context = request.fields["blocks"]
    plain = {"type": "plain_text", "emoji": False}
    assert header["text"] == {**plain, "text": "shop: ValueError: no such order"}
    assert text["text"] == {**plain, "text": "while <paying> & *waiting*"}
    assert code["text"]["text"] == "```\nif a &lt; b:\nValueError\n```"
    assert [element["text"] for element in context["elements"]] == [
        "and 118 more",
        "<http://127.0.0.1:4319/errors/5?a=1&amp;b=2>",
        "<@U012ABCDEF> alice <!subteam^S012ABCDEF>",
    ]
    assert receipt.reply == "ok"


@given(
    title=st.text(max_size=900),
    text=st.text(max_size=9000),
    traced=st.text(alphabet="ab<&>`\n🎉", max_size=9000),
    authors=st.lists(st.text(max_size=200), max_size=30),
)
def test_whatever_the_message_it_is_one_that_slack_takes(title, text, traced, authors):
    payload = compose(
        Message(title=title, text=text, tracebacks=trace(traced), authors=tuple(authors))
    )

    assert slack_problem(payload) is None
    for block in payload["blocks"]:
        parts = [block["text"]] if "text" in block else block["elements"]
        for part in parts:
            if part["type"] == "mrkdwn":
                # No entity is cut in half, and nothing but our own opens a control sequence.
                assert part["text"].count("```") in {0, 2}
                rest = part["text"].replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
                assert "&" not in rest


@pytest.mark.parametrize("author", ["<!channel>", "<!here>", "@channel", "<!everyone>"])
def test_nobody_can_be_made_to_call_everyone(author):
    payload = compose(message(title="<!channel> look", text="<!here>", authors=(author,)))

    texts = json.dumps([b for b in payload["blocks"] if b["type"] == "context"])
    assert "<!" not in payload["text"]
    assert "<!" not in texts


def test_a_title_that_is_too_long_for_a_header_is_told_in_full_below_it():
    payload = compose(message(title="x" * 400, text="more"))

    assert payload["blocks"][0]["text"]["text"].endswith("…")
    assert payload["blocks"][1]["text"]["text"] == f"{'x' * 400}\n\nmore"


@pytest.mark.parametrize(
    ("status", "word", "failure"),
    [
        (404, "no_service", "gone"),
        (403, "action_prohibited", "gone"),
        (410, "channel_is_archived", "gone"),
        (404, "channel_not_found", "gone"),
        (403, "invalid_token", "gone"),
        (400, "invalid_payload", "refused"),
        (500, "rollup_error", "temporary"),
    ],
)
def test_the_words_it_answers(slack, status, word, failure):
    slack.word = (status, word)

    with pytest.raises(ChannelError) as caught:
        Slack(url=slack.url).send(message())

    assert str(caught.value) == f"Slack: {word} (HTTP {status})"
    assert caught.value.failure == failure


def test_too_many_messages_say_when_to_come_back(slack):
    slack.replies = [Reply(429, "rate_limited", {"Retry-After": "30"})]

    with pytest.raises(ChannelError) as caught:
        Slack(url=slack.url).send(message())

    assert (caught.value.failure, caught.value.retry_after) == ("temporary", 30)


def test_the_asynchronous_way_does_the_same(slack):
    assert asyncio.run(Slack(url=slack.url).send_async(message())).reply == "ok"


def test_the_path_is_nowhere_to_be_seen(slack, caplog):
    caplog.set_level("DEBUG")
    channel = Slack(url=slack.url)
    slack.word = (400, f"no {SLACK_PATH}")

    with pytest.raises(ChannelError) as caught:
        deliver_now(Destination(channel=channel), message())

    assert "secret" not in f"{channel!r} {channel.address} {caught.value} {caplog.text}"


def test_an_address_that_is_no_url_is_refused():
    with pytest.raises(ChannelSettingsError, match="allowed: https://hooks"):
        Slack(url="hooks.slack.com")
