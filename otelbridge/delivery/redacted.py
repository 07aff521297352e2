"""OpenTelemetry's records without their secrets, on the thread that encodes them.

A record is not changed, since the program's own processors may hold it too: where something is
secret, a copy goes on in its place.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord

from otelbridge.delivery.payload import DeliveredSignal
from otelbridge.delivery.taken_record import TakenRecord
from otelbridge.delivery.turns import let_others_go_on
from otelbridge.records.redaction import (
    is_secret,
    may_hold_secret,
    redact_text,
    redact_value,
    when_names_change,
)
from otelbridge.schema import ORIGIN_ATTRIBUTES, RECORD_UID

# Written by this package, of what never is a secret.
_OWN: Final = ORIGIN_ATTRIBUTES | {RECORD_UID}
# So many records are first looked at together.
_TOGETHER: Final = 32
# Half a millisecond's work.
_AT_ONCE: Final = 256
_NESTED: Final = frozenset({dict, list, tuple})


def redact_records(signal: DeliveredSignal, records: list[Any]) -> list[Any]:
    """Write ``***`` for the secrets in log records or spans.

    Args:
        signal: what they are.
        records: the SDK's readable log records or spans.

    Returns:
        The same records, or copies of those that held a secret.
    """
    look, redact = (_texts_of_log, _log) if signal == "logs" else (_texts_of_span, _span)
    redacted: list[Any] = []
    for start in range(0, len(records), _TOGETHER):
        if start and start % _AT_ONCE == 0:
            let_others_go_on()
        some = records[start : start + _TOGETHER]
        redacted += some if _are_harmless(look, some) else map(redact, some)
    return redacted


def is_harmless_log(record: Any, most_chars: int) -> bool:
    """Tell at a glance that a log record holds no secret.

    Args:
        record: the SDK's readable log record.
        most_chars: so many characters of text are looked at; one that has more takes longer.
    """
    texts: list[str] = []
    if not _texts_of_log(record, texts):
        return False
    text = "\n".join(texts)
    return len(text) <= most_chars and not may_hold_secret(text)


def _are_harmless(look: Callable[[Any, list[str]], bool], some: Iterable[Any]) -> bool:
    """Look at all texts together: there are many, and hardly ever does one hold a secret.

    Args:
        look: adds the texts of one, and tells whether these are all that can be secret.
        some: records, or attributes.
    """
    texts: list[str] = []
    return all(look(one, texts) for one in some) and not may_hold_secret("\n".join(texts))


def _texts_of_log(readable: Any, texts: list[str]) -> bool:
    if type(readable) is TakenRecord:
        texts.append(readable.body)
        return _add_texts(readable.extras, texts) and _add_texts(readable.told, texts)
    record = readable.log_record
    return _add_texts(record.attributes, texts, record.body)


def _texts_of_span(span: Any, texts: list[str]) -> bool:
    if span._events or span._links:
        return False
    return _add_texts(span._attributes, texts, span._name, span._status.description)


def _log(readable: Any) -> Any:
    if _are_harmless(_texts_of_log, (readable,)):
        return readable
    record = readable.log_record
    body = redact_value("", record.body)
    attributes = _attributes(record.attributes)
    if body is record.body and attributes is record.attributes:
        return readable
    changed = copy.copy(record)
    changed.body, changed.attributes = body, attributes
    return ReadableLogRecord(
        changed, readable.resource, readable.instrumentation_scope, readable.limits
    )


def _span(span: Any) -> Any:
    if _are_harmless(_texts_of_span, (span,)):
        return span
    attributes = _attributes(span._attributes)
    name = redact_text(span._name)
    description = span._status.description
    said = redact_text(description) if description else description
    events = [_holder(event) for event in span._events]
    links = [_holder(link) for link in span._links]
    if (
        attributes is span._attributes
        and name == span._name
        and said == description
        and all(map(operator.is_, events, span._events))
        and all(map(operator.is_, links, span._links))
    ):
        return span
    changed = copy.copy(span)
    changed._attributes, changed._name = attributes, name
    changed._events, changed._links = _kept(span._events, events), _kept(span._links, links)
    if said != description:
        changed._status = copy.copy(span._status)
        changed._status._description = said
    return changed


def _holder(holder: Any) -> Any:
    """Redact an event's or a link's attributes."""
    attributes = _attributes(holder._attributes)
    if attributes is holder._attributes:
        return holder
    changed = copy.copy(holder)
    changed._attributes = attributes
    return changed


def _attributes(attributes: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if attributes is None or _are_harmless(_add_texts, (attributes,)):
        return attributes
    plain = _plain(attributes)
    redacted = {key: redact_value(key, value) for key, value in plain.items()}
    if all(redacted[key] is value for key, value in plain.items()):
        return attributes
    bounded = BoundedAttributes(attributes=redacted, immutable=False)
    bounded.dropped = getattr(attributes, "dropped", 0)
    return bounded


def _add_texts(attributes: Mapping[str, Any] | None, texts: list[str], *besides: Any) -> bool:
    """Add what texts attributes hold, and values besides.

    Returns:
        Whether these texts are all that can be secret: no name tells of one, and nothing is nested.
    """
    for value in besides:
        if type(value) is str:
            texts.append(value)
        elif value is not None:
            return False
    if attributes:
        plain = _plain(attributes)
        if has_secret_name(tuple(plain)):
            return False
        for name, value in plain.items():
            kind = type(value)
            if kind is str:
                if name not in _OWN:
                    texts.append(value)
            elif kind in _NESTED:
                return False
    return True


def _plain(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    # Its own methods take a lock for each key.
    return attributes._dict if type(attributes) is BoundedAttributes else attributes


@lru_cache(maxsize=1024)
def has_secret_name(names: tuple[str, ...]) -> bool:
    """Tell whether one of the names of attributes tells of a secret."""
    return any(map(is_secret, names))


when_names_change(has_secret_name.cache_clear)


def _kept(bounded: Any, items: list[Any]) -> Any:
    """Put items into a list like the SDK's bounded one, which says how many it has dropped."""
    if not hasattr(bounded, "dropped"):
        return items
    kept = type(bounded).from_seq(max(1, len(items)), items)
    kept.dropped = bounded.dropped
    return kept
