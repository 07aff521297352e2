"""Unpacking of request bodies, with the limit enforced while unpacking."""

from __future__ import annotations

import zlib

from otelbridge.receivers.decoded import DecodeError

ENCODINGS = ("gzip", "deflate", "identity")

_STEP = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class BodyTooLargeError(DecodeError):
    """A body above the limit, packed or unpacked."""

    def __init__(self, limit: int, form: str) -> None:
        super().__init__(
            "body_too_large",
            f"the body is larger than {limit} bytes {form}; send smaller batches or raise "
            "OTELBRIDGE_MAX_BODY_BYTES",
        )


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a ``Content-Encoding``.

    Args:
        encoding: one of :data:`ENCODINGS`, or empty.
        limit: largest result, in bytes; what would be larger is never held whole.

    Raises:
        BodyTooLargeError: the result is larger than the limit.
        DecodeError: the body is not what its encoding says.
    """
    if encoding in {"", "identity"}:
        return body
    # "deflate" means zlib's format (RFC 9110, 8.4.1.2), yet some senders leave its header out.
    bare = encoding == "deflate" and not (
        len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    )
    window = _GZIP if encoding == "gzip" else -zlib.MAX_WBITS if bare else zlib.MAX_WBITS
    unpacked: list[bytes] = []
    size = 0
    rest = body
    # Several gzip members after one another are one body (RFC 1952, 2.2).
    while rest or not unpacked:
        stream = zlib.decompressobj(window)
        while not stream.eof:
            try:
                piece = stream.decompress(rest, _STEP)
            except zlib.error as error:
                raise DecodeError(
                    "invalid_encoding", f"the body is not valid {encoding}: {error}"
                ) from None
            rest = stream.unconsumed_tail
            size += len(piece)
            if size > limit:
                raise BodyTooLargeError(limit, "unpacked")
            unpacked.append(piece)
            if not piece and not rest and not stream.eof:
                raise DecodeError(
                    "invalid_encoding", f"the body ends in the middle of its {encoding}"
                )
        rest = stream.unused_data
        if encoding == "deflate" and rest:
            raise DecodeError("invalid_encoding", "the body goes on after the end of its deflate")
    return b"".join(unpacked)
