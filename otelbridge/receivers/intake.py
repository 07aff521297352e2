"""From a decoded request into the store, with its counts: what both OTLP receivers share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from otelbridge.error_groups import identify
from otelbridge.model import Span
from otelbridge.receivers.counters import ReceiverCounters
from otelbridge.receivers.decoded import Decoded, DecodeError
from otelbridge.store.protocol import Store, StoreError, StoreUnavailableError

# A body of this many bytes takes a few milliseconds to decode: longer ones leave the event loop.
LARGE_BODY = 64 * 1024


@dataclass
class Held:
    """Bytes of bodies between arrival and commit, of all receivers together."""

    bytes: int = 0


class Intake:
    """Takes the requests of one receiver.

    Args:
        counters: the receiver's.
        decoders: runs the decoding of large bodies; one thread, so that requests queue for it
            as bytes and not as decoded records.
        held: shared by all receivers.
        max_held_bytes: bodies in memory at one time; more are refused until some are stored.
        heard: told of the spans that were stored.
    """

    def __init__(
        self,
        store: Store,
        counters: ReceiverCounters,
        decoders: ThreadPoolExecutor,
        held: Held,
        max_held_bytes: int,
        heard: Callable[[Sequence[Span]], None] | None = None,
    ) -> None:
        self.counters = counters
        self._store = store
        self._decoders = decoders
        self._held = held
        self._max_held_bytes = max_held_bytes
        self._heard = heard

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Account for a body's bytes while they are held.

        Yields:
            a function to call with each chunk's size; it raises
            :class:`~otelbridge.store.protocol.StoreUnavailableError` where there is no room.
        """
        own = 0

        def hold(size: int) -> None:
            nonlocal own
            own += size
            self._held.bytes += size
            if self._held.bytes > self._max_held_bytes:
                message = "too many requests are waiting to be stored"
                self.reject("store_unavailable", message)
                raise StoreUnavailableError(message, retry_after=1.0)

        try:
            yield hold
        finally:
            self._held.bytes -= own

    async def take(self, decode: Callable[[], Decoded], size: int) -> Decoded:
        """Decode a request and store it; returns once it is committed.

        Args:
            decode: runs here or, for a large body, in a thread.
            size: the body's, in bytes, as it was sent.

        Raises:
            DecodeError: nothing of it can be used.
            StoreUnavailableError: nothing of it was stored; later it may be.
            StoreError: it can never be stored.
        """
        try:
            if size > LARGE_BODY:
                loop = asyncio.get_running_loop()
                decoded = await loop.run_in_executor(self._decoders, _identified, decode)
            else:
                decoded = _identified(decode)
            duplicates = 0
            if len(decoded.batch):
                duplicates = (await self._store.write(decoded.batch)).duplicates
        except DecodeError as error:
            self.reject(error.reason, str(error))
            raise
        except StoreUnavailableError as error:
            self.reject("store_unavailable", str(error))
            raise
        except StoreError as error:
            self.reject("store_error", str(error))
            raise
        except Exception as error:
            self.reject("internal_error", repr(error))
            raise
        batch = decoded.batch
        if self._heard is not None and batch.spans:
            self._heard(batch.spans)
        self.counters.accept(
            logs=len(batch.logs),
            spans=len(batch.spans),
            points=len(batch.points),
            duplicates=duplicates,
            size=size,
        )
        for reason, note in (*decoded.rejections.items(), *decoded.warnings.items()):
            self.reject(reason, note.message, note.count)
        return decoded

    def reject(self, reason: str, message: str, count: int = 1) -> None:
        """Count what was turned away."""
        self.counters.reject(reason, message, time.time(), count)


def _identified(decode: Callable[[], Decoded]) -> Decoded:
    decoded = decode()
    identify(decoded.batch.logs)
    return decoded
