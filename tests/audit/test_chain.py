"""A line of an audit trail: bound to the one before it, byte for byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.audit.chain import BEGINNING, Link, digest, is_unchanged, read_link, seal

objects = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
)
links = st.builds(
    Link,
    st.integers(0, 10**9),
    st.just(""),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)
keys = st.none() | st.binary(min_size=1, max_size=40)


def body_of(fields: dict) -> bytes:
    return json.dumps(fields).encode()


@given(objects, links, keys, st.none() | st.binary().map(digest))
def test_what_is_sealed_reads_back_and_keeps_its_fields(fields, after, key, torn):
    line = seal(body_of(fields), after, key, torn)

    link = read_link(line)
    assert link is not None
    assert (link.sequence, link.previous, link.torn) == (after.sequence + 1, after.hash, torn)
    assert is_unchanged(line, link, key)
    assert fields.items() <= json.loads(line).items() or any(
        name.startswith("otelbridge.audit.") for name in fields
    )


@given(objects, links, keys, st.data())
def test_no_byte_can_be_changed_unseen(fields, after, key, data):
    line = seal(body_of(fields), after, key)
    place = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[place]))

    forged = line[:place] + bytes([other]) + line[place + 1 :]

    link = read_link(forged)
    assert link is None or not is_unchanged(forged, link, key)


@given(objects, links)
def test_without_the_key_no_line_can_be_made_that_fits(fields, after):
    line = seal(body_of(fields), after, b"another")

    link = read_link(line)
    assert link is not None
    assert not is_unchanged(line, link, b"the key")


@given(st.binary())
def test_any_bytes_are_read_or_refused(line):
    link = read_link(line)

    assert link is None or line.endswith(b"}")


@pytest.mark.parametrize("body", [b"", b"text", b"[1]", b'{"a":\n1}', b'{"a":1'])
def test_only_objects_on_one_line_are_taken(body):
    with pytest.raises(ValueError, match="JSON objects, each on one line"):
        seal(body, BEGINNING)


def test_a_field_that_pretends_to_be_the_ending_does_not_become_it():
    pretended = {"otelbridge.audit.sequence": 9, "otelbridge.audit.hash": "f" * 64}

    link = read_link(seal(body_of(pretended), BEGINNING))

    assert link is not None
    assert link.sequence == 1
    assert link.hash != "f" * 64
