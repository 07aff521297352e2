"""OTLP's protobuf messages parsed down to their attributes, which stay bytes until they are read.

The generated classes make two objects of each attribute, most of what decoding costs. Here the
parser hands out a record's attributes as bytes; those that come again in a request, as a call
site's do, are read once, and the others by the few lines below. Whatever is written in an unusual
way is left to the generated classes.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from otelbridge.model import Attributes, Json
from otelbridge.receivers.otlp_protobuf import json_of
from otelbridge.receivers.otlp_records import finite

_FILES: Final = (
    common_pb2,
    resource_pb2,
    logs_pb2,
    trace_pb2,
    logs_service_pb2,
    trace_service_pb2,
)
# By message, the fields that stay bytes. A body that is given twice is joined, as parsers do.
_UNREAD: Final = {
    "LogRecord": {"body", "attributes"},
    "Span": {"attributes"},
    "Event": {"attributes"},
}

# What an attribute's bytes begin with: the tags of KeyValue's and AnyValue's fields.
_KEY: Final = 0x0A
_VALUE: Final = 0x12
_STRING: Final = 0x0A
_BOOL: Final = 0x10
_INT: Final = 0x18
_DOUBLE: Final = 0x21
_SMALL: Final = 0x80
_SHARED: Final = frozenset({str, int, float, bool, type(None)})
_double = struct.Struct("<d").unpack_from


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for module in _FILES:
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            _leave_unread(message)
        pool.Add(file)
    return pool


def _leave_unread(message: DescriptorProto) -> None:
    unread = _UNREAD.get(message.name, ())
    for field in message.field:
        if field.name in unread:
            field.type = FieldDescriptorProto.TYPE_BYTES
            field.label = FieldDescriptorProto.LABEL_REPEATED
            field.ClearField("type_name")
    for inner in message.nested_type:
        _leave_unread(inner)


def _request(module: Any, name: str) -> type[Message]:
    full = module.DESCRIPTOR.message_types_by_name[name].full_name
    return GetMessageClass(_POOL.FindMessageTypeByName(full))


_POOL: Final = _pool()
ShallowLogs: Final = _request(logs_service_pb2, "ExportLogsServiceRequest")
ShallowTraces: Final = _request(trace_service_pb2, "ExportTraceServiceRequest")


class Pairs(dict[bytes, tuple[str, Json]]):
    """The attributes of one request, by their bytes."""

    def __init__(self) -> None:
        super().__init__()
        # By all that stands before a short text: its key, and the size of the whole.
        self._texts: dict[bytes, tuple[str, int]] = {}

    def attributes(self, raws: Iterable[bytes]) -> Attributes:
        """Read the attributes of a record; of a key that is given twice the last value stays.

        Raises:
            google.protobuf.message.DecodeError, UnicodeDecodeError: they are not valid.
        """
        found: Attributes = {}
        get, text = self.get, self._texts.get
        for raw in raws:
            pair = get(raw)
            if pair is None:
                # Where the text begins if key and text are short.
                start = raw[1] + 6 if len(raw) > 1 else 0
                known = text(raw[:start])
                if known is not None and known[1] == len(raw):
                    pair = self[raw] = (known[0], raw[start:].decode())
                else:
                    pair = self._read(raw, start)
            found[pair[0]] = pair[1]
        return found

    def _read(self, raw: bytes, start: int) -> tuple[str, Json]:
        pair = read_pair(raw)
        # Records must not share what one of them could change.
        if type(pair[1]) in _SHARED:
            self[raw] = pair
            if type(pair[1]) is str and _is_short_text(raw, start):
                self._texts[raw[:start]] = (pair[0], len(raw))
        return pair


def _is_short_text(raw: bytes, start: int) -> bool:
    """Whether ``raw`` is a key and then a text, both short, which begins at ``start``."""
    length = len(raw) - start
    return (
        0 <= length < _SMALL - 2
        and raw[0] == _KEY
        and raw[1] < _SMALL
        and raw[start - 4 : start] == bytes((_VALUE, length + 2, _STRING, length))
    )


def read_pair(raw: bytes) -> tuple[str, Json]:
    """Read one ``KeyValue``; raises as :meth:`Pairs.attributes` does."""
    size = len(raw)
    if size > 3 and raw[0] == _KEY and (key := raw[1]) < _SMALL:
        # Where the value begins if its length is one byte; and its length then.
        at = key + 4
        length = size - at
        if 1 < length < _SMALL and raw[at - 2] == _VALUE and raw[at - 1] == length:
            # The same text for the same key: looking it up is then comparing addresses.
            name = sys.intern(raw[2 : at - 2].decode())
            if raw[at] == _STRING and raw[at + 1] == length - 2:
                return name, raw[at + 2 :].decode()
            return name, read_value(raw[at:])
        if (
            length > _SMALL
            and raw[at - 2] == _VALUE
            and raw[at - 1] >= _SMALL > raw[at]
            and raw[at - 1] - _SMALL + (raw[at] << 7) == length - 1
        ):
            return sys.intern(raw[2 : at - 2].decode()), read_value(raw[at + 1 :])
    pair = common_pb2.KeyValue.FromString(raw)
    return pair.key, json_of(pair.value, pair.value.WhichOneof("value"), 0)


def read_body(raws: Iterable[bytes]) -> Json:
    """Read a log's body; raises as :meth:`Pairs.attributes` does."""
    return read_value(b"".join(raws))


def read_value(raw: bytes) -> Json:
    """Read one ``AnyValue`` as plain JSON data; raises as :meth:`Pairs.attributes` does."""
    size = len(raw)
    if not size:
        return None
    tag = raw[0]
    if size < 2:
        pass
    elif tag == _STRING:
        if raw[1] == size - 2 and size < _SMALL + 2:
            return raw[2:].decode()
        if (
            size > _SMALL + 2
            and raw[1] >= _SMALL > raw[2]
            and raw[1] - _SMALL + (raw[2] << 7) == size - 3
        ):
            return raw[3:].decode()
    elif tag == _INT:
        if size == 2 and raw[1] < _SMALL:
            return raw[1]
        # Ten bytes are a negative number.
        if size < 11 and raw[-1] < _SMALL:
            number = shift = 0
            for byte in raw[1:-1]:
                if byte < _SMALL:
                    break
                number |= (byte - _SMALL) << shift
                shift += 7
            else:
                return number | raw[-1] << shift
    elif tag == _DOUBLE:
        if size == 9:
            return finite(_double(raw, 1)[0])
    elif tag == _BOOL and size == 2 and raw[1] < 2:
        return raw[1] == 1
    value = common_pb2.AnyValue.FromString(raw)
    return json_of(value, value.WhichOneof("value"), 0)
