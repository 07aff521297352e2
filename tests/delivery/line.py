"""A destination that tests decide about, and deliveries to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from otelbridge.delivery.answer import TAKEN, Answer
from otelbridge.delivery.counters import Counters
from otelbridge.delivery.sender import Delivery
from otelbridge.delivery.spool import Dropped, PayloadStore, open_spool


class Destination:
    """Takes lists of JSON values; waits in the middle of a sending while ``gate`` is closed.

    Attributes:
        taken: the batches it took.
        answer: asked about each batch; by default all are taken.
        entered: set when a sending begins.
        said: what was reported about it.
    """

    takes_encoded = False
    batch_bytes = 2**20

    def __init__(self) -> None:
        self.taken: list[list[Any]] = []
        self.answer: Callable[[list[Any]], Answer] = lambda batch: TAKEN
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.said: list[str] = []

    def encode(self, records: list[Any]) -> bytes:
        return b"".join(json.dumps(record).encode() + b"\n" for record in records)

    def deliver(self, payload: Any) -> Answer:
        self.entered.set()
        assert self.gate.wait(20)
        batch = [json.loads(line) for line in payload.body.splitlines()]
        assert len(batch) == payload.count
        answer = self.answer(batch)
        if not answer.later:
            self.taken.append(batch)
        return answer

    def waiting(self, answer: Answer) -> None:
        self.said.append(f"waiting: {answer.reason}")

    def recovered(self) -> None:
        return

    def dropped(self, count: int, reason: str) -> None:
        self.said.append(f"dropped {count}: {reason}")

    @property
    def records(self) -> list[Any]:
        return [record for batch in self.taken for record in batch]


class Line:
    """Makes deliveries to one destination that share a spool folder, as processes do."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path | None = folder
        self.made: list[Delivery] = []

    def open_store(self, dropped: Dropped) -> PayloadStore:
        return open_spool(
            self.folder,
            max_bytes=2**20,
            memory_bytes=2**20,
            sync="never",
            dropped=dropped,
            trouble=lambda text: None,
        )

    def to(self, destination: Any, **options: Any) -> Delivery:
        given = {
            "delay": 60.0,
            "batch_size": 512,
            "capacity": 10_000,
            "max_bytes": 2**24,
            **options,
        }
        counters = Counters("test", "logs", "nowhere")
        delivery = Delivery(
            "logs", destination, counters, self.open_store, weigh=lambda record: 100, **given
        )
        self.made.append(delivery)
        return delivery
