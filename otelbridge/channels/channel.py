"""What a channel is: a way to a person, with the fields its form needs and two ways to send.

A channel of one's own is a dataclass that declares its fields with :func:`option` and writes
``send``; ``send_async`` too, where it has a better way than a thread:

    from dataclasses import dataclass
    from otelbridge.channels import Channel, ChannelError, Message, Receipt, option

    @dataclass(frozen=True, kw_only=True)
    class Pager(Channel):
        number: str = option("the number to page")
        pin: str = option("the pager's code", secret=True)

        def send(self, message: Message) -> Receipt | None:
            ...

It is named where destinations are by its import path: ``class:shop.pager.Pager?number=7&pin=1``.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from otelbridge.channels.cutting import cut_end, one_line
from otelbridge.channels.message import Message

Failure = Literal["temporary", "refused", "gone"]


class ChannelError(Exception):
    """A message did not arrive; its text is one line for the user, without secrets.

    Attributes:
        failure: ``temporary`` (the same may arrive later), ``refused`` (this message never will)
            or ``gone`` (no message will until somebody puts the destination right).
        retry_after: seconds the service asked to be left alone, if it did.
        arrived: what of the message arrived all the same, for the channel's next try.
    """

    def __init__(
        self,
        reason: str,
        *,
        failure: Failure = "temporary",
        retry_after: float | None = None,
        arrived: str = "",
    ) -> None:
        super().__init__(cut_end(one_line(reason), 500))
        self.failure = failure
        self.retry_after = retry_after
        self.arrived = arrived


class ChannelSettingsError(ValueError):
    """A channel cannot be made of these values; its text says which one, and what is allowed.

    Attributes:
        problems: what is wrong, by the name of the field, where it is known.
    """

    def __init__(self, text: str, problems: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.problems = dict(problems or {})


@dataclass(frozen=True, slots=True)
class Receipt:
    """A message arrived.

    Attributes:
        reply: what the service answered, in a few words.
        pause: seconds to wait before the next message, where the service said so.
        note: what did not come along, if something did not (an attachment, say).
    """

    reply: str = ""
    pause: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a channel's form.

    Attributes:
        name: the attribute's name, and the key in a URL or a table.
        kind: what is typed: text, a number, a switch, or one of ``choices``.
        secret: shown masked, never written back.
        required: has no default.
    """

    name: str
    help: str
    kind: Literal["text", "number", "switch", "choice"] = "text"
    secret: bool = False
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()


def option(
    help: str, *, default: Any = MISSING, secret: bool = False, choices: tuple[str, ...] = ()
) -> Any:
    """Declare a field of a channel: what a person fills in.

    Args:
        help: what it is, in a few words.
        default: what holds where nothing is given; without it the field is required.
        secret: a password or a token: not in the channel's ``repr``, and taken out of whatever
            is said about the channel.
        choices: the values allowed, where there are few.
    """
    metadata = {"help": help, "secret": secret, "choices": choices}
    if default is MISSING:
        return field(repr=not secret, metadata=metadata)
    return field(default=default, repr=not secret, metadata=metadata)


class Channel:
    """A way to a person. Subclasses are frozen dataclasses whose fields are :func:`option`.

    Attributes:
        kind: the service's name, as it is shown.
        interval: seconds between two messages that the service is known to bear.
        timeout: seconds that one step of a sending may take.
        resumes: whether ``send`` takes a second argument, what an earlier try brought there.
    """

    kind: ClassVar[str] = ""
    resumes: ClassVar[bool] = False
    interval: ClassVar[float] = 0.0
    timeout: ClassVar[float] = 10.0

    def prepare(self) -> None:
        """Load what sending needs; called on a thread of the channel's own, before it is needed.

        An import at the end of a program that was interrupted would change its exit code: CPython
        forgets the interrupt whenever a module makes code of a string, as dataclasses do.
        """

    def send(self, message: Message) -> Receipt | None:
        """Send a message and wait for the service's answer.

        Raises:
            ChannelError: it did not arrive.
        """
        raise NotImplementedError(f"{type(self).__name__} does not send")

    async def send_async(self, message: Message) -> Receipt | None:
        """Send a message without holding up the event loop; by default in a thread.

        Raises:
            ChannelError: it did not arrive.
        """
        import asyncio  # whoever waits for this has it loaded already; others need not

        return await asyncio.to_thread(self.send, message)

    @property
    def address(self) -> str:
        """Where it leads, without secrets, for lists and logs."""
        return self.kind

    @classmethod
    def form(cls) -> list[FormField]:
        """List the fields its form needs."""
        return [_form_field(cls, spec) for spec in fields(cls)]  # type: ignore[arg-type]

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Channel:
        """Make the channel of what a form, a table or a URL gave.

        Raises:
            ChannelSettingsError: a value is missing, unknown or not allowed.
        """
        form = {one.name: one for one in cls.form()}
        problems: dict[str, str] = {}
        known = ", ".join(form) or "none"
        for name in values:
            if name not in form:
                problems[name] = f"{cls.kind} has no {name!r}; allowed: {known}"
        given: dict[str, Any] = {}
        for one in form.values():
            value = values.get(one.name)
            if value is None or value == "":
                if one.required:
                    problems[one.name] = f"{cls.kind} needs {one.name}: {one.help}"
                continue
            try:
                given[one.name] = _read(cls.kind, one, value)
            except ChannelSettingsError as error:
                problems[one.name] = str(error)
        if problems:
            raise ChannelSettingsError(next(iter(problems.values())), problems)
        try:
            return cls(**given)
        except ChannelSettingsError as error:
            # A channel's own check names the field as every line here does.
            field = str(error).partition(": ")[2].partition(" is ")[0]
            if not error.problems and field in form:
                error.problems = {field: str(error)}
            raise

    def secrets(self) -> list[str]:
        """List the values that nobody may read."""
        return [
            value
            for spec in fields(self)  # type: ignore[arg-type]
            if spec.metadata.get("secret")
            and isinstance(value := getattr(self, spec.name), str)
            # What is this short stands in every second text.
            and len(value) >= 4
        ]

    def without_secrets(self, text: str) -> str:
        """Put ``***`` where a secret of this channel stands in a text."""
        for secret in sorted(self.secrets(), key=len, reverse=True):
            for form in {secret, quote(secret, safe=""), quote(secret)}:
                text = text.replace(form, "***")
        return text


def failed(channel: Channel, error: Exception) -> ChannelError:
    """Make one clear line of whatever a channel raised, without its secrets."""
    if isinstance(error, ChannelError):
        reason = channel.without_secrets(str(error))
        made = ChannelError(
            reason,
            failure=error.failure,
            retry_after=error.retry_after,
            arrived=error.arrived,
        )
    else:
        # Its own text is left out where it has none, or where asking for it fails as well.
        try:
            said = str(error)
        except Exception:
            said = ""
        reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
        made = ChannelError(channel.without_secrets(reason))
    return made


def _form_field(cls: type, spec: Field[Any]) -> FormField:
    kind: Literal["text", "number", "switch", "choice"] = "text"
    choices = tuple(spec.metadata.get("choices", ()))
    plain = _plain_type(typing.get_type_hints(cls).get(spec.name, str))
    if choices:
        kind = "choice"
    elif plain is bool:
        kind = "switch"
    elif plain in (int, float):
        kind = "number"
    required = spec.default is MISSING and spec.default_factory is MISSING
    return FormField(
        name=spec.name,
        help=spec.metadata.get("help", ""),
        kind=kind,
        secret=bool(spec.metadata.get("secret")),
        required=required,
        default=None if spec.default is MISSING else spec.default,
        choices=choices,
    )


def _plain_type(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (first, *_) = [one for one in typing.get_args(hint) if one is not type(None)]
        return first
    return hint


def _read(kind: str, one: FormField, value: Any) -> Any:
    if one.kind == "text":
        return str(value)
    shown = "***" if one.secret else repr(value)
    text = str(value).strip()
    if one.kind == "choice":
        if text.lower() in one.choices:
            return text.lower()
        allowed = ", ".join(one.choices)
    elif one.kind == "switch":
        if text.lower() in {"true", "1", "yes", "on"}:
            return True
        if text.lower() in {"false", "0", "no", "off"}:
            return False
        allowed = "true or false"
    else:
        try:
            number = float(text)
            if number == number and abs(number) != float("inf"):
                return int(text) if text.lstrip("+-").isdigit() else number
        except ValueError:
            pass  # said below, as infinity is
        allowed = "a number"
    raise ChannelSettingsError(f"{kind}: {one.name} is {shown}; allowed: {allowed}")
