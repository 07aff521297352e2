"""Groups of errors, by aggregations over the logs that carry a fingerprint, or only a type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from otelbridge import schema
from otelbridge.elasticsearch.reading import read_log
from otelbridge.elasticsearch.templates import AS_TEXT
from otelbridge.error_groups import USER_KEYS, group_of_type, group_query, place_of
from otelbridge.search.query import And, Query
from otelbridge.store.elasticsearch.dsl import Dsl, all_of, any_of, exists, none_of, one_of
from otelbridge.store.elasticsearch.ids import id_of
from otelbridge.store.elasticsearch.kql import LOGS
from otelbridge.store.elasticsearch.mapped import MappedFields
from otelbridge.store.elasticsearch.server import DESCENDING, Server, source_of
from otelbridge.store.protocol import ErrorGroup, TimeRange

_MILLISECOND: Final = 10**6
# All buckets of one answer must stay below Elasticsearch's 65,536.
_MOST_GROUPS: Final = 500
_MOST_VALUES: Final = 20
_MOST_USERS: Final = 1000
_MOST_CHARS: Final = 1000
_SERVICE: Final = "resource.attributes.service.name"
_RELEASE: Final = "resource.attributes.service.version"
_FINGERPRINT: Final = f"attributes.{schema.FINGERPRINT}"
_TYPE: Final = "attributes.exception.type"
# Texts that may be of megabytes and are not shown in a list.
_LONG: Final = [
    "attributes.exception.stacktrace",
    f"attributes.{schema.TRACEBACK_CLEAN}",
    f"attributes.{schema.ERROR_VARIABLES}",
]


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps of a series, in milliseconds."""

    start: int
    step: int
    count: int


def read_error_groups(
    server: Server,
    query: Query | None,
    within: TimeRange,
    *,
    fingerprint: str | None,
    limit: int,
    steps: int,
) -> list[ErrorGroup]:
    """Add up errors by group; see :meth:`Store.error_groups`.

    Users are counted by the attribute that names most of them, but for one group alone.
    """
    start, end = within.start // _MILLISECOND, -(-within.end // _MILLISECOND)
    size = min(limit, _MOST_GROUPS)
    if end <= start or size <= 0:
        return []
    if fingerprint is not None:
        own = group_query(fingerprint)
        query = own if query is None else And((own, query))
    step = -(-(end - start) // max(steps, 1))
    series = _Steps(start, step, -(-(end - start) // step))
    mapped = server.fields("logs")
    found = _by_group(
        server,
        mapped,
        server.matching(query, "logs", within),
        size,
        {
            "last": {"max": {"field": "@timestamp"}},
            "newest": {"top_hits": {"size": 1, "sort": DESCENDING, "_source": {"excludes": _LONG}}},
            "services": {"terms": {"field": _SERVICE, "size": _MOST_VALUES}},
            "releases": {"terms": {"field": _RELEASE, "size": _MOST_VALUES}},
            "steps": {
                "date_histogram": {
                    "field": "@timestamp",
                    "fixed_interval": f"{step}ms",
                    "offset": f"{start % step}ms",
                    "min_doc_count": 1,
                }
            },
            **_users(mapped, each=fingerprint is not None),
        },
        order={"last": "desc"},
    )
    seen = _seen(server, mapped, list(found))
    groups = [_group(name, bucket, *seen[name], series) for name, bucket in found.items()]
    groups.sort(key=lambda group: group.sample, reverse=True)
    return groups[:limit]


def _by_group(
    server: Server,
    mapped: MappedFields,
    condition: Dsl,
    size: int,
    aggregations: Dsl,
    **options: Any,
) -> dict[str, Mapping[str, Any]]:
    answer = server.search(
        "logs",
        all_of([condition, any_of([exists(_FINGERPRINT), exists(_TYPE)])]),
        size=0,
        track_total_hits=False,
        aggs={
            "marked": _terms(mapped, _FINGERPRINT, size, aggregations, options),
            "others": {
                "filter": none_of(exists(_FINGERPRINT)),
                "aggs": {"types": _terms(mapped, _TYPE, size, aggregations, options)},
            },
        },
    ).get("aggregations")
    if answer is None:
        return {}
    found = {str(bucket["key"]): bucket for bucket in answer["marked"]["buckets"]}
    for bucket in answer["others"]["types"]["buckets"]:
        found[group_of_type(str(bucket["key"]))] = bucket
    return found


def _terms(
    mapped: MappedFields, path: str, size: int, aggregations: Dsl, options: Mapping[str, Any]
) -> Dsl:
    field = _exact(mapped, path)
    return {"terms": {"field": field, "size": size, **options}, "aggs": aggregations}


def _exact(mapped: MappedFields, path: str) -> str:
    """Where a value's exact text is indexed."""
    as_text = f"{path}.{AS_TEXT}"
    return as_text if mapped.is_keyword(as_text) else path


def _seen(server: Server, mapped: MappedFields, groups: list[str]) -> dict[str, tuple[int, int]]:
    """When the first and the last of each group happened, of all that are kept."""
    if not groups:
        return {}
    marked = [group for group in groups if not group.startswith(group_of_type(""))]
    types = [group.removeprefix(group_of_type("")) for group in groups if group not in set(marked)]
    found = _by_group(
        server,
        mapped,
        all_of(
            [
                LOGS,
                any_of(
                    [
                        one_of(_exact(mapped, _FINGERPRINT), marked),
                        all_of(
                            [none_of(exists(_FINGERPRINT)), one_of(_exact(mapped, _TYPE), types)]
                        ),
                    ]
                ),
            ]
        ),
        len(groups),
        {"first": {"min": {"field": "@timestamp"}}, "last": {"max": {"field": "@timestamp"}}},
    )
    # What expired between the two questions was seen at the beginning of time.
    nothing: Mapping[str, Any] = {"first": {"value": 0}, "last": {"value": 0}}
    chosen = ((group, found.get(group, nothing)) for group in groups)
    return {group: (_nanoseconds(one["first"]), _nanoseconds(one["last"])) for group, one in chosen}


def _nanoseconds(answer: Mapping[str, Any]) -> int:
    return int(answer["value"] or 0) * _MILLISECOND


def _users(mapped: MappedFields, *, each: bool) -> Dsl:
    """Count users; of a single group each with its records, whichever attributes name it."""
    paths = [_exact(mapped, f"attributes.{key}") for key in USER_KEYS]
    known = [path for path in paths if mapped.is_keyword(path)]
    if not each:
        return {
            f"users{number}": {"cardinality": {"field": path}} for number, path in enumerate(known)
        }
    found: Dsl = {}
    for path in reversed(known):
        inner = {"aggs": found} if found else {}
        found = {"users": {"terms": {"field": path, "missing": "", "size": _MOST_USERS}, **inner}}
    return found


def _named(bucket: Mapping[str, Any]) -> Iterator[tuple[frozenset[str], int]]:
    """The users that records name together, and how many records."""
    for one in bucket["users"]["buckets"]:
        user = frozenset({one["key"]} - {""})
        if "users" in one:
            yield from ((user | others, count) for others, count in _named(one))
        else:
            yield user, one["doc_count"]


def _group(
    name: str, bucket: Mapping[str, Any], first: int, last: int, steps: _Steps
) -> ErrorGroup:
    (hit,) = bucket["newest"]["hits"]["hits"]
    record = read_log(source_of(hit))
    kind = str(record.attributes.get("exception.type", ""))
    body = record.body if isinstance(record.body, str) else ""
    message = str(record.attributes.get("exception.message") or ("" if kind else body))
    users: Counter[str] = Counter()
    user_count = max(
        (one["value"] for key, one in bucket.items() if key.startswith("users") and "value" in one),
        default=0,
    )
    if "users" in bucket:
        for named, count in _named(bucket):
            users.update(dict.fromkeys(named, count))
        user_count = len(users)
    series = [0] * steps.count
    for step in bucket["steps"]["buckets"]:
        place = (step["key"] - steps.start) // steps.step
        series[min(max(place, 0), steps.count - 1)] += step["doc_count"]
    return ErrorGroup(
        fingerprint=name,
        type=kind,
        message=message[:_MOST_CHARS],
        where=place_of(record.attributes.get(schema.TRACEBACK_MINIMAL)),
        count=bucket["doc_count"],
        first_seen=first,
        last_seen=last,
        sample=id_of(hit),
        services=_counted(bucket["services"]),
        releases=_counted(bucket["releases"]),
        users=users.most_common(_MOST_VALUES),
        user_count=user_count,
        series=series,
    )


def _counted(answer: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(str(one["key"]), one["doc_count"]) for one in answer["buckets"] if one["key"] != ""]
