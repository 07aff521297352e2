"""Destinations as URLs and tables, and one's own classes by import path."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.channels import (
    KINDS,
    Channel,
    Message,
    QuietHours,
    Receipt,
    find_channel,
    make_destination,
    option,
    parse_destination,
    parse_destinations,
)
from otelbridge.channels.apprise import Apprise
from otelbridge.channels.discord import Discord
from otelbridge.channels.file import File
from otelbridge.channels.mail import Email
from otelbridge.channels.slack import Slack
from otelbridge.channels.telegram import Telegram
from otelbridge.channels.webhook import Webhook


@dataclass(frozen=True, kw_only=True)
class Pager(Channel):
    """A class of somebody's own."""

    kind = "pager"
    number: str = option("the number to page")
    pin: str = option("the code", secret=True)
    times: int = option("how often it rings", default=3)
    loud: bool = option("ring at night", default=False)
    tone: str = option("which sound", default="low", choices=("low", "high"))

    def send(self, message: Message) -> Receipt:
        return Receipt(reply=f"paged {self.number}")


@dataclass(frozen=True)
class Mute(Channel):
    pass


class Plain(Channel):
    def send(self, message: Message) -> Receipt:
        return Receipt()


def broken() -> None:
    """No class at all."""


HERE = __name__


@pytest.mark.parametrize(
    ("url", "channel"),
    [
        ("telegram://1:A-b@-100", Telegram(token="1:A-b", chat="-100")),
        ("telegram://1:A-b@shop/7", Telegram(token="1:A-b", chat="@shop", thread=7)),
        ("telegram://1:A-b@@shop", Telegram(token="1:A-b", chat="@shop")),
        (
            "telegram://1:A@5?silent=yes&base_url=http://127.0.0.1:81",
            Telegram(token="1:A", chat="5", silent=True, base_url="http://127.0.0.1:81"),
        ),
        ("discord://12/abc", Discord(url="https://discord.com/api/webhooks/12/abc")),
        (
            "https://discord.com/api/webhooks/12/abc",
            Discord(url="https://discord.com/api/webhooks/12/abc"),
        ),
        (
            "discord://12/abc?base_url=http://127.0.0.1:81/",
            Discord(url="http://127.0.0.1:81/api/webhooks/12/abc"),
        ),
        ("slack://T1/B1/xyz", Slack(url="https://hooks.slack.com/services/T1/B1/xyz")),
        (
            "https://hooks.slack.com/services/T1/B1/xyz",
            Slack(url="https://hooks.slack.com/services/T1/B1/xyz"),
        ),
        (
            "smtp://ada%40x.org:p%40ss@mail.x.org:2525?to=bob@x.org,eve@x.org",
            Email(
                host="mail.x.org",
                port=2525,
                user="ada@x.org",
                password="p@ss",
                sender="ada@x.org",
                to="bob@x.org,eve@x.org",
            ),
        ),
        (
            "smtps://mail.x.org?from=a@x.org&to=b@x.org",
            Email(host="mail.x.org", security="tls", sender="a@x.org", to="b@x.org"),
        ),
        (
            "smtp://localhost?security=none&from=a@x.org&to=b+c@x.org",
            Email(host="localhost", security="none", sender="a@x.org", to="b+c@x.org"),
        ),
        ("https://x.org/hook?key=1", Webhook(url="https://x.org/hook?key=1")),
        (
            "http://x.org/hook#signing_key=hush&authorization=Bearer%20abc",
            Webhook(url="http://x.org/hook", signing_key="hush", authorization="Bearer abc"),
        ),
        ("file:///var/log/alarms", File(path="/var/log/alarms")),
        ("file:alarms.jsonl?format=json", File(path="alarms.jsonl", format="json")),
        ("ntfy://topic?priority=5", Apprise(url="ntfy://topic?priority=5")),
        ("apprise+tgram://1:A/5", Apprise(url="tgram://1:A/5")),
        (
            f"class:{HERE}.Pager?number=%2B49&pin=1234&times=5&loud=true&tone=HIGH",
            Pager(number="+49", pin="1234", times=5, loud=True, tone="high"),
        ),
    ],
)
def test_what_a_url_means(url, channel):
    assert parse_destination(url).channel == channel


def test_the_options_of_a_destination():
    found = parse_destination(
        "telegram://1:A@5?name=ops&traceback=minimal&authors=@ada,@bob&severity=error"
        "&quiet=22:00-07:00@Europe/Berlin&cool_down=15m&per_minute=3"
    )

    assert found.name == "ops"
    assert found.traceback == "minimal"
    assert found.authors == ("@ada", "@bob")
    assert found.severity == "error"
    assert str(found.quiet) == "22:00-07:00@Europe/Berlin"
    assert found.cool_down == 900
    assert found.per_minute == 3


def test_the_options_of_a_webhook_stand_after_the_sign_that_is_not_sent():
    found = parse_destination("https://x.org/hook?name=theirs#name=ours&traceback=full")

    assert found.channel == Webhook(url="https://x.org/hook?name=theirs")
    assert found.name == "ours"
    assert found.traceback == "full"


def test_a_table_means_the_same_as_a_url():
    table = {"token": "1:A", "chat": 5, "thread": 7, "authors": ["@ada"], "quiet": "22:00-07:00"}

    found = make_destination("telegram", table)

    assert found == parse_destination("telegram://1:A@5/7?authors=@ada&quiet=22:00-07:00")
    assert isinstance(found.quiet, QuietHours)


def test_a_list_is_told_apart_by_white_space():
    found = parse_destinations(" telegram://1:A@5\n\tfile:alarms.log  discord://12/abc ")

    assert [one.name for one in found] == ["telegram:5", "file:alarms.log", "discord:12"]
    assert parse_destinations("") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "number 1: allowed: URLs"),
        ("file:a telegram://1", "number 2: allowed: telegram://TOKEN@CHAT"),
        ("discord://12", "allowed: discord://ID/TOKEN"),
        ("slack://T1", "allowed: slack://T"),
        ("smtp://h?to=a@b", "email needs sender: the address it comes from"),
        ("smtp://h?to=ab&from=c@d", "email: to is 'ab'; allowed: an address"),
        ("smtp://h:99999?to=a@b&from=c@d", "this smtp URL cannot be read"),
        ("A://[", "this a URL cannot be read; allowed: a://"),
        ("https://[/hook", "this https URL cannot be read"),
        ("telegram://1:A@5?sound=on", "telegram has no 'sound'; allowed: token, chat"),
        ("telegram://1:A@5?thread=x", "thread is 'x'; allowed: a number"),
        ("file:a?format=xml", "file: format is 'xml'; allowed: text, json"),
        ("file:a?quiet=25:00-07:00", "quiet is '25:00-07:00'; allowed: from-to"),
        ("file:a?quiet=22:00-07:00@Nowhere/City", "is not a time zone"),
        ("file:a?severity=bad", "severity is 'bad'; allowed: info, warning, error, critical"),
        ("file:a?traceback=long", "traceback is 'long'; allowed: full, clean, minimal, none"),
        ("file:a?cool_down=0", "allowed: a duration longer than 0"),
        ("file:a file:a", "two destinations are called 'file:a'; give one a name"),
        ("class:Pager", "there is no channel 'Pager'; allowed: telegram, discord"),
        ("class:no.such.module.X", "cannot import no.such.module"),
        (f"class:{HERE}.Nothing", "has no Nothing"),
        (f"class:{HERE}.broken", "is not a subclass of otelbridge.channels.Channel"),
        (f"class:{HERE}.Plain", "is not a dataclass"),
        (f"class:{HERE}.Mute", "has neither send nor send_async"),
        (f"class:{HERE}.Pager?pin=1", "pager needs number: the number to page"),
        (f"class:{HERE}.Pager?number=1&pin=1&times=often", "times is 'often'; allowed: a number"),
        (f"class:{HERE}.Pager?number=1&pin=1&loud=perhaps", "allowed: true or false"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(text, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_destinations(text)


@given(st.sampled_from([*KINDS, "smtp", "http", "class", "ntfy"]), st.text(max_size=60))
def test_whatever_follows_a_scheme_is_taken_or_refused_without_being_shown(scheme, rest):
    secret = "sEcReT-1234"

    try:
        shown = repr(parse_destinations(f"{scheme}://{secret}@{rest}", importing=False))
    except ValueError as error:
        shown = str(error)

    # A path is not a secret, and neither is a user's or a class's name.
    assert secret not in shown or scheme in {"file", "class", "smtp"}


def test_a_form_is_made_of_the_fields_a_class_declares():
    fields = {field.name: field for field in find_channel(f"{HERE}.Pager").form()}

    assert [field.kind for field in fields.values()] == [
        "text", "text", "number", "switch", "choice",
    ]  # fmt: skip
    assert fields["number"].required
    assert fields["number"].help == "the number to page"
    assert fields["pin"].secret
    assert fields["times"].default == 3
    assert not fields["times"].required
    assert fields["tone"].choices == ("low", "high")


@pytest.mark.parametrize("kind", KINDS)
def test_every_channel_has_a_form_that_says_what_each_field_is(kind):
    form = find_channel(kind).form()

    assert form
    assert all(field.help for field in form)
    assert any(field.required for field in form)


def test_a_class_of_ones_own_is_not_imported_where_it_must_not_be():
    assert parse_destinations("class:no.such.Thing", importing=False) == ()
