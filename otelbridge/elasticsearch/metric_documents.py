"""The stored documents of metric points, as the Collector's Elasticsearch exporter writes them.

Points of one time and one set of attributes share a document, each under its metric's name. How
a value is indexed is said with it, by the name of one of the template's dynamic templates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final

import orjson

from otelbridge.elasticsearch.documents import Document, add_origin, routing
from otelbridge.elasticsearch.names import data_stream
from otelbridge.model import Attributes, Json, MetricPoint, Scope

_CUMULATIVE: Final = 2


def metric_documents(points: Iterable[MetricPoint], namespace: str) -> list[Document]:
    """Write the documents of points; one without a value has none.

    A document's id is a hash of what it is of: the metrics' names, attributes and times.
    """
    groups: dict[bytes, list[dict[str, MetricPoint]]] = {}
    for point in points:
        if _value(point) is None:
            continue
        same = groups.setdefault(_identity(point), [{}])
        # Of two points with one name and time each has its own document.
        if point.name in same[-1]:
            same.append({})
        same[-1][point.name] = point
    return [
        _document(identity, by_name, number, namespace)
        for identity, same in groups.items()
        for number, by_name in enumerate(same)
    ]


def _identity(point: MetricPoint) -> bytes:
    return orjson.dumps(
        [
            point.time,
            point.start_time,
            point.unit,
            point.attributes,
            point.resource,
            [point.scope.name, point.scope.attributes],
        ],
        option=orjson.OPT_SORT_KEYS,
    )


def _document(
    identity: bytes, by_name: dict[str, MetricPoint], number: int, namespace: str
) -> Document:
    point = next(iter(by_name.values()))
    source: dict[str, Any] = {"@timestamp": point.time // 10**6}
    if point.start_time:
        source["start_timestamp"] = point.start_time // 10**6
    if point.unit:
        source["unit"] = point.unit
    source["data_stream"] = routing("metrics", namespace)
    attributes = _flat(point.attributes)
    if attributes:
        source["attributes"] = attributes
    scope = Scope(point.scope.name, point.scope.version, _flat(point.scope.attributes))
    add_origin(source, _flat(point.resource), scope)
    source["metrics"] = {name: _value(point) for name, point in by_name.items()}
    digest = blake2b(identity, digest_size=16)
    digest.update(orjson.dumps([sorted(by_name), number]))
    templates = {f"metrics.{name}": _template(point) for name, point in by_name.items()}
    return Document(data_stream("metrics", namespace), digest.hexdigest(), source, templates)


def _flat(attributes: Attributes) -> Attributes:
    """Attributes with objects as their JSON text."""
    return {
        key: orjson.dumps(value).decode() if isinstance(value, dict) else value
        for key, value in attributes.items()
    }


def _template(point: MetricPoint) -> str:
    if point.type == "summary":
        return "summary"
    if point.type in {"histogram", "exponential_histogram"}:
        return "histogram"
    counts = point.type == "sum" and point.monotonic and point.temporality == _CUMULATIVE
    type = "long" if isinstance(point.value, int) else "double"
    return f"{'counter' if counts else 'gauge'}_{type}"


def _value(point: MetricPoint) -> Json:
    """What is stored of a point; ``None`` where it holds nothing that can be."""
    detail = point.detail or {}
    if point.type == "summary":
        return {"sum": float(point.value or 0), "value_count": point.count or 0}
    if point.type == "histogram":
        return _buckets(_histogram(point, detail))
    if point.type == "exponential_histogram":
        return _buckets(_exponential(detail))
    return point.value


def _buckets(pairs: Iterator[tuple[float, int]]) -> Json:
    filled = [(value, count) for value, count in pairs if count]
    return {"counts": [count for _, count in filled], "values": [value for value, _ in filled]}


def _histogram(point: MetricPoint, detail: dict[str, Json]) -> Iterator[tuple[float, int]]:
    """The middle of each bucket; of the outer ones the edge that is known."""
    bounds, counts = detail.get("bounds") or [], detail.get("bucket_counts") or []
    if not bounds:
        count = point.count or 0
        if count:
            yield float(point.value or 0) / count, count
        return
    if len(counts) != len(bounds) + 1:
        return
    for place, count in enumerate(counts):
        if place == 0:
            middle = bounds[0] / 2 if bounds[0] > 0 else bounds[0]
        elif place == len(bounds):
            middle = bounds[-1]
        else:
            middle = bounds[place - 1] + (bounds[place] - bounds[place - 1]) / 2
        yield float(middle), count


def _exponential(detail: dict[str, Json]) -> Iterator[tuple[float, int]]:
    """The middle of each bucket, the negative ones first; see the metrics data model."""
    scale = detail.get("scale") or 0
    negative = detail.get("negative") or {}
    counts, offset = negative.get("counts") or [], negative.get("offset") or 0
    for place in reversed(range(len(counts))):
        yield -_middle(offset + place, scale), counts[place]
    yield 0.0, detail.get("zero_count") or 0
    positive = detail.get("positive") or {}
    counts, offset = positive.get("counts") or [], positive.get("offset") or 0
    for place, count in enumerate(counts):
        yield _middle(offset + place, scale), count


def _middle(index: int, scale: int) -> float:
    lower, upper = _boundary(index, scale), _boundary(index + 1, scale)
    return lower + (upper - lower) / 2


def _boundary(index: int, scale: int) -> float:
    if scale <= 0:
        return math.ldexp(1.0, index << -scale)
    return math.exp(index * math.ldexp(math.log(2), -scale))
