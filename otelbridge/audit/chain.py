"""One line of an audit trail: a JSON object that ends with its number, its predecessor and a hash.

The last members of a line's object are

    "otelbridge.audit.sequence": its number in the trail, from 1
    "otelbridge.audit.previous": the hash of the line before it
    "otelbridge.audit.hash": SHA-256 of all of the line that stands before this member

Hashes are of bytes, not of parsed JSON: nothing depends on how a reader spells numbers or orders
keys. With a key they are HMAC-SHA-256 (RFC 2104): nobody without it can make a line that fits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final, NamedTuple

from otelbridge.schema import AUDIT_HASH, AUDIT_PREVIOUS, AUDIT_SEQUENCE, AUDIT_TORN

_HEX: Final = rb'"([0-9a-f]{64})"'


def _name(name: str) -> bytes:
    return re.escape(f'"{name}"').encode()


_ENDING: Final = re.compile(
    rb"(?:,%s:%s)?,%s:([1-9][0-9]{0,17}),%s:%s,%s:%s\}\Z"
    % (
        *(_name(AUDIT_TORN), _HEX, _name(AUDIT_SEQUENCE)),
        *(_name(AUDIT_PREVIOUS), _HEX, _name(AUDIT_HASH), _HEX),
    )
)
# The longest that an ending can be, in bytes.
_ENDING_BYTES: Final = 512
_HASH_MEMBER: Final = f',"{AUDIT_HASH}":'.encode()


class Link(NamedTuple):
    """What binds a line to its neighbours.

    Attributes:
        sequence: the line's number in the trail, from 1.
        previous: the hash of the line before it, in hexadecimal.
        hash: the line's own.
        torn: the hash of an unfinished line that stands between the two, where there is one.
    """

    sequence: int
    previous: str
    hash: str
    torn: str | None = None


# What the first line follows.
BEGINNING: Final = Link(0, "", "0" * 64)


def digest(data: bytes, key: bytes | None = None) -> str:
    """Return the hash of bytes, in hexadecimal."""
    if key is None:
        return hashlib.sha256(data).hexdigest()
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def seal(body: bytes, after: Link, key: bytes | None = None, torn: str | None = None) -> bytes:
    """Bind a line to the one before it.

    Args:
        body: a JSON object on one line, without a line feed.
        after: the line before it.
        key: for a trail whose hashes need a key.
        torn: the hash of an unfinished line in between.

    Returns:
        The line, without a line feed.

    Raises:
        ValueError: the body is not a JSON object on one line.
    """
    body = body.strip()
    if not body.startswith(b"{") or not body.endswith(b"}") or b"\n" in body:
        raise ValueError("an audit trail takes JSON objects, each on one line")
    members = body[1:-1].strip()
    # An object that is empty still gets a first member, so that all endings begin with a comma.
    opened = b"{" + (members or b'"message":""')
    if torn is not None:
        opened += f',"{AUDIT_TORN}":"{torn}"'.encode()
    opened += f',"{AUDIT_SEQUENCE}":{after.sequence + 1},"{AUDIT_PREVIOUS}":"{after.hash}"'.encode()
    return opened + _HASH_MEMBER + f'"{digest(opened, key)}"}}'.encode()


def read_link(line: bytes) -> Link | None:
    """Return what binds a line; ``None`` if it is not a whole line of a trail.

    Args:
        line: without its line feed.
    """
    found = _ENDING.search(line, max(0, len(line) - _ENDING_BYTES))
    if found is None or not line.startswith(b"{"):
        return None
    torn, sequence, previous, own = found.groups()
    return Link(int(sequence), previous.decode(), own.decode(), torn.decode() if torn else None)


def is_unchanged(line: bytes, link: Link, key: bytes | None = None) -> bool:
    """Tell whether a line's hash fits its content."""
    covered = line[: line.rindex(_HASH_MEMBER)]
    return hmac.compare_digest(digest(covered, key), link.hash)
