"""Lines that come to the Collector become the documents that the bridge makes of the same lines."""

from __future__ import annotations

import copy
import json
import socket
import time
from typing import Any

import pytest

from otelbridge import schema
from otelbridge.elasticsearch.documents import log_document
from otelbridge.elasticsearch.names import UDP_DATAGRAMS, UDP_SEQUENCE
from otelbridge.receivers.counters import ReceiverCounters
from otelbridge.receivers.datagrams import DatagramReader
from tests.deploy.stored import Stored, comparable
from tests.testbed.collector_process import Collector
from tests.testbed.fixtures import wait_until

UID = "0197c5b0000070008000{:012x}"
OURS: dict[str, Any] = {
    "@timestamp": "2026-03-01T12:00:00.123456Z",
    "log.level": "WARNING",
    "message": "payment 7 declined",
    "ecs.version": "8.11.0",
    "service.name": "payments",
    "service.version": "1.2",
    "service.environment": "production",
    "service.node.name": "node-1",
    "host.name": "web-1",
    "log.logger": "shop.payments",
    "log.origin.file.name": "/app/pay.py",
    "log.origin.file.line": 17,
    "log.origin.function": "pay",
    "process.pid": 4711,
    "process.thread.id": 140567228906368,
    "process.thread.name": "MainThread",
    "trace.id": "0af7651916cd43dd8448eb211c80319c",
    "span.id": "b7ad6b7169203331",
    "event.sequence": 12,
}

LINES: dict[str, dict[str, Any] | str] = {
    "ours": OURS,
    "ours, with an exception": OURS
    | {
        "error.type": "ValueError",
        "error.message": "no money",
        "error.stack_trace": "Traceback\n  File\nValueError: no money",
    },
    "every type of value": OURS
    | {
        "whole": 500,
        "largest": 2**63 - 1,
        "smallest": -(2**63),
        "fraction": 0.25,
        "whole fraction": 2.0,
        "text": "Привет, 世界 😀",
        "empty": "",
        "nothing": None,
        "yes": True,
        "list": [1, 2.5, "three", None, [4], {"five": 5}],
        "nested": {"deep": {"er": [1, {"n": 7}]}},
        "dotted.name": 1,
        "number as text": "500",
    },
    "a level without a name": OURS | {"log.level": "Level 25"},
    "a level nobody knows": OURS | {"log.level": "BLURB"},
    "no trace": {key: value for key, value in OURS.items() if key not in ("trace.id", "span.id")},
    "a trace id that is none": OURS | {"trace.id": "17"},
    "ECS as objects": {
        "@timestamp": "2026-03-01T12:00:00.000Z",
        "log": {"level": "error", "logger": "app", "origin": {"function": "pay"}, "other": 1},
        "message": "nested",
        "ecs": {"version": "1.6.0"},
        "service": {"name": "cart"},
        "host": {"name": "web-2"},
        "process": {"pid": 9, "thread": {"id": 3, "name": "worker"}, "title": "x"},
        "trace": {"id": "0af7651916cd43dd8448eb211c80319c"},
        "span": {"id": "b7ad6b7169203331"},
        "error": {"type": "E", "message": "m", "stack_trace": "s", "code": 5},
    },
    "python-json-logger's defaults": {
        "asctime": "2026-03-01 12:00:00,123",
        "levelname": "ERROR",
        "name": "app",
        "message": "failed",
        "user": "alice",
    },
    "structlog": {
        "event": "user.login",
        "level": "info",
        "timestamp": "2026-03-01T12:00:00.654321Z",
        "logger": "app.auth",
        "msg": "logged in",
    },
    "zap": {"level": "warn", "ts": 1772366400.25, "caller": "a.go:1", "msg": "slow", "n": 3},
    "pino": {
        "level": 40,
        "time": 1772366400250,
        "pid": 1,
        "hostname": "web-3",
        "msg": "warned",
        "reqId": 7,
    },
    "syslog's numbers": {"level": 3, "message": "disk", "time": 1772366400},
    "Python's numbers": {"level": 30, "message": "careful", "time": 1772366400250001},
    "a time with a zone": {"time": "2026-03-01T13:00:00.5+01:00", "message": "zone"},
    "a time with a zone without a colon": {"time": "2026-03-01 13:00:00+0100", "message": "zone"},
    "a time without a zone": {"time": "2026-03-01 12:00:00.25", "message": "no zone"},
    "nanoseconds": {"time": 1772366400123456789, "message": "nano"},
    "GELF": {
        "version": "1.1",
        "host": "web-4",
        "short_message": "short",
        "timestamp": 1772366400.5,
        "level": 4,
        "_user": "bob",
        "_n": 5,
    },
    "Docker's": {"log": "from a container", "stream": "stdout", "time": "2026-03-01T12:00:00.1Z"},
    "a message that is a number": {"message": 17, "time": 1772366400},
    "a message that is an object": {"message": {"a": 1}, "time": 1772366400},
    "text": "plain text, no JSON",
    "text of several lines": "Traceback (most recent call last):\n  File\nValueError: no",
    "text with braces": "{not json}",
    "something behind the object": '{"message": "a"} and more',
}
OF_ECS = tuple(
    name
    for name, line in LINES.items()
    if not isinstance(line, str) and {"ecs", "ecs.version"} & line.keys()
)
TIMED = {
    name
    for name, line in LINES.items()
    if not isinstance(line, str) and {"@timestamp", "timestamp", "time", "ts"} & line.keys()
}


def _send(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", port))
            # No faster than the system's buffer of 200 kB is read on a busy machine.
            time.sleep(len(datagram) / 5e6)


def _datagram(line: dict[str, Any] | str, number: int) -> bytes:
    if isinstance(line, str):
        return f"{line} #{number}".encode() if not line.startswith("{") else line.encode()
    return json.dumps(line | {"log.record.uid": UID.format(number)}).encode()


def _bridge_document(datagram: bytes, namespace: str) -> dict[str, Any]:
    reader = DatagramReader(ReceiverCounters("udp"), {})
    (record,) = reader.read(datagram, ("127.0.0.1", 1), time.time_ns())
    return copy.deepcopy(log_document(record, namespace).source)


@pytest.mark.parametrize("road", ["udp", "file"])
def test_lines_are_stored_as_the_bridge_stores_them(running: Collector, stored: Stored, road):
    numbered = dict(enumerate(LINES.items()))
    datagrams = {number: _datagram(line, number) for number, (_, line) in numbered.items()}
    file = running.files / "app.jsonl"
    if road == "file":
        datagrams = {n: data for n, data in datagrams.items() if b"\n" not in data}
        file.write_bytes(b"".join(data + b"\n" for data in datagrams.values()))
    else:
        _send(running.udp, *datagrams.values())
    found = stored.wait_for(len(datagrams))
    by_text = {doc["body"]["text"]: doc for doc in found.values() if "text" in doc["body"]}
    differences = {}
    for number, datagram in datagrams.items():
        name, line = numbered[number]
        expected = comparable(_bridge_document(datagram, stored.namespace))
        if isinstance(line, str):
            got = comparable(by_text[datagram.decode()])
            # Where from: the bridge tells the address.
            del expected["resource"]["attributes"]
        else:
            got = comparable(found[UID.format(number)])
        if road == "file" and name not in OF_ECS:
            # Where from: the Collector tells the file, where a line has not our names.
            expected.setdefault("attributes", {})["log.file.path"] = str(file)
        if name not in TIMED:
            # The time it came.
            assert abs(got["@timestamp"] - expected["@timestamp"]) < 60 * 10**9
            del got["@timestamp"], expected["@timestamp"]
        if got != expected:
            differences[name] = (got, expected)
    assert differences == {}


def _parts(line: str, count: int, first_sequence: int = 1) -> list[bytes]:
    size = -(-len(line) // count)
    return [
        json.dumps(
            {
                schema.PART_ID: "p1",
                schema.PART_NUMBER: number + 1,
                schema.PART_COUNT: count,
                schema.EVENT_SEQUENCE: first_sequence + number,
                schema.PART_DATA: line[number * size : (number + 1) * size],
            }
        ).encode()
        for number in range(count)
    ]


def test_a_line_in_parts_is_one_record(running: Collector, stored: Stored):
    whole = _datagram(OURS | {"blob": "ж" * 50_000}, 1)
    _send(running.udp, *_parts(whole.decode(), 40))
    found = stored.wait_for(1)
    assert comparable(found[UID.format(1)]) == comparable(_bridge_document(whole, stored.namespace))


def test_a_text_in_parts_is_one_text(running: Collector, stored: Stored):
    _send(running.udp, *_parts("no JSON " * 1000, 3))
    (document,) = stored.wait_for(1).values()
    assert document["body"] == {"text": "no JSON " * 1000}
    assert "attributes" not in comparable(document)


def test_what_came_of_a_line_with_a_lost_part_is_kept_and_marked(
    running: Collector, stored: Stored
):
    first, *_ = _parts(json.dumps(OURS), 3)
    _send(running.udp, first)
    (document,) = stored.wait_for(1).values()
    assert document["body"]["text"] == json.loads(first)[schema.PART_DATA]
    assert document["attributes"][schema.PART_NUMBER] == 1
    assert schema.PART_DATA not in document["attributes"]
    assert document["attributes"][schema.PART_COUNT] == 3
    assert document["attributes"][schema.PART_ID] == "p1"


def test_the_numbers_of_datagrams_tell_which_did_not_come(running: Collector, stored: Stored):
    whole = _datagram(OURS | {"blob": "x" * 5000}, 5)
    datagrams = [
        *(_datagram(OURS | {schema.EVENT_SEQUENCE: number}, number) for number in (1, 2, 4)),
        *_parts(whole.decode(), 3, first_sequence=5),
    ]
    _send(running.udp, *datagrams)
    seen = {
        int(uid[-12:], 16): (
            document["attributes"][UDP_SEQUENCE],
            document["attributes"][UDP_DATAGRAMS],
        )
        for uid, document in stored.wait_for(4).items()
    }
    assert seen == {1: (1, 1), 2: (2, 1), 4: (4, 1), 5: (7, 3)}
    # Seven were sent, of which the third was lost.
    assert sum(count for _, count in seen.values()) == 6


def test_what_does_not_come_by_udp_has_no_number(running: Collector, stored: Stored):
    line = {key: value for key, value in OURS.items() if key != schema.EVENT_SEQUENCE}
    (running.files / "app.jsonl").write_bytes(_datagram(line, 1) + b"\n")
    (document,) = stored.wait_for(1).values()
    assert not {UDP_SEQUENCE, UDP_DATAGRAMS} & document["attributes"].keys()


def test_a_datagram_of_several_lines_is_several_records(running: Collector, stored: Stored):
    _send(running.udp, b"\n".join(_datagram(OURS, number) for number in range(5)) + b"\n")
    assert stored.wait_for(5).keys() == {UID.format(number) for number in range(5)}


def test_a_line_sent_twice_is_stored_once(running: Collector, stored: Stored):
    for _ in range(10):
        _send(running.udp, *(_datagram(OURS, number) for number in range(5)))
    _send(running.udp, _datagram(OURS | {"message": "last"}, 99))
    wait_until(lambda: UID.format(99) in stored.documents(), "the last line")
    assert len(stored.documents()) == 6
    assert "failed to index" not in running.log.read_text()
