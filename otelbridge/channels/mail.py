"""E-mail, through an SMTP server (RFC 5321), with STARTTLS (RFC 3207) or TLS from the start.

The text is plain, so no reader can take it for markup. ``Message-ID`` is made of the message's own
id, so what is sent again is recognised as the same, and ``Auto-Submitted`` (RFC 3834) keeps
holiday notices from answering.
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime, timezone
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import ClassVar, Final

from otelbridge.channels.channel import (
    Channel,
    ChannelError,
    ChannelSettingsError,
    Failure,
    Receipt,
    option,
)
from otelbridge.channels.cutting import cut_bytes, cut_end, cut_middle, one_line, plain
from otelbridge.channels.message import Message

# Servers take 10 MB and more; what a person reads in a mail is far less.
BODY_LIMIT: Final = 100_000
ATTACHMENT_LIMIT: Final = 7_000_000
_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, kw_only=True)
class Email(Channel):
    """Mail to one or more people, through an SMTP server."""

    kind: ClassVar[str] = "email"
    timeout: ClassVar[float] = 20.0

    host: str = option("the SMTP server")
    port: int = option("its port; by default 587 for starttls, 465 for tls, 25 for none", default=0)
    security: str = option(
        "how the connection is protected", default="starttls", choices=("starttls", "tls", "none")
    )
    user: str = option("who signs in, where the server asks for it", default="")
    password: str = option("the user's password", default="", secret=True)
    sender: str = option("the address it comes from")
    to: str = option("whom it goes to, a comma list")
    ca_certs: str = option("a PEM file of the authorities that are trusted", default="")

    def __post_init__(self) -> None:
        for name, values in (("sender", [self.sender]), ("to", self.recipients)):
            wrong = [one for one in values if "@" not in parseaddr(one)[1] or not one.isprintable()]
            if wrong or not values:
                raise ChannelSettingsError(
                    f"email: {name} is {(wrong or [''])[0]!r}; allowed: an address, name@host"
                )

    @property
    def recipients(self) -> list[str]:
        return [one.strip() for one in self.to.split(",") if one.strip()]

    @property
    def address(self) -> str:
        return f"email:{','.join(self.recipients)}"

    def send(self, message: Message) -> Receipt:
        mail = self.compose(message)
        try:
            with self._connection() as server:
                if self.user:
                    server.login(self.user, self.password)
                refused = server.send_message(mail, self.sender, self.recipients)
        except (smtplib.SMTPException, OSError) as error:
            raise _clear(error, self.timeout) from None
        note = f"refused for {', '.join(sorted(refused))}" if refused else ""
        return Receipt(reply=f"accepted by {self.host}", note=note)

    def compose(self, message: Message) -> EmailMessage:
        """Write the mail."""
        mail = EmailMessage()
        # One line: what stands in a title must not become a header of its own.
        mail["Subject"] = cut_end(one_line(message.heading), 200, len)
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.recipients)
        mail["Date"] = format_datetime(datetime.fromtimestamp(message.time, timezone.utc))
        domain = parseaddr(self.sender)[1].rpartition("@")[2]
        mail["Message-ID"] = f"<{one_line(message.id)}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        trace = plain(message.traceback()).strip()
        authors = " ".join(one_line(author) for author in message.authors)
        parts = [plain(message.title), plain(message.text).strip(), trace, message.more]
        parts += [message.link or "", authors and f"For: {authors}"]
        whole = "\n\n".join(part for part in parts if part) + "\n"
        body = cut_middle(whole, BODY_LIMIT, len)
        mail.set_content(body, charset="utf-8", cte="base64")
        if body != whole:
            mail.add_attachment(
                cut_bytes(whole, ATTACHMENT_LIMIT),
                maintype="text",
                subtype="plain",
                filename="message.txt",
            )
        return mail

    def _connection(self) -> smtplib.SMTP:
        port = self.port or _PORTS[self.security]
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, port, timeout=self.timeout, context=self._trusting())
        server = smtplib.SMTP(self.host, port, timeout=self.timeout)
        if self.security == "starttls":
            try:
                # A server without it is an error: a password must not go over the line in clear.
                server.starttls(context=self._trusting())
            except BaseException:
                server.close()
                raise
        return server

    def _trusting(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_certs or None)
        except (OSError, ssl.SSLError) as error:
            raise ChannelError(
                f"email: ca_certs is {self.ca_certs!r}: {error}", failure="gone"
            ) from None


def _clear(error: Exception, timeout: float) -> ChannelError:
    """Say in one line what kept a mail from being taken (codes: RFC 5321, 4.2)."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return ChannelError(
            f"the mail server refuses user and password ({error.smtp_code})", failure="gone"
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return ChannelError(
            f"the mail server cannot do what is asked: {error}; see security and user",
            failure="gone",
        )
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = [
            (code, _text(said), address) for address, (code, said) in error.recipients.items()
        ]
        code, said, address = answers[0]
        return ChannelError(f"no mail for {address}: {said} ({code})", failure=_failure(code))
    if isinstance(error, smtplib.SMTPResponseException):
        return ChannelError(
            f"the mail server says: {_text(error.smtp_error)} ({error.smtp_code})",
            failure=_failure(error.smtp_code),
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return ChannelError(
            f"the mail server's certificate is not trusted: {error.verify_message}", failure="gone"
        )
    # smtplib says of a read that timed out that the server was disconnected, and quotes it.
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return ChannelError(f"no answer within {timeout:g} s")
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return ChannelError("the mail server hung up")
    return ChannelError(f"cannot connect: {error}")


def _failure(code: int) -> Failure:
    if code < 500:
        return "temporary"
    # 550, 551, 553: the mailbox; 552 and 554: this mail.
    return "refused" if code in {552, 554} else "gone"


def _text(said: bytes | str) -> str:
    return one_line(said.decode("utf-8", "replace") if isinstance(said, bytes) else said)
