"""Datagrams of every kind become records."""

from __future__ import annotations

import gzip
import json
import zlib

import orjson
import pytest

from otelbridge.receivers.counters import ReceiverCounters
from otelbridge.receivers.datagrams import MAX_SENDERS, DatagramReader
from otelbridge.receivers.otlp_records import CUT

NOW = 1_800_000_000 * 10**9
HERE = ("10.0.0.1", 5000)


@pytest.fixture
def reader():
    return DatagramReader(ReceiverCounters("UDP"), {})


def read(reader, data, address=HERE, now=NOW):
    return reader.read(data if isinstance(data, bytes) else orjson.dumps(data), address, now)


def part(number, count, data, **fields):
    return {
        "otelbridge.part.id": "line",
        "otelbridge.part.number": number,
        "otelbridge.part.count": count,
        "otelbridge.part.data": data,
        **fields,
    }


def test_a_datagram_is_a_record(reader):
    (record,) = read(reader, {"message": "x", "a": 1})
    assert (record.body, record.attributes) == ("x", {"a": 1})


@pytest.mark.parametrize("separator", [b"\n", b"\r\n", b"\n\n"])
def test_several_lines_are_several_records(reader, separator):
    lines = [b'{"message":"a"}', b'{"message":"b"}', b"plain", b'{"broken']
    records = read(reader, separator.join(lines) + separator)
    assert [record.body for record in records] == ["a", "b", "plain", '{"broken']


def test_a_list_of_objects_is_several_records(reader):
    assert [record.body for record in read(reader, [{"msg": "a"}, {"msg": "b"}])] == ["a", "b"]


def test_an_object_over_several_lines_is_one_record(reader):
    (record,) = read(reader, json.dumps({"message": "x", "a": {"b": 1}}, indent=2).encode())
    assert record.attributes == {"a": {"b": 1}}


def test_text_over_several_lines_is_one_record(reader):
    (record,) = read(reader, b"Traceback (most recent call last):\n  File\nValueError: x\n")
    assert record.body == "Traceback (most recent call last):\n  File\nValueError: x"


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t\0", b"\xef\xbb\xbf"[:0]])
def test_an_empty_datagram_is_no_record(reader, data):
    assert read(reader, data) == []


@pytest.mark.parametrize("data", [b"42", b'"text"', b"null", b"[]", b"[1, 2]"])
def test_json_that_is_no_object_is_text(reader, data):
    assert [record.body for record in read(reader, data)] == [data.decode()]


def test_invalid_utf8_is_kept_with_replacement_marks_and_counted():
    counters = ReceiverCounters("UDP")
    reader = DatagramReader(counters, {})
    (record,) = read(reader, b'{"message":"caf\xe9","user":"alice"}')
    assert (record.body, record.attributes) == ("caf\ufffd", {"user": "alice"})
    (record,) = read(reader, b"caf\xe9")
    assert record.body == "caf\ufffd"
    assert counters.rejected == {"invalid_utf8": 2}
    assert counters.last_rejection[1] == "a datagram from 10.0.0.1:5000 is not valid UTF-8"


def test_what_pythons_encoder_writes_is_read(reader):
    line = json.dumps({"message": "\ud83d", "nan": float("nan"), "big": 2**80, "ok": "😀"})
    (record,) = read(reader, line.encode())
    assert record.body == "\ufffd"
    assert record.attributes == {"nan": "NaN", "big": str(2**80), "ok": "😀"}


def test_deep_nesting_is_cut_with_a_mark(reader):
    (record,) = read(reader, b'{"a":' * 200 + b"1" + b"}" * 200)
    assert CUT in json.dumps(record.attributes, ensure_ascii=False)
    (record,) = read(reader, b"[" * 5_000)
    assert record.body == "[" * 5_000


def test_parts_are_joined_in_any_order(reader):
    line = json.dumps({"message": "long", "ecs.version": "8.11.0", "user": "alice"})
    parts = [part(n + 1, 3, line[n * 20 : (n + 1) * 20 if n < 2 else None]) for n in range(3)]
    assert read(reader, parts[2]) == []
    assert read(reader, parts[0]) == []
    assert reader.waiting == 1
    (record,) = read(reader, parts[1])
    assert (record.body, record.attributes) == ("long", {"user": "alice"})
    assert reader.waiting == 0


def test_an_incomplete_line_is_stored_as_it_is_and_counted():
    counters = ReceiverCounters("UDP")
    reader = DatagramReader(counters, {})
    read(reader, part(2, 3, "the middle", **{"service.name": "shop", "process.pid": 7}))
    assert reader.expire(NOW) == []
    (record,) = reader.expire(NOW + 6 * 10**9)
    assert record.body == "…[lost: part 1 of 3]the middle…[lost: part 3 of 3]"
    assert record.attributes == {"otelbridge.part.id": "line", "otelbridge.part.missing": 2}
    assert record.resource == {"service.name": "shop", "process.pid": 7}
    assert counters.rejected == {"incomplete_line": 1}


def test_a_joined_line_that_is_a_part_again_is_not_joined_again(reader):
    inner = json.dumps(part(1, 2, "x"))
    (record,) = read(reader, part(1, 1, inner))
    assert record.attributes["otelbridge.part.data"] == "x"


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_packed_gelf_is_unpacked(reader, pack):
    (record,) = read(reader, pack(b'{"version":"1.1","short_message":"packed"}'))
    assert record.body == "packed"


def test_a_packed_bomb_is_stopped():
    counters = ReceiverCounters("UDP")
    reader = DatagramReader(counters, {})
    (record,) = read(reader, gzip.compress(bytes(50_000_000)))
    assert len(record.body) < 100_000
    assert counters.rejected["invalid_packing"] == 1


def test_a_sender_is_known_by_its_node_name_wherever_it_sends_from():
    senders = {}
    reader = DatagramReader(ReceiverCounters("UDP"), senders)
    for number, port in ((1, 5000), (2, 5001), (5, 5001)):
        line = {"ecs.version": "8", "service.node.name": "n", "event.sequence": number}
        read(reader, line, ("10.0.0.1", port))
    assert list(senders) == ["n"]
    assert (senders["n"].received, senders["n"].lost) == (3, 2)


def test_processes_that_share_a_node_name_are_counted_apart():
    senders = {}
    reader = DatagramReader(ReceiverCounters("UDP"), senders)
    for number in (1, 2, 3):
        for pid in (7, 8):
            read(reader, {"service.node.name": "n", "process.pid": pid, "event.sequence": number})
    assert [(known.sender, known.received, known.lost) for known in senders.values()] == [
        ("n pid 7", 3, 0),
        ("n pid 8", 3, 0),
    ]


def test_without_a_node_name_host_process_and_address_tell_senders_apart():
    senders = {}
    reader = DatagramReader(ReceiverCounters("UDP"), senders)
    for pid in (1, 2):
        read(reader, {"host.name": "web", "process.pid": pid, "event.sequence": 1})
    assert list(senders) == ["web pid 1 (10.0.0.1:5000)", "web pid 2 (10.0.0.1:5000)"]


def test_parts_count_for_the_sender_of_the_lines_around_them():
    senders = {}
    reader = DatagramReader(ReceiverCounters("UDP"), senders)
    read(reader, part(1, 2, "a", **{"event.sequence": 1}))
    read(reader, {"service.node.name": "n", "event.sequence": 3})
    read(reader, part(2, 2, "b", **{"event.sequence": 2}))
    assert list(senders) == ["n"]
    assert (senders["n"].received, senders["n"].lost) == (3, 0)


def test_the_sequence_number_is_no_attribute(reader):
    (record,) = read(reader, {"message": "x", "event.sequence": 1})
    assert record.attributes == {}


def test_memory_of_senders_is_bounded():
    senders = {}
    reader = DatagramReader(ReceiverCounters("UDP"), senders)
    for number in range(MAX_SENDERS + 50):
        line = {"service.node.name": f"n{number}", "event.sequence": 1}
        read(reader, line, ("10.0.0.1", number), NOW + number)
    assert len(senders) == MAX_SENDERS
    assert f"n{MAX_SENDERS + 49}" in senders
    assert "n0" not in senders
