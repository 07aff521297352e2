"""Telling people, from a program: its own messages, and the errors that nobody caught.

    import otelbridge

    otelbridge.send("the nightly import is through")
    await otelbridge.send_async("it is not", error=error)

Where to, ``OTELBRIDGE_NOTIFY`` says, or ``instrument(notify=[...])``. Nothing here needs
``instrument()`` to have been called.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from otelbridge.channels.courier import Courier, deliver
from otelbridge.channels.definition import checked, parse_destination, parse_destinations
from otelbridge.channels.destination import Destination
from otelbridge.channels.message import Message, Severity
from otelbridge.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from otelbridge.channels.outbox import Delivery

_logger = logging.getLogger("otelbridge.notify")

_BEGIN_SECONDS: Final = 1.0


class _Office:
    """This process's courier; made when it is first needed, from what ``configure`` was given."""

    def __init__(self) -> None:
        # Re-entered where an object that is deleted meanwhile, or a signal, sends a message.
        self.lock = threading.RLock()
        self.settings: Settings | None = None
        self.project = ""
        self.courier: Courier | None = None
        self.made = False
        self.closed_elsewhere = False
        self.times_closed = 0
        self.said: set[str] = set()

    def say_once(self, line: str) -> None:
        if line not in self.said:
            self.said.add(line)
            _logger.warning("%s", line)


_office = _Office()


def configure(settings: Settings, *, project: str = "", closed_elsewhere: bool = False) -> None:
    """Use these settings from now on; messages on their way are not lost.

    Args:
        settings: of which ``notify`` says where to.
        project: the service's name, for messages that name none.
        closed_elsewhere: whoever calls this calls :func:`close` at the program's end as well, so
            that one bound on its time holds for everything.
    """
    with _office.lock:
        _office.settings = settings
        _office.closed_elsewhere = closed_elsewhere
        _office.project = project or _office.project
        previous, _office.courier = _office.courier, None
        _office.made = False
    if previous is not None:
        previous.close(1.0)
    if closed_elsewhere and settings.notify and not settings.sdk_disabled:
        _begin_soon()


def destinations(settings: Settings) -> tuple[Destination, ...]:
    """Read where messages go.

    Raises:
        SettingsError: naming the variable or the argument, and what is allowed.
    """
    given = settings.notify
    if given is None:
        return ()
    try:
        if isinstance(given, str):
            return parse_destinations(given)
        return checked([_destination(one) for one in given])
    except ValueError as error:
        raise SettingsError(f"OTELBRIDGE_NOTIFY is ***; {error}") from None


def post(message: Message) -> list[Delivery]:
    """Hand a message over to every destination; never waits for one, never raises."""
    try:
        courier = _courier()
        return courier.post(_signed(message)) if courier is not None else []
    except Exception as error:
        # A program that reports its own end must reach it.
        _office.say_once(f"a message could not be handed over: {type(error).__name__}: {error}")
        return []


def send(
    text: str = "",
    *,
    title: str = "",
    error: BaseException | None = None,
    severity: Severity | None = None,
    authors: Sequence[str] = (),
    to: Sequence[str] | None = None,
    key: str = "",
    timeout: float = 0.0,
) -> list[Delivery]:
    """Send a message to the program's destinations.

    It is handed over and sent from another thread; what cannot be sent now is tried again.

    Args:
        text: what to say; its first line is the title where none is given.
        title: one line that says what it is about.
        error: an exception, whose traceback is sent in the form each destination asks for.
        severity: info, warning, error or critical; by default info, or error with an ``error``.
        authors: whom to mention, besides those of the destination.
        to: names of destinations; all by default.
        key: messages with the same one are counted, not told, within the cool-down.
        timeout: seconds to wait for the services' answers; 0 returns at once.

    Returns:
        A delivery for each destination: its ``state`` (queued, sent, counted, failed), its
        ``reason`` and the service's ``reply``.

    Raises:
        SettingsError: ``OTELBRIDGE_NOTIFY`` is wrong.
        ValueError: no destination is called so.
    """
    courier = _courier()
    if courier is None:
        return []
    message = _message(text, title, error, severity, authors, key)
    deliveries = courier.post(message, to)
    if timeout > 0:
        courier.wait(deliveries, timeout)
    return deliveries


async def send_async(
    text: str = "",
    *,
    title: str = "",
    error: BaseException | None = None,
    severity: Severity | None = None,
    authors: Sequence[str] = (),
    to: Sequence[str] | None = None,
    timeout: float = 10.0,
) -> list[Delivery]:
    """Send a message now and wait for the services' answers, without holding up the event loop.

    What could not be sent for the time being is handed over, as :func:`send` does.

    Args:
        timeout: seconds to wait for each service. The others are those of :func:`send`.

    Returns:
        A delivery for each destination.

    Raises:
        SettingsError: ``OTELBRIDGE_NOTIFY`` is wrong.
        ValueError: no destination is called so.
    """
    import asyncio  # whoever waits for this has it loaded already; others need not

    courier = await asyncio.to_thread(_courier)
    if courier is None:
        return []
    message = _message(text, title, error, severity, authors, "")
    chosen = courier.chosen(message, to)
    message = await asyncio.to_thread(_masked, message)
    return list(await asyncio.gather(*(_now(courier, one, message, timeout) for one in chosen)))


def told() -> tuple[list[str], list[str]]:
    """Name the destinations that messages go to, and the authors they mention.

    Nothing is made for it: before the first message, or the first second, nobody is named.
    """
    courier = _office.courier
    if courier is None:
        return [], []
    found = courier.destinations
    authors = dict.fromkeys(author for one in found for author in one.authors)
    return [one.name for one in found], list(authors)


def hurry() -> None:
    """Begin to end, without waiting: what was counted or is to be tried later is sent now."""
    with _office.lock:
        courier = _office.courier
    if courier is not None:
        courier.hurry()


def close(timeout: float = 5.0) -> bool:
    """Send what can be sent within ``timeout`` seconds, and stop.

    Returns:
        Whether everything was sent; what was not is kept on disk and sent next time.
    """
    with _office.lock:
        courier, _office.courier = _office.courier, None
        _office.made = False
        _office.times_closed += 1
    return courier.close(timeout) if courier is not None else True


def _begin_soon() -> None:
    """Begin without waiting for a first message: an earlier run may have left some.

    A little later, for a class of the program's own may be in a module that is being loaded.
    """

    closed = _office.times_closed

    def begin() -> None:
        time.sleep(_BEGIN_SECONDS)
        try:
            with _office.lock:
                # The program may be ending by now.
                if _office.times_closed == closed:
                    _courier()
        except Exception as error:
            _office.say_once(f"nobody can be told of errors: {error}")

    # At the very end of a program there may be no more threads: then nothing is begun.
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=begin, name="otelbridge-notify-begin", daemon=True).start()


async def _now(
    courier: Courier, destination: Destination, message: Message, timeout: float
) -> Delivery:
    from otelbridge.channels.channel import ChannelError
    from otelbridge.channels.outbox import Delivery

    delivery = Delivery(
        destination=destination.name, message=message, created=message.time, changed=message.time
    )
    delivery.attempts = 1
    try:
        receipt = await deliver(destination, message, timeout)
    except ChannelError as error:
        if error.failure == "temporary":
            (queued,) = courier.post(message, [destination.name])
            queued.reason = str(error)
            return queued
        delivery.state, delivery.reason = "failed", str(error)
    else:
        delivery.state, delivery.reply, delivery.reason = "sent", receipt.reply, receipt.note
    courier.outbox.record(delivery)
    return delivery


def _courier() -> Courier | None:
    with _office.lock:
        if not _office.made:
            settings = _office.settings = _office.settings or read_settings()
            found = () if settings.sdk_disabled else destinations(settings)
            _office.made = True
            if found:
                _office.courier = _make(settings, found)
        return _office.courier


def _make(settings: Settings, found: tuple[Destination, ...]) -> Courier:
    from otelbridge.channels.file_outbox import FileOutbox
    from otelbridge.records.service import service_fields
    from otelbridge.schema import SERVICE_NAME

    if not _office.project:
        _office.project = settings.service_name or service_fields().get(SERVICE_NAME, "")
    if settings.spool_dir is None:
        return Courier(found, rewrite=_masked)
    folder = Path(settings.spool_dir) / quote(_office.project, safe="") / "notify"
    courier = Courier(found, FileOutbox(folder), rewrite=_masked)
    courier.resume()
    return courier


def _message(
    text: str,
    title: str,
    error: BaseException | None,
    severity: Severity | None,
    authors: Sequence[str],
    key: str,
) -> Message:
    tracebacks = _tracebacks(error) if error is not None else {}
    if not title:
        title, _, rest = str(text).strip().partition("\n")
        text = rest.strip()
        if not title and error is not None:
            # The one line of the minimal form, without the place before it.
            title = tracebacks["minimal"].partition(" - ")[2] or tracebacks["minimal"]
    made = Message(
        title=title,
        text=str(text),
        tracebacks=tracebacks,
        severity=severity or ("error" if error is not None else "info"),
        authors=tuple(authors),
    )
    # Two messages of the program's own are two messages, even where they read the same.
    return _signed(made.with_(key=key or made.id))


def _masked(message: Message) -> Message:
    """Write ``***`` for the secrets in a message, as in every record that leaves the process."""
    from otelbridge.records.redaction import redact_text

    return message.with_(
        title=redact_text(message.title),
        text=redact_text(message.text),
        tracebacks={form: redact_text(text) for form, text in message.tracebacks.items()},
    )


def _signed(message: Message) -> Message:
    return message if message.project else message.with_(project=_office.project)


def _destination(given: object) -> Destination:
    from otelbridge.channels.channel import Channel

    if isinstance(given, Destination):
        return given
    if isinstance(given, Channel):
        return Destination(channel=given)
    if isinstance(given, str):
        return parse_destination(given)
    raise ValueError(f"{type(given).__name__}; allowed: a URL, a Channel or a Destination")


def _tracebacks(error: BaseException) -> dict[str, str]:
    from otelbridge.records.tracebacks import format_traceback

    return {
        "full": format_traceback(error, "full"),
        "clean": format_traceback(error, "clean"),
        "minimal": format_traceback(error, "minimal"),
    }


def _at_exit() -> None:
    if _office.closed_elsewhere:
        return
    settings = _office.settings
    close(settings.shutdown_timeout if settings is not None else 5.0)


def _after_fork() -> None:
    # Another of the parent's threads may have held it.
    _office.lock = threading.RLock()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
