"""Telegram: what is sent, in which shape, and what is made of every answer."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.channels import ChannelError, Destination, Message
from otelbridge.channels.courier import deliver_now
from otelbridge.channels.telegram import Telegram, compose
from tests.channels.services import (
    TELEGRAM_TOKEN,
    Reply,
    entity_text,
    telegram_problem,
    units,
)


def bot(telegram, **changes) -> Telegram:
    values = {"token": TELEGRAM_TOKEN, "chat": "42", "base_url": telegram.base}
    return Telegram(**{**values, **changes})


def message(**values) -> Message:
    return Message(**{"title": "ValueError: no such order", **values})


def trace(text: str) -> dict[str, str]:
    return {"full": text}


def test_a_message_is_one_request_with_its_parts_marked_beside_the_text(telegram):
    receipt = bot(telegram).send(
        message(
            project="shop",
            text="while paying",
            tracebacks=trace("Traceback ...\nValueError: no such order"),
            authors=("@alice", "bob", "777"),
            link="http://127.0.0.1:4319/errors/5",
            count=118,
        )
    )

    (request,) = telegram.taken
    text, entities = request.fields["text"], request.fields["entities"]
    assert request.path == f"/bot{TELEGRAM_TOKEN}/sendMessage"
    assert text == (
        "shop: ValueError: no such order\n\nwhile paying\n\n"
        "Traceback ...\nValueError: no such order\n\n"
        "and 118 more\nhttp://127.0.0.1:4319/errors/5\n@alice @bob 777"
    )
    assert [(e["type"], entity_text(text, e)) for e in entities] == [
        ("bold", "shop: ValueError: no such order"),
        ("pre", "Traceback ...\nValueError: no such order"),
        ("text_link", "777"),
    ]
    assert entities[-1]["url"] == "tg://user?id=777"
    assert request.fields["link_preview_options"] == {"is_disabled": True}
    assert "parse_mode" not in request.fields
    assert receipt.reply == "message 1000"


def test_a_topic_and_silence_are_asked_for(telegram):
    bot(telegram, thread=7, silent=True).send(message())

    assert telegram.taken[0].fields["message_thread_id"] == 7
    assert telegram.taken[0].fields["disable_notification"] is True


def test_markup_in_a_message_is_text(telegram):
    evil = "<b>bold</b> *stars* _under_ [link](http://x) `code` &amp; </pre>"

    bot(telegram).send(message(title=evil, text=evil, tracebacks=trace(evil)))

    assert telegram.taken[0].fields["text"] == f"{evil}\n\n{evil}\n\n{evil}"


def test_a_name_in_an_errors_text_calls_nobody():
    text, _, _ = compose(message(title="mail from @alice", text="and @bob", authors=("@carol",)))

    assert "@alice" not in text
    assert "@bob" not in text
    assert text.endswith("@carol")


@given(
    title=st.text(max_size=600),
    text=st.text(max_size=9000),
    traced=st.text(max_size=9000),
    authors=st.lists(st.text(max_size=80), max_size=30),
    count=st.integers(0, 10**9),
    link=st.one_of(st.none(), st.text(max_size=1500)),
)
def test_whatever_the_message_it_is_one_that_telegram_takes(
    title, text, traced, authors, count, link
):
    text, entities, _ = compose(
        Message(
            title=title,
            text=text,
            tracebacks=trace(traced),
            authors=tuple(authors),
            count=count,
            link=link,
        )
    )

    assert telegram_problem(text, entities) is None
    json.dumps(text).encode()


@given(st.text(alphabet="a🎉\n", min_size=1, max_size=20), st.integers(1, 3000))
def test_emojis_count_twice_and_nothing_is_over_the_limit(piece, times):
    text, entities, whole = compose(message(tracebacks=trace(piece * times)))

    assert units(text) <= 4096
    assert telegram_problem(text, entities) is None
    if whole:
        assert (piece * times).strip() in whole


def test_what_is_too_long_is_cut_in_the_middle_with_the_whole_as_a_file(telegram):
    lines = [f"  File 'shop.py', line {n}" for n in range(2000)]
    long = "Traceback\n" + "\n".join(lines) + "\nValueError: the end"

    bot(telegram).send(message(text="what was being done", tracebacks=trace(long)))

    first, second = telegram.taken
    text = first.fields["text"]
    assert units(text) <= 4096
    assert units(text) > 3900
    assert "what was being done" in text
    assert "characters cut" in text
    assert text.endswith("ValueError: the end")
    assert second.path.endswith("/sendDocument")
    name, content = second.files["document"]
    assert name == "message.txt"
    assert long in content.decode()
    assert json.loads(second.fields["reply_parameters"])["message_id"] == 1000


def test_ten_megabytes_of_traceback_go_as_a_file(telegram):
    long = "a line of it 🎉\n" * 560_000

    receipt = bot(telegram).send(message(tracebacks=trace(long)))

    assert receipt.note == ""
    assert len(telegram.taken[1].files["document"][1]) > 10_000_000


def test_a_group_without_files_has_the_message_all_the_same(telegram):
    telegram.without_files = True

    receipt = bot(telegram).send(message(tracebacks=trace("x" * 5000)))

    assert len(telegram.taken) == 1
    assert "without the whole text as a file" in receipt.note
    assert "not enough rights" in receipt.note


def test_a_file_that_failed_for_now_is_sent_again_without_the_message(telegram):
    channel = bot(telegram)
    long = message(tracebacks=trace("x" * 5000))
    telegram.replies = [
        Reply(200, {"ok": True, "result": {"message_id": 55}}),
        Reply(502, "<html>Bad Gateway</html>"),
    ]

    with pytest.raises(ChannelError) as caught:
        channel.send(long)
    channel.send(long, caught.value.arrived)

    assert caught.value.arrived == "55"
    assert [request.path.rpartition("/")[2] for request in telegram.arrived] == [
        "sendMessage",
        "sendDocument",
        "sendDocument",
    ]
    assert json.loads(telegram.taken[-1].fields["reply_parameters"])["message_id"] == 55


def test_a_group_that_became_a_supergroup_is_followed(telegram):
    telegram.moved["42"] = -100777
    telegram.chats.add("-100777")

    receipt = bot(telegram).send(message())

    assert telegram.taken[0].fields["chat_id"] == "-100777"
    assert receipt.note == "the chat's id is now -100777"


@pytest.mark.parametrize(
    ("changes", "failure", "line"),
    [
        ({"token": "1:wrong"}, "gone", "Telegram does not know this token (HTTP 401)"),
        ({"token": "nonsense"}, "gone", "Telegram: this is not a token (HTTP 404)"),
        ({"chat": "43"}, "gone", "Bad Request: chat not found (HTTP 400)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(telegram, changes, failure, line):
    with pytest.raises(ChannelError) as caught:
        bot(telegram, **changes).send(message())

    assert str(caught.value) == line
    assert caught.value.failure == failure


@pytest.mark.parametrize(
    ("reply", "failure", "retry_after", "says"),
    [
        (
            Reply(403, {"ok": False, "description": "Forbidden: bot was blocked by the user"}),
            "gone",
            None,
            "blocked by the user",
        ),
        (Reply(500, "oops"), "temporary", None, "HTTP 500"),
        (Reply(502, "<html>", {"Retry-After": "3"}), "temporary", 3.0, "HTTP 502"),
        (Reply(400, {"ok": False, "description": "Bad Request: odd"}), "refused", None, "odd"),
        (Reply(200, "<html>a hotel's sign-in page</html>"), "gone", None, "not Telegram's"),
        (Reply(302, "", {"Location": "http://elsewhere/"}), "gone", None, "HTTP 302"),
    ],
)
def test_answers_that_are_no_success(telegram, reply, failure, retry_after, says):
    telegram.replies = [reply]

    with pytest.raises(ChannelError, match=says) as caught:
        bot(telegram).send(message())

    assert caught.value.failure == failure
    assert caught.value.retry_after == retry_after


def test_too_many_messages_say_when_to_come_back(telegram):
    telegram.replies = [telegram.too_many(17)]

    with pytest.raises(ChannelError, match="too many messages") as caught:
        bot(telegram).send(message())

    assert caught.value.failure == "temporary"
    assert caught.value.retry_after == 17


def test_a_server_that_hangs_is_left_after_the_time_allowed(telegram, monkeypatch):
    monkeypatch.setattr(Telegram, "timeout", 0.2)
    telegram.hanging.set()

    with pytest.raises(ChannelError, match=r"no answer within 0.2 s"):
        bot(telegram).send(message())


def test_nobody_there_is_said(telegram):
    with pytest.raises(ChannelError, match="cannot connect") as caught:
        bot(telegram, base_url="http://127.0.0.1:1").send(message())

    assert caught.value.failure == "temporary"


def test_the_asynchronous_way_does_the_same(telegram):
    channel = bot(telegram)

    receipt = asyncio.run(channel.send_async(message(tracebacks=trace("x" * 5000))))

    assert receipt.reply == "message 1000"
    assert len(telegram.taken) == 2
    with pytest.raises(ChannelError, match="chat not found"):
        asyncio.run(dataclasses.replace(channel, chat="43").send_async(message()))


def test_the_token_is_nowhere_to_be_seen(telegram, caplog):
    caplog.set_level("DEBUG")
    channel = bot(telegram)
    channel.send(message())
    telegram.replies = [Reply(400, {"ok": False, "description": f"no {TELEGRAM_TOKEN} here"})]

    with pytest.raises(ChannelError, match=r"no \*\*\* here") as caught:
        deliver_now(Destination(channel=channel), message(text=f"url: /bot{TELEGRAM_TOKEN}/x"))

    assert "/bot***/x" in telegram.arrived[-1].fields["text"]
    assert TELEGRAM_TOKEN not in str(caught.value)
    assert TELEGRAM_TOKEN not in repr(channel)
    assert TELEGRAM_TOKEN not in caplog.text
