"""What every place that payloads wait in can do, whether on disk or in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from otelbridge.delivery.payload import Payload

# Why a spool drops records: few and fixed, for they become a metric's attribute.
FULL: Final = "spool full"
DAMAGED: Final = "spool damaged"
REMOVED: Final = "spool removed"

# Told how many records were dropped, and why.
Dropped = Callable[[int, str], None]


class SpoolError(Exception):
    """A spool cannot be used for now; its text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A payload that waits in a spool.

    Attributes:
        payload: what waits.
        place: the file, or whatever the spool knows it by.
        offset: where in it.
        kept: whether it is where the next process finds it.
    """

    payload: Payload
    place: str
    offset: int = 0
    kept: bool = False


class PayloadStore(Protocol):
    """Payloads in the order in which they were appended.

    One thread may append while another takes; the callback for what is dropped is called on either
    of them.
    """

    @property
    def records(self) -> int:
        """How many records wait here for this process to send them."""

    @property
    def size(self) -> int:
        """How many bytes these take."""

    @property
    def kept(self) -> int:
        """How many of the records the next process would find."""

    def append(self, payload: Payload) -> Entry:
        """Take a payload; the oldest ones make room for it, dropped and counted.

        Returns:
            What :meth:`done` may be called with, also before :meth:`next` comes to it.

        Raises:
            SpoolError: it cannot be kept here; nothing has changed.
        """

    def next(self) -> Entry | None:
        """Return the oldest payload, the same one until it is done; ``None`` if nothing waits.

        What was returned does not make room for others.
        """

    def more(self, count: int, size: int) -> list[Entry]:
        """Return payloads that follow the one :meth:`next` returned, to be sent with it.

        Args:
            count: how many records at most.
            size: how many bytes at most.

        Returns:
            Perhaps fewer than there are; for each :meth:`done` is called as for that one.
        """

    def done(self, entry: Entry) -> bool:
        """Forget a payload, which was sent or given up.

        Returns:
            Whether it was still here; ``False`` means that it was reported as dropped before.
        """

    def adopt(self) -> int:
        """Take over what processes left that have ended.

        To be called at the start and every few seconds.

        Returns:
            How many records that were; they are counted in :attr:`records` from now on.
        """

    def close(self) -> None:
        """Let go of everything; what is on disk stays there for the next process."""

    def start_afresh(self) -> None:
        """Forget what belongs to the parent process, in the child after a fork."""
