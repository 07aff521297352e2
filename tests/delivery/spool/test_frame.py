"""Frames: what was written is read; what is damaged costs itself and nothing else."""

from __future__ import annotations

from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st

from otelbridge.delivery.payload import Payload
from otelbridge.delivery.spool.frame import (
    DONE,
    HEADER_BYTES,
    MAGIC,
    STATE_OFFSET,
    encode_frame,
    find_header,
    frame_bytes,
    read_header,
    read_payload,
)

SEEDS = st.integers(0, 2**32 - 1)
# Bodies in which a reader could lose its way are among them.
BODIES = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([MAGIC, MAGIC[:2], b"WAIT", b"\0"]), max_size=20).map(b"".join),
)
PAYLOADS = st.builds(
    Payload,
    st.sampled_from(["logs", "traces"]),
    st.integers(0, 2**32 - 1),
    BODIES,
    st.integers(0, 2**64 - 1),
)
TIMES = st.integers(0, 2**64 - 1)


def written(payloads, seed):
    return [encode_frame(payload, seed, place) for place, payload in enumerate(payloads)]


def read_all(data, seed):
    """Read every payload of a segment as a spool does."""

    def read(offset, length):
        return data[offset : offset + length]

    found = []
    offset = 0
    while offset < len(data):
        header = read_header(read, offset, seed) or find_header(read, offset, seed)
        if header is None:
            break
        payload = read_payload(read, header, seed)
        if payload is not None:
            found.append(payload)
        offset = header.end
    return found


@given(PAYLOADS, SEEDS, TIMES)
def test_what_is_written_is_read(payload, seed, time):
    frame = encode_frame(payload, seed, time)

    def read(offset, length):
        return frame[offset : offset + length]

    header = read_header(read, 0, seed)

    assert len(frame) == frame_bytes(payload) == header.end
    assert (header.time, header.count, header.done) == (time, payload.count, False)
    assert read_payload(read, header, seed) == payload


@given(st.lists(PAYLOADS, max_size=6), SEEDS)
def test_frames_follow_each_other(payloads, seed):
    assert read_all(b"".join(written(payloads, seed)), seed) == payloads


@given(st.lists(PAYLOADS, min_size=1, max_size=4), SEEDS)
@settings(max_examples=60)
def test_a_segment_cut_anywhere_keeps_the_frames_before_the_cut(payloads, seed):
    frames = written(payloads, seed)
    data = b"".join(frames)
    ends = [sum(map(len, frames[: place + 1])) for place in range(len(frames))]

    for cut in range(len(data)):
        whole = sum(end <= cut for end in ends)
        assert read_all(data[:cut], seed) == payloads[:whole]


@given(st.data(), st.lists(PAYLOADS, min_size=1, max_size=5), SEEDS, st.integers(1, 255))
@settings(max_examples=400)
def test_a_changed_byte_costs_its_own_frame_at_most(data, payloads, seed, change):
    frames = written(payloads, seed)
    hit = data.draw(st.integers(0, len(frames) - 1))
    place = data.draw(st.integers(0, len(frames[hit]) - 1))
    start = sum(map(len, frames[:hit]))
    damaged = bytearray(b"".join(frames))
    damaged[start + place] ^= change

    read = read_all(bytes(damaged), seed)

    if STATE_OFFSET <= place < HEADER_BYTES:
        assert read == payloads  # whatever else it says, it is not DONE
    else:
        assert read == payloads[:hit] + payloads[hit + 1 :]


@given(st.lists(PAYLOADS, min_size=3, max_size=5), SEEDS, st.binary(min_size=1, max_size=300))
def test_rubbish_between_frames_is_passed_over(payloads, seed, rubbish):
    frames = written(payloads, seed)

    assert read_all(frames[0] + rubbish + b"".join(frames[1:]), seed) == payloads


@given(st.binary(max_size=2000), SEEDS)
def test_rubbish_alone_holds_nothing(rubbish, seed):
    assert read_all(rubbish, seed) == []
    assert read_all(MAGIC + rubbish, seed) == []


@given(PAYLOADS, PAYLOADS, SEEDS, SEEDS)
def test_a_frame_inside_a_body_is_never_taken_for_one_of_the_segment(inner, after, seed, other):
    """A program that logs what a spool holds, and then a damaged header before it."""
    if seed == other:
        other = (other + 1) % 2**32
    outer = Payload("logs", 1, encode_frame(inner, other, 0), 0)
    damaged = bytearray(encode_frame(outer, seed, 0))
    damaged[0] ^= 1

    assert read_all(bytes(damaged) + encode_frame(after, seed, 1), seed) == [after]


@given(PAYLOADS, SEEDS)
def test_a_payload_that_was_sent_is_told_by_its_state(payload, seed):
    frame = bytearray(encode_frame(payload, seed, 0))
    frame[STATE_OFFSET:HEADER_BYTES] = DONE

    assert read_header(lambda offset, length: bytes(frame[offset:][:length]), 0, seed).done


def test_the_next_header_is_found_however_far_it_is():
    payload = Payload("traces", 7, b"body", 3)
    for distance in (0, 1, 65_530, 65_533, 65_536, 65_570, 200_000):
        data = b"\1" * distance + encode_frame(payload, 5, 0)

        def read(offset, length, data=data):
            return data[offset : offset + length]

        assert find_header(read, 0, 5).offset == distance


def test_a_signal_of_a_later_version_is_left_out():
    frame = bytearray(encode_frame(Payload("logs", 1, b"", 0), 0, 0))
    later = Payload("logs", 1, b"later", 1)

    frame[20] = 200
    frame[4:8] = crc32(frame[8:STATE_OFFSET]).to_bytes(4, "little")

    assert read_all(bytes(frame) + encode_frame(later, 0, 0), 0) == [later]
