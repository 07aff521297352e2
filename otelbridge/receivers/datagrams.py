"""Datagrams to log records: lines, parts of lines, several lines, plain text.

No sockets here: bytes go in, records come out, so that any sequence of datagrams can be tried.
"""

from __future__ import annotations

import zlib
from typing import Any

from otelbridge.model import LogRecord
from otelbridge.receivers.counters import ReceiverCounters, SenderCounters
from otelbridge.receivers.lines import record_from_fields, record_from_text
from otelbridge.receivers.parts import Incomplete, Reassembly, read_part
from otelbridge.receivers.plain_json import parse_json
from otelbridge.schema import (
    EVENT_SEQUENCE,
    HOST_NAME,
    MESSAGE,
    PART_ID,
    PROCESS_PID,
    SERVICE_NODE_NAME,
)

Address = tuple[str, int]

MAX_SENDERS = 1_000
# GELF libraries pack by default; nothing honest unpacks to more than this.
_UNPACKED_MAX = 4 * 2**20
MISSING_PARTS = "otelbridge.part.missing"


class DatagramReader:
    """Makes log records of datagrams and counts what each sender lost.

    Args:
        counters: the receiver's.
        senders: filled with what is known of each sender, by its name; the one that was silent
            longest makes room for a new one.
    """

    def __init__(
        self,
        counters: ReceiverCounters,
        senders: dict[str, SenderCounters],
        reassembly: Reassembly | None = None,
    ) -> None:
        self._counters = counters
        self._senders = senders
        self._names: dict[Address, str] = {}
        self._reassembly = reassembly or Reassembly()

    @property
    def waiting(self) -> int:
        """Lines of which not every part has come."""
        return len(self._reassembly)

    def read(self, data: bytes, address: Address, now: int) -> list[LogRecord]:
        """Read one datagram.

        Args:
            address: where it came from.
            now: nanoseconds since the epoch, when it came.

        Returns:
            its records: none for a part whose line is not complete, several for several lines.
        """
        data = self._unpacked(data, now)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("utf-8", "replace")
            data = text.encode()
            self._warn("invalid_utf8", f"a datagram from {_shown(address)} is not valid UTF-8", now)
        if not text.strip("\0 \t\r\n"):
            return []
        return self._read_text(data, text, address, now, joined=False)

    def expire(self, now: int, *, everything: bool = False) -> list[LogRecord]:
        """Give up lines whose parts did not come in time; they become records as they are.

        Args:
            now: nanoseconds since the epoch.
            everything: do not wait any longer for any, as at the end.
        """
        return [
            self._incomplete(line, now)
            for line in self._reassembly.expire(now / 1e9, everything=everything)
        ]

    def _read_text(
        self, data: bytes, text: str, address: Address, now: int, *, joined: bool
    ) -> list[LogRecord]:
        try:
            value = parse_json(data)
        except ValueError:
            return self._read_lines(data, text, address, now)
        if type(value) is dict:
            return self._read_object(value, address, now, joined=joined)
        if type(value) is list and value and all(type(item) is dict for item in value):
            return [
                record
                for item in value
                for record in self._read_object(item, address, now, joined=joined)
            ]
        return [record_from_text(text, now, address[0])]

    def _read_lines(self, data: bytes, text: str, address: Address, now: int) -> list[LogRecord]:
        """Read what is no single JSON value: JSON lines, or a text that is kept whole.

        A text of several lines is one record, since most often it is a traceback.
        """
        lines = data.splitlines() if b"\n" in data and b"{" in data else []
        records: list[LogRecord] = []
        objects = 0
        for line in lines:
            if not line.strip():
                continue
            try:
                value = parse_json(line) if line.lstrip().startswith(b"{") else None
            except ValueError:
                value = None
            if type(value) is dict:
                objects += 1
                records += self._read_object(value, address, now, joined=False)
            else:
                records.append(record_from_text(line.decode(), now, address[0]))
        return records if objects else [record_from_text(text, now, address[0])]

    def _read_object(
        self, fields: dict[str, Any], address: Address, now: int, *, joined: bool
    ) -> list[LogRecord]:
        part = read_part(fields) if PART_ID in fields and not joined else None
        name = self._sender(fields, address)
        sequence = fields.get(EVENT_SEQUENCE)
        # The number is the datagram's, so a line joined from parts has none of its own.
        if type(sequence) is int and 0 < sequence < 2**63 and not joined:
            del fields[EVENT_SEQUENCE]
            self._count(name, sequence, address, now)
        if part is None:
            return [record_from_fields(fields, now)]
        line = self._reassembly.add(name, part, now / 1e9)
        records = self.expire(now)
        if line is not None:
            records += self._read_text(line.encode(), line, address, now, joined=True)
        return records

    def _sender(self, fields: dict[str, Any], address: Address) -> str:
        """Name the sender; a datagram that does not say takes the name its address last had.

        Numbers run for each process, and workers may be given one node name between them: the
        process id is part of the name.
        """
        node = fields.get(SERVICE_NODE_NAME)
        pid = f" pid {str(fields[PROCESS_PID])[:20]}" if PROCESS_PID in fields else ""
        if isinstance(node, str) and node:
            name = f"{node[:256]}{pid}"
        elif pid:
            name = f"{str(fields.get(HOST_NAME, address[0]))[:256]}{pid} ({_shown(address)})"
        else:
            return self._names.get(address) or _shown(address)
        if self._names.get(address) != name:
            if len(self._names) >= MAX_SENDERS:
                del self._names[next(iter(self._names))]
            self._names[address] = name
            nameless = self._senders.pop(_shown(address), None)
            if nameless is not None and name not in self._senders:
                nameless.sender = name
                self._senders[name] = nameless
        return name

    def _count(self, name: str, sequence: int, address: Address, now: int) -> None:
        sender = self._senders.get(name)
        if sender is None:
            if len(self._senders) >= MAX_SENDERS:
                silent = min(self._senders.values(), key=lambda known: known.last_seen)
                del self._senders[silent.sender]
            sender = self._senders[name] = SenderCounters(name)
        sender.note(sequence, address, now / 1e9)

    def _incomplete(self, line: Incomplete, now: int) -> LogRecord:
        message = f"{line.missing} of {line.count} parts of a line from {line.sender} never came"
        self._warn("incomplete_line", message, now)
        fields = {MESSAGE: line.text, PART_ID: line.id, MISSING_PARTS: line.missing}
        return record_from_fields(line.fields | fields, now)

    def _unpacked(self, data: bytes, now: int) -> bytes:
        """Undo the packing that GELF libraries apply: gzip or zlib, told by the first bytes."""
        if data[:2] == b"\x1f\x8b" or (data[:1] == b"\x78" and data[:2] in _ZLIB_STARTS):
            unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS)
            try:
                unpacked = unpacker.decompress(data, _UNPACKED_MAX)
            except zlib.error:
                return data
            if unpacker.eof:
                return unpacked
            self._warn("invalid_packing", "a packed datagram is cut short or too large", now)
        return data

    def _warn(self, reason: str, message: str, now: int) -> None:
        self._counters.reject(reason, message, now / 1e9)


_ZLIB_STARTS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def _shown(address: Address) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
