import random
import sqlite3
from collections import Counter

import pytest

from otelbridge import schema
from otelbridge.error_groups import group_query
from otelbridge.search import parse
from otelbridge.store.protocol import TimeRange
from tests.store.checks import assert_consistent
from tests.store.samples import EVER, HOUR, MINUTE, NOON, SECOND, Clock, log, opened

# A second more: of records at one time, all but one have the next free places.
LAST_HOUR = TimeRange(NOON - HOUR, NOON + SECOND)


def error(time=NOON, fingerprint="f" * 16, *, service="shop", version=None, body="it broke", **own):
    """An error record as the library's own senders make it."""
    resource = {"service.name": service}
    if version is not None:
        resource["service.version"] = version
    attributes = {
        "exception.type": "ValueError",
        "exception.message": "no such order",
        schema.FINGERPRINT: fingerprint,
        schema.TRACEBACK_MINIMAL: "shop/orders.py:12 in pay - ValueError: no such order",
        **own,
    }
    return log(
        time,
        body,
        attributes=attributes,
        resource=resource,
        severity_number=17,
        severity_text="ERROR",
    )


def test_without_errors_there_is_no_group(store):
    store.put(log(), log(severity_number=17, severity_text="ERROR"))

    assert store.error_groups(None, EVER) == []


def test_a_group_tells_what_where_how_often_and_since_when(store):
    store.put(
        error(NOON - 10 * MINUTE),
        error(NOON - 5 * MINUTE),
        error(NOON - 1, **{"exception.message": "the newest"}),
    )

    (group,) = store.error_groups(None, LAST_HOUR)

    assert (group.type, group.message) == ("ValueError", "the newest")
    assert group.where == "shop/orders.py:12 in pay"
    assert group.count == 3
    assert group.first_seen == NOON - 10 * MINUTE
    assert group.last_seen == NOON - 1
    assert store.log(group.sample).record.time == NOON - 1


def test_first_and_last_seen_are_over_all_that_is_kept(store):
    store.put(error(NOON - 5 * HOUR), error(NOON - 30 * MINUTE), error(NOON + HOUR))

    (group,) = store.error_groups(None, LAST_HOUR)

    assert group.count == 1
    assert (group.first_seen, group.last_seen) == (NOON - 5 * HOUR, NOON + HOUR)


def test_one_error_of_two_services_is_one_group(store):
    store.put(error(service="shop"), error(service="pay"), error(service="pay"))

    (group,) = store.error_groups(None, LAST_HOUR)

    assert group.services == [("pay", 2), ("shop", 1)]


def test_releases_are_told(store):
    store.put(error(version="1.0"), error(version="1.1"), error(version="1.1"), error())

    (group,) = store.error_groups(None, LAST_HOUR)

    assert group.releases == [("1.1", 2), ("1.0", 1)]


def test_users_are_counted_once_each_whatever_names_them(store):
    store.put(
        error(user="ann"),
        error(**{"enduser.id": "ann"}),
        error(**{"user.id": "ann", "user": "ann"}),
        error(user=7),
        error(user={"name": "no id"}),
        error(),
    )

    (group,) = store.error_groups(None, LAST_HOUR)

    assert group.users == [("ann", 3), ("7", 1)]
    assert group.user_count == 2


def test_the_group_seen_last_comes_first(store):
    store.put(
        error(NOON - 3, "a"), error(NOON - 1, "b"), error(NOON - 2, "c"), error(NOON - 9, "b")
    )

    found = store.error_groups(None, LAST_HOUR)

    assert [group.fingerprint for group in found] == ["b", "c", "a"]
    assert [group.fingerprint for group in store.error_groups(None, LAST_HOUR, limit=2)] == [
        "b",
        "c",
    ]


def test_a_series_counts_over_the_range(store):
    within = TimeRange(NOON - 30 * MINUTE, NOON)
    store.put(*(error(NOON - 30 * MINUTE + offset) for offset in (0, 1000, 29 * MINUTE)))

    (group,) = store.error_groups(None, within, steps=30)

    assert group.series == [2, *[0] * 28, 1]
    assert sum(group.series) == group.count


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("service.name: pay", {"a": 1}),
        ("user: ann", {"a": 1, "b": 1}),
        ("not user: ann", {"a": 1}),
        ("broke", {"a": 2, "b": 1}),
        ('"no such order" and user: *', {"a": 1, "b": 1}),
        ("log.level: ERROR and not service.name: pay", {"a": 1, "b": 1}),
        ("log.level: INFO", {}),
        ("otelbridge.fingerprint: b", {"b": 1}),
        ("exception.message: order", {"a": 2, "b": 1}),
    ],
)
def test_a_query_chooses_among_errors(store, query, expected):
    store.put(
        error(fingerprint="a", user="ann"),
        error(fingerprint="a", service="pay"),
        error(fingerprint="b", user="ann"),
        log(body="it broke, too", attributes={"user": "ann"}),
    )

    found = store.error_groups(parse(query), LAST_HOUR)

    assert {group.fingerprint: group.count for group in found} == expected


def test_one_group_can_be_asked_for(store):
    store.put(error(fingerprint="a"), error(fingerprint="b"), error(fingerprint="a"))

    (group,) = store.error_groups(None, LAST_HOUR, fingerprint="a")

    assert (group.fingerprint, group.count) == ("a", 2)
    assert store.error_groups(None, LAST_HOUR, fingerprint="none") == []


def test_an_error_without_a_fingerprint_is_grouped_by_its_type(store):
    store.put(
        log(attributes={"exception.type": "java.lang.IllegalStateException"}),
        log(attributes={"exception.type": "java.lang.IllegalStateException"}, body="another"),
        log(attributes={"exception.type": "KeyError"}),
    )

    found = {group.type: group for group in store.error_groups(None, LAST_HOUR)}

    assert found["java.lang.IllegalStateException"].count == 2
    for group in found.values():
        assert store.count_logs(group_query(group.fingerprint), LAST_HOUR) == group.count


def test_counts_are_those_of_the_logs_behind_them(store):
    chance = random.Random(6)
    for _ in range(5):
        store.put(
            *(
                error(
                    NOON - chance.randrange(2 * HOUR),
                    chance.choice("abcdef"),
                    service=chance.choice(["shop", "pay"]),
                    user=chance.choice(["ann", "bob", "eve"]),
                )
                for _ in range(100)
            )
        )

    for query in (None, parse("service.name: pay and not user: eve")):
        for group in store.error_groups(query, LAST_HOUR):
            own = group_query(group.fingerprint)
            both = (
                own
                if query is None
                else parse(f"({group.fingerprint}) and service.name: pay and not user: eve")
            )
            assert group.count == store.count_logs(both, LAST_HOUR)
            assert group.count == sum(count for _, count in group.services)
            for name, count in group.users:
                records = store.logs(both, LAST_HOUR, limit=1000)
                assert Counter(r.record.attributes["user"] for r in records)[name] == count


def test_what_expires_leaves_its_group(tmp_path):
    clock = Clock()
    path = tmp_path / "store.db"
    with opened(path, retention=3600, now=clock) as store:
        store.put(error(NOON - 1, "a"), error(NOON - 1, "b"))
        clock.now += 3000
        store.put(error(NOON + 3000 * 10**9, "b"))
        clock.now += 1000
        store.run(store.expire())

        (group,) = store.error_groups(None, EVER)

        assert (group.fingerprint, group.count) == ("b", 1)
        assert group.first_seen == NOON + 3000 * 10**9
    assert_consistent(path)


def test_a_file_of_version_3_has_its_errors_noted(tmp_path):
    path = tmp_path / "store.db"
    with opened(path) as store:
        store.put(error(), log(attributes={"exception.type": "KeyError"}), log())
        before = store.error_groups(None, EVER)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE errors")
        connection.execute("UPDATE meta SET value = '3' WHERE key = 'version'")

    with opened(path) as store:
        assert store.error_groups(None, EVER) == before
        assert len(before) == 2
    assert_consistent(path)


def test_a_very_long_traceback_is_listed_by_its_ends(store):
    store.put(
        error(
            **{
                "exception.stacktrace": "Traceback (most recent call last):\n" + "x" * 10_000_000,
                "exception.message": "m" * 1_000_000,
            }
        )
    )

    (group,) = store.error_groups(None, LAST_HOUR)

    assert group.message == "m" * 1000
