"""A plain webhook: the document, the signature, and endpoints that misbehave."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from email.utils import formatdate

import pytest

from otelbridge.channels import ChannelError, ChannelSettingsError, Destination, Message
from otelbridge.channels.courier import deliver_now
from otelbridge.channels.webhook import Webhook
from tests.channels.services import Reply


def message(**values) -> Message:
    return Message(**{"title": "ValueError: no such order", **values})


def test_the_message_is_a_json_object(hook):
    sent = message(
        project="shop",
        text="<b>&",
        tracebacks={"full": "Traceback"},
        severity="error",
        authors=("@a",),
        count=118,
        key="group-1",
        link="http://x/1",
        time=1795000000.5,
    )

    receipt = Webhook(url=f"{hook.base}/in?a=1", authorization="Bearer t0ken").send(sent)

    (request,) = hook.taken
    assert (request.path, request.query) == ("/in", {"a": "1"})
    assert request.headers["authorization"] == "Bearer t0ken"
    assert request.headers["webhook-id"] == sent.id
    assert json.loads(request.body) == {
        "version": 1,
        "id": sent.id,
        "time": "2026-11-18T11:06:40.500000+00:00",
        "project": "shop",
        "severity": "error",
        "title": "ValueError: no such order",
        "text": "<b>&",
        "traceback": "Traceback",
        "key": "group-1",
        "more": 118,
        "authors": ["@a"],
        "link": "http://x/1",
    }
    assert receipt.reply == "HTTP 200"


@pytest.mark.parametrize("encoded", [False, True])
def test_a_receiver_can_check_the_signature(hook, encoded):
    secret = b"a key that both know"
    key = f"whsec_{base64.b64encode(secret).decode()}" if encoded else secret.decode()

    Webhook(url=hook.base, signing_key=key).send(message())

    headers, body = hook.taken[0].headers, hook.taken[0].body
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


def test_an_endpoint_that_hangs_is_left_after_the_time_allowed(hook, monkeypatch):
    monkeypatch.setattr(Webhook, "timeout", 0.2)
    hook.hanging.set()
    started = time.monotonic()

    with pytest.raises(ChannelError, match=r"no answer within 0.2 s"):
        Webhook(url=hook.base).send(message())
    with pytest.raises(ChannelError, match=r"no answer within 0.2 s"):
        asyncio.run(Webhook(url=hook.base).send_async(message()))

    assert time.monotonic() - started < 15


def test_an_endpoint_that_hangs_up_is_said(hook):
    hook.down.set()

    with pytest.raises(ChannelError, match="the connection broke") as caught:
        Webhook(url=hook.base).send(message())

    assert caught.value.failure == "temporary"


def test_an_answer_without_end_is_not_read_to_it(hook):
    hook.replies = [Reply(200, "x" * 10_000_000)]

    with pytest.raises(ChannelError, match="larger than 64 KB"):
        Webhook(url=hook.base).send(message())


def test_a_redirection_is_not_followed_with_what_is_secret(hook):
    hook.replies = [Reply(307, "", {"Location": f"{hook.base}/elsewhere"})]

    with pytest.raises(ChannelError, match="HTTP 307") as caught:
        Webhook(url=hook.base, authorization="Bearer t0ken").send(message())

    assert caught.value.failure == "gone"
    assert len(hook.arrived) == 1


def test_a_date_to_come_back_at_is_understood(hook):
    hook.replies = [Reply(503, "", {"Retry-After": formatdate(time.time() + 90, usegmt=True)})]

    with pytest.raises(ChannelError) as caught:
        Webhook(url=hook.base).send(message())

    assert caught.value.failure == "temporary"
    assert 80 < caught.value.retry_after <= 90


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "1e999", ""])
def test_a_wait_that_makes_no_sense_is_none_or_bounded(hook, value):
    hook.replies = [Reply(429, "", {"Retry-After": value})]

    with pytest.raises(ChannelError) as caught:
        Webhook(url=hook.base).send(message())

    wait = caught.value.retry_after
    assert wait is None or 0 <= wait <= 86400


def test_ten_megabytes_are_cut_in_the_middle(hook):
    Webhook(url=hook.base).send(message(tracebacks={"full": "begin " + "x" * 10_000_000 + " end"}))

    traceback = json.loads(hook.taken[0].body)["traceback"]
    assert len(traceback) <= 1_000_000
    assert traceback.startswith("begin ")
    assert traceback.endswith(" end")


def test_half_a_character_does_not_keep_a_message_from_being_sent(hook):
    Webhook(url=hook.base).send(message(text="half \ud800"))

    assert json.loads(hook.taken[0].body)["text"] == "half \ud800"


def test_the_address_is_a_secret_but_for_its_host(hook, caplog):
    caplog.set_level("DEBUG")
    channel = Webhook(url=f"{hook.base}/hooks/s3cr3t-path?key=hidden", signing_key="hush-hush")
    hook.replies = [Reply(500, "cannot take /hooks/s3cr3t-path?key=hidden")]

    with pytest.raises(ChannelError) as caught:
        deliver_now(Destination(channel=channel), message())

    shown = f"{channel!r} {channel.address} {caught.value} {caplog.text}"
    assert channel.address == f"webhook:127.0.0.1:{hook.port}"
    for secret in ("s3cr3t", "hidden", "hush"):
        assert secret not in shown


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "javascript:alert(1)"])
def test_an_address_that_is_no_url_is_refused(url):
    with pytest.raises(ChannelSettingsError, match="allowed: http"):
        Webhook(url=url)
