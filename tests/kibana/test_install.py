"""Bringing the objects to Kibana, of which a stand-in takes the place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from otelbridge.kibana.install import KibanaError, check_kibana, install_objects, read_objects
from otelbridge.settings import read_settings
from tests.kibana.kibana_stand_in import KibanaStandIn

SETTINGS = read_settings({})


@pytest.fixture
def kibana() -> Iterator[KibanaStandIn]:
    with KibanaStandIn() as running:
        yield running


def done(kibana: KibanaStandIn, settings=SETTINGS) -> Counter[str]:
    return Counter(change.done for change in install_objects(settings, kibana.url))


def test_everything_is_created_then_left_alone(kibana):
    wanted = {(one["type"], one["id"]): one for one in read_objects()}
    assert done(kibana) == {"created": len(wanted)}
    assert kibana.objects == wanted
    kibana.requests.clear()
    assert done(kibana) == {"unchanged": len(wanted)}
    assert kibana.requests == ["POST /api/saved_objects/_export"]


def test_what_is_missing_is_created_again(kibana):
    done(kibana)
    del kibana.objects["dashboard", "otelbridge-logs"]
    changes = {change.what: change.done for change in install_objects(SETTINGS, kibana.url)}
    assert changes["Kibana dashboard otelbridge-logs"] == "created"
    assert set(changes.values()) == {"created", "updated"}
    assert len(kibana.objects) == len(changes)


def test_another_versions_objects_are_replaced(kibana):
    done(kibana)
    old = kibana.objects["dashboard", "otelbridge-overview"]
    kibana.objects["dashboard", "otelbridge-overview"] = {
        **old,
        "attributes": {**old["attributes"], "description": "older [otelbridge 000000000000]"},
    }
    assert set(done(kibana)) == {"updated"}
    assert kibana.objects["dashboard", "otelbridge-overview"] == old


def test_what_people_changed_in_this_version_is_left_alone(kibana):
    done(kibana)
    changed = kibana.objects["dashboard", "otelbridge-overview"]
    changed = {**changed, "attributes": {**changed["attributes"], "title": "Ours"}}
    kibana.objects["dashboard", "otelbridge-overview"] = changed
    assert set(done(kibana)) == {"unchanged"}
    assert kibana.objects["dashboard", "otelbridge-overview"] == changed


@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        ({"OTELBRIDGE_ELASTICSEARCH_API_KEY": "a2V5"}, "ApiKey a2V5"),
        (
            {
                "OTELBRIDGE_ELASTICSEARCH_USERNAME": "elastic",
                "OTELBRIDGE_ELASTICSEARCH_PASSWORD": "pass",
            },
            "Basic ZWxhc3RpYzpwYXNz",
        ),
    ],
)
def test_signs_in_as_to_elasticsearch(kibana, variables, sent):
    done(kibana, read_settings(variables))
    assert set(kibana.authorizations) == {sent}


@pytest.mark.parametrize(
    ("status", "words", "temporary"),
    [
        (401, "does not let us in", False),
        (403, "does not allow it", False),
        (404, "is the address Kibana's", False),
        (503, "is not ready", True),
    ],
)
def test_a_refusal_is_one_line(kibana, status, words, temporary):
    kibana.refuse = status
    with pytest.raises(KibanaError, match=words) as raised:
        done(kibana)
    assert "\n" not in str(raised.value)
    assert raised.value.temporary is temporary


def test_an_object_that_is_refused_is_named(kibana, monkeypatch):
    objects = [one for one in read_objects() if one["type"] != "index-pattern"]
    monkeypatch.setattr("otelbridge.kibana.install.read_objects", lambda: objects)
    with pytest.raises(KibanaError, match=r"saved search otelbridge-logs: missing_references"):
        done(kibana)


def test_its_version_is_told_and_an_older_one_refused(kibana):
    assert check_kibana(SETTINGS, kibana.url) == "9.1.3"
    kibana.version = "8.19.2"
    with pytest.raises(KibanaError, match=r"is Kibana 8\.19\.2; 9\.1 or newer"):
        check_kibana(SETTINGS, kibana.url)


def test_one_that_is_starting_may_be_asked_again(kibana):
    kibana.level = "unavailable"
    with pytest.raises(KibanaError, match="not ready") as raised:
        check_kibana(SETTINGS, kibana.url)
    assert raised.value.temporary


def test_one_that_is_not_there_may_be_asked_again():
    with KibanaStandIn() as gone:
        url = gone.url
    with pytest.raises(KibanaError, match="cannot be reached") as raised:
        check_kibana(SETTINGS, url)
    assert raised.value.temporary
