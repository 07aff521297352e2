"""Any other service, through Apprise: its JSON service and ntfy against a local endpoint."""

from __future__ import annotations

import asyncio

import pytest

from otelbridge.channels import ChannelError, ChannelSettingsError, Destination, Message
from otelbridge.channels.apprise import Apprise
from otelbridge.channels.courier import deliver_now
from tests.channels.services import Reply


def message(**values) -> Message:
    return Message(**{"title": "ValueError: <no> such order", "severity": "error", **values})


def url(hook) -> str:
    return f"json://user:passw0rd@127.0.0.1:{hook.port}/in"


def test_a_message_goes_to_a_service_of_apprises(hook):
    receipt = Apprise(url=url(hook)).send(
        message(project="shop", text="<b>", tracebacks={"full": "Traceback"}, count=118)
    )

    (request,) = hook.taken
    assert request.fields["title"] == "shop: ValueError: <no> such order"
    assert request.fields["message"] == "<b>\n\nTraceback\n\nand 118 more"
    assert request.fields["type"] == "failure"
    assert receipt.reply == "accepted"


def test_the_asynchronous_way_does_the_same(hook):
    asyncio.run(Apprise(url=url(hook)).send_async(message()))

    assert len(hook.taken) == 1


def test_what_is_too_long_is_cut_with_the_whole_as_a_file(hook):
    Apprise(url=url(hook)).send(message(tracebacks={"full": "x" * 100_000}))

    (request,) = hook.taken
    assert len(request.fields["message"]) <= 30_000
    (attachment,) = request.fields["attachments"]
    assert attachment["filename"] == "message.txt"


def test_what_a_service_refuses_is_said_without_the_password(hook, caplog):
    caplog.set_level("DEBUG")
    hook.replies = [Reply(401, "no")]
    channel = Apprise(url=url(hook))

    with pytest.raises(ChannelError, match="401") as caught:
        deliver_now(Destination(channel=channel), message())

    assert "passw0rd" not in f"{channel!r} {channel.address} {caught.value} {caplog.text}"


@pytest.mark.parametrize("wrong", ["nosuchservice://x", "tgram://"])
def test_a_url_that_apprise_cannot_read_is_said(wrong):
    with pytest.raises(ChannelError, match="Apprise cannot read this") as caught:
        Apprise(url=wrong).send(message())

    assert caught.value.failure == "gone"


def test_what_is_no_url_is_refused():
    with pytest.raises(ChannelSettingsError, match="an Apprise URL"):
        Apprise(url="ntfy")
