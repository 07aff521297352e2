"""E-mail through a real SMTP server, which runs in this process and takes STARTTLS and sign-in."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.channels import ChannelError, ChannelSettingsError, Destination, Message
from otelbridge.channels.courier import deliver_now
from otelbridge.channels.mail import Email

PASSWORD = "corr3ct horse"


@dataclass
class Mailbox:
    """What a server took, and how it answers."""

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    answer: str = "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope) -> str:
        if self.answer.startswith("250"):
            mail = message_from_bytes(envelope.content, policy=policy.default)
            self.mails.append(mail)
            self.recipients.append(list(envelope.rcpt_tos))
            self.encrypted.append(session.ssl is not None)
        return self.answer


@dataclass
class MailServer:
    mailbox: Mailbox
    port: int
    ca_certs: str

    def channel(self, **changes: Any) -> Email:
        values = {
            "host": "localhost",
            "port": self.port,
            "user": "otel",
            "password": PASSWORD,
            "sender": "Alarms <alarms@example.org>",
            "to": "ada@example.org, bob@example.org",
            "ca_certs": self.ca_certs,
        }
        return Email(**{**values, **changes})


def check(server, session, envelope, mechanism, data) -> AuthResult:
    good = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    # Not handled yet: the server itself answers 535.
    return AuthResult(success=good, handled=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> tuple[ssl.SSLContext, str]:
    made = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("localhost").configure_cert(context)
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    return context, str(path)


def serve(mailbox: Mailbox, **options: Any) -> Iterator[Controller]:
    class Served(Controller):
        def factory(self) -> SMTP:
            return SMTP(mailbox, authenticator=check, **options)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Served(mailbox, hostname="localhost", port=port)
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()


@pytest.fixture
def mail(authority) -> Iterator[MailServer]:
    context, ca_certs = authority
    mailbox = Mailbox()
    for controller in serve(
        mailbox, tls_context=context, require_starttls=True, auth_required=True
    ):
        yield MailServer(mailbox, controller.port, ca_certs)


@pytest.fixture
def plain_mail() -> Iterator[MailServer]:
    mailbox = Mailbox()
    for controller in serve(mailbox):
        yield MailServer(mailbox, controller.port, "")


def message(**values) -> Message:
    return Message(**{"title": "ValueError: no such order", "severity": "error", **values})


def test_a_mail_goes_encrypted_to_everybody(mail):
    sent = message(
        project="shop",
        text="Заказ не найден <b>",
        tracebacks={"full": "Traceback\nValueError"},
        authors=("ada",),
        count=118,
        link="http://x/1",
    )

    receipt = mail.channel().send(sent)

    (arrived,) = mail.mailbox.mails
    assert mail.mailbox.encrypted == [True]
    assert mail.mailbox.recipients == [["ada@example.org", "bob@example.org"]]
    assert arrived["Subject"] == "shop: ValueError: no such order"
    assert arrived["From"] == "Alarms <alarms@example.org>"
    assert arrived["Message-ID"] == f"<{sent.id}@example.org>"
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert arrived.get_content_type() == "text/plain"
    assert (
        arrived.get_content().splitlines()
        == (
            "ValueError: no such order\n\nЗаказ не найден <b>\n\nTraceback\nValueError\n\n"
            "and 118 more\n\nhttp://x/1\n\nFor: ada"
        ).splitlines()
    )
    assert receipt.reply == "accepted by localhost"


@given(st.text(max_size=400))
def test_no_title_becomes_a_header(title):
    channel = Email(host="h", sender="a@b", to="c@d")

    written = channel.compose(Message(title=title)).as_bytes()

    headers = message_from_bytes(written, policy=policy.default)
    assert set(headers.keys()) == {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted",
        "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
    }  # fmt: skip
    assert len(headers["Subject"]) <= 220


def test_a_title_with_a_line_end_adds_nobody(plain_mail):
    channel = plain_mail.channel(security="none", user="")

    channel.send(message(title="hello\r\nBcc: eve@example.org"))

    assert plain_mail.mailbox.recipients == [["ada@example.org", "bob@example.org"]]
    assert plain_mail.mailbox.mails[0]["Bcc"] is None


def test_ten_megabytes_are_cut_with_more_of_it_as_a_file(mail):
    mail.channel().send(message(tracebacks={"full": "a line of it\n" * 800_000 + "the end"}))

    (arrived,) = mail.mailbox.mails
    (attached,) = arrived.iter_attachments()
    assert attached.get_filename() == "message.txt"
    body = arrived.get_body().get_content()
    assert len(body) < 110_000
    assert "characters cut" in body
    assert len(attached.get_content()) > 6_000_000


def test_a_wrong_password_is_said_without_it(mail):
    channel = mail.channel(password="wrong-password")

    with pytest.raises(ChannelError) as caught:
        deliver_now(Destination(channel=channel), message())

    assert str(caught.value) == "the mail server refuses user and password (535)"
    assert caught.value.failure == "gone"
    assert "wrong-password" not in repr(channel)


def test_a_server_without_encryption_is_given_neither_password_nor_mail(plain_mail):
    with pytest.raises(ChannelError, match="cannot do what is asked") as caught:
        plain_mail.channel().send(message())

    assert caught.value.failure == "gone"
    assert plain_mail.mailbox.mails == []


def test_a_certificate_nobody_vouches_for_is_refused(mail):
    with pytest.raises(ChannelError, match="certificate is not trusted") as caught:
        mail.channel(ca_certs="").send(message())

    assert caught.value.failure == "gone"


def test_one_refused_address_is_noted_and_all_refused_is_an_error(plain_mail):
    channel = plain_mail.channel(security="none", user="")
    plain_mail.mailbox.refuse = {"bob@example.org": "550 5.1.1 No such user here"}

    assert channel.send(message()).note == "refused for bob@example.org"

    plain_mail.mailbox.refuse["ada@example.org"] = "550 5.1.1 No such user here"
    with pytest.raises(
        ChannelError, match=r"no mail for ada@example.org: .*No such user"
    ) as caught:
        channel.send(message())
    assert caught.value.failure == "gone"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ("451 4.7.1 Greylisted, try again later", "temporary"),
        ("452 4.3.1 Insufficient system storage", "temporary"),
        ("552 5.3.4 Message too big", "refused"),
        ("554 5.7.1 Looks like spam", "refused"),
    ],
)
def test_what_a_server_says_decides_whether_to_try_again(plain_mail, answer, failure):
    plain_mail.mailbox.answer = answer

    with pytest.raises(ChannelError, match=answer[4:]) as caught:
        plain_mail.channel(security="none", user="").send(message())

    assert caught.value.failure == failure


def test_the_asynchronous_way_does_the_same(mail):
    assert asyncio.run(mail.channel().send_async(message())).reply == "accepted by localhost"
    assert len(mail.mailbox.mails) == 1


def test_a_server_that_hangs_is_left_after_the_time_allowed(monkeypatch):
    monkeypatch.setattr(Email, "timeout", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        channel = Email(host="127.0.0.1", port=silent.getsockname()[1], sender="a@b", to="c@d")

        with pytest.raises(ChannelError, match=r"no answer within 0.2 s"):
            channel.send(message())


def test_a_server_that_hangs_up_is_said():
    with socket.create_server(("127.0.0.1", 0)) as rude:
        answering = threading.Thread(target=lambda: rude.accept()[0].close(), daemon=True)
        answering.start()
        channel = Email(host="127.0.0.1", port=rude.getsockname()[1], sender="a@b", to="c@d")

        with pytest.raises(ChannelError, match=r"hung up|cannot connect"):
            channel.send(message())


def test_a_file_of_authorities_that_is_none_is_said(mail, tmp_path):
    nothing = Path(tmp_path / "empty.pem")
    nothing.write_text("nothing")

    with pytest.raises(ChannelError, match="ca_certs"):
        mail.channel(ca_certs=str(nothing)).send(message())


@pytest.mark.parametrize(
    "changes", [{"to": ""}, {"to": "nobody"}, {"sender": "a"}, {"to": "a@b\r\nRCPT TO:<eve@x>"}]
)
def test_what_is_no_address_is_refused(changes):
    with pytest.raises(ChannelSettingsError, match="allowed: an address"):
        Email(**{"host": "h", "sender": "a@b", "to": "c@d", **changes})
