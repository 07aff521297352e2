"""Packed bodies: what is valid unpacks, what lies is refused, what explodes is stopped."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.receivers.decoded import DecodeError
from otelbridge.receivers.unpacking import BodyTooLargeError, unpack

LIMIT = 1_000_000


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", PACKERS)
@given(st.binary(max_size=5_000))
def test_what_was_packed_is_unpacked(encoding, data):
    assert unpack(PACKERS[encoding](data), encoding, LIMIT) == data


@given(st.binary(max_size=500))
def test_deflate_without_its_header_is_understood(data):
    assert unpack(bare_deflate(b"{" + data), "deflate", LIMIT) == b"{" + data


def test_several_gzip_members_are_one_body():
    assert unpack(gzip.compress(b"one ") + gzip.compress(b"two"), "gzip", LIMIT) == b"one two"


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_what_is_not_packed_stays(encoding):
    assert unpack(b"\x1f\x8b", encoding, LIMIT) == b"\x1f\x8b"


@pytest.mark.parametrize("encoding", PACKERS)
def test_a_bomb_is_stopped_at_the_limit(encoding):
    bomb = PACKERS[encoding](bytes(100 * LIMIT))
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLargeError, match="larger than 1000000 bytes unpacked"):
            unpack(bomb, encoding, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * LIMIT


def test_a_body_of_exactly_the_limit_is_taken():
    assert len(unpack(gzip.compress(bytes(LIMIT)), "gzip", LIMIT)) == LIMIT
    with pytest.raises(BodyTooLargeError):
        unpack(gzip.compress(bytes(LIMIT + 1)), "gzip", LIMIT)


@pytest.mark.parametrize("encoding", PACKERS)
def test_a_lie_is_refused(encoding):
    with pytest.raises(DecodeError, match=f"not valid {encoding}|middle of its {encoding}"):
        unpack(b"not packed at all", encoding, LIMIT)


@pytest.mark.parametrize("encoding", PACKERS)
@pytest.mark.parametrize("kept", [0, 1, 10, -1])
def test_a_truncated_body_is_refused(encoding, kept):
    packed = PACKERS[encoding](b"some text" * 50)[:kept]
    with pytest.raises(DecodeError) as error:
        unpack(packed, encoding, LIMIT)
    assert error.value.reason == "invalid_encoding"


def test_a_wrong_checksum_is_refused():
    packed = bytearray(gzip.compress(b"some text"))
    packed[-5] ^= 1
    with pytest.raises(DecodeError, match="incorrect data check"):
        unpack(bytes(packed), "gzip", LIMIT)


@pytest.mark.parametrize("encoding", PACKERS)
def test_bytes_after_the_end_are_refused(encoding):
    with pytest.raises(DecodeError):
        unpack(PACKERS[encoding](b"x") + b"more", encoding, LIMIT)


@pytest.mark.parametrize("encoding", PACKERS)
@given(st.binary(max_size=300))
def test_any_bytes_unpack_or_are_refused(encoding, data):
    try:
        unpacked = unpack(data, encoding, LIMIT)
    except DecodeError:
        return
    assert len(unpacked) <= LIMIT
