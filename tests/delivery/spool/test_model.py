"""Whatever is appended, sent, left by crashes and taken over: order is kept, every loss counted."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.delivery.spool.payloads import (
    Losses,
    bytes_in,
    descriptors,
    files,
    number_of,
    numbered,
    spool_in,
)

PLACES = st.integers(0, 2)


class Process:
    """One that uses the folder, and what is known of it."""

    def __init__(self, folder, max_bytes):
        self.losses = Losses()
        self.spool = spool_in(folder, self.losses, max_bytes=max_bytes)
        self.taken = 0
        self.finished = 0

    @property
    def waiting(self):
        return self.taken - self.finished - self.losses.total()


class Processes(RuleBasedStateMachine):
    """Three processes with one folder; one that crashes is replaced by a new one."""

    max_bytes = 2**20

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp()) / "spool"
        self.opened = descriptors()
        self.number = 0
        self.records = 0
        self.lost = 0
        self.origins = {}
        self.sent = {}
        self.living = [self.new() for _ in range(3)]

    def new(self):
        return Process(self.folder, self.max_bytes)

    @rule(place=PLACES, count=st.integers(1, 5), size=st.integers(0, 700), times=st.integers(1, 12))
    def append(self, place, count, size, times):
        process = self.living[place]
        for _ in range(times):
            self.number += 1
            self.origins[self.number] = (id(process), count)
            self.sent.setdefault(id(process), [])
            process.spool.append(numbered(self.number, count=count, size=size))
            process.taken += count
            self.records += count

    @rule(place=PLACES)
    def look(self, place):
        self.living[place].spool.next()

    @rule(place=PLACES, times=st.integers(1, 12))
    def send(self, place, times):
        process = self.living[place]
        for _ in range(times):
            entry = process.spool.next()
            if entry is None:
                assert process.waiting == 0
                return
            number = number_of(entry.payload)
            origin, count = self.origins[number]
            assert entry.payload.count == count
            earlier = self.sent[origin]
            # Never twice, and always behind what the same process appended before.
            assert not earlier or earlier[-1] < number
            earlier.append(number)
            assert process.spool.done(entry)
            process.finished += count

    @rule(place=PLACES)
    def crash(self, place):
        process = self.living[place]
        # What it was sending while the segment that held it made room is in memory only.
        self.lost += process.spool.records - process.spool.kept
        # What the system does with its files and locks at its end.
        process.spool.start_afresh()
        self.replace(place)

    @rule(place=PLACES)
    def close(self, place):
        self.living[place].spool.close()
        self.replace(place)

    def replace(self, place):
        self.lost += self.living[place].losses.total()
        # The place in memory must not be another's, by which its origin is known.
        self.sent[None] = [*self.sent.get(None, ()), self.living[place]]
        self.living[place] = self.new()

    @rule(place=PLACES)
    def adopt(self, place):
        process = self.living[place]
        process.taken += process.spool.adopt()

    @precondition(lambda self: self.folder.exists())
    @rule()
    def others_put_files_there(self):
        (self.folder / "notes.txt").write_text("mine")

    @invariant()
    def what_is_said_to_wait_waits(self):
        for process in self.living:
            # What was taken over to make room is told with the next adopt().
            assert process.spool.records == process.waiting + process.spool._unreported

    @invariant()
    def descriptors_are_few(self):
        assert descriptors() - self.opened <= 3 * len(self.living)

    def teardown(self):
        for process in self.living:
            process.spool.close()
            self.lost += process.losses.total()
        last = Process(self.folder, 2**30)
        last.spool.adopt()
        while (entry := last.spool.next()) is not None:
            origin, _ = self.origins[number_of(entry.payload)]
            assert entry.payload.sequence not in self.sent[origin]
            self.sent[origin].append(entry.payload.sequence)
            last.spool.done(entry)
        last.spool.close()
        sent = [number for origin, numbers in self.sent.items() if origin for number in numbers]
        assert len(sent) == len(set(sent))
        assert sum(self.origins[number][1] for number in sent) + self.lost == self.records
        assert not last.losses
        if self.folder.exists():
            assert files(self.folder) == files(self.folder, ".lock") == []
        assert descriptors() == self.opened
        shutil.rmtree(self.folder.parent)


class BoundedProcesses(Processes):
    """The same with room for some thirty payloads only."""

    max_bytes = 12_000

    @invariant()
    def the_folder_is_bounded(self):
        # Each may hold one payload beyond its share until the others have made room.
        if self.folder.exists():
            assert bytes_in(self.folder) <= 3 * self.max_bytes


TestProcesses = Processes.TestCase
TestBoundedProcesses = BoundedProcesses.TestCase
TestProcesses.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBoundedProcesses.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
