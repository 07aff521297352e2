"""Processes of one name taken together."""

from __future__ import annotations

from otelbridge.projects.process import Process, ProjectKey, hear
from otelbridge.projects.project import Project, gather
from tests.projects.events import NOON, SECOND, beat, end, start


def known(*records) -> dict[str, Process]:
    """Hear records as they were sent."""
    processes: dict[str, Process] = {}
    for record in records:
        instance = record.resource["service.instance.id"]
        at = record.time / SECOND - NOON
        heard = hear(processes.get(instance), record, now=at, wall=record.time)
        assert heard is not None
        processes[instance] = heard
    return processes


def project(*records, at: float = 1000.0) -> Project:
    (found,) = gather(known(*records).values(), at)
    return found


def workers(number: int, at: float = 0.0, **values):
    return [
        start(instance=f"worker-{at:g}-{n}", at=at, uptime=0.0, **values) for n in range(number)
    ]


def test_four_workers_under_one_name_are_one_project():
    found = project(*workers(4), at=10)

    assert found.key == ProjectKey("shop")
    assert found.status == "running"
    assert found.counts == {"running": 4}
    assert found.restarts == 0


def test_two_projects_of_one_name_on_two_hosts_are_one_with_two_hosts():
    found = project(start(instance="a", host="alpha"), start(instance="b", host="beta"), at=10)

    assert {one.process.host for one in found.standings} == {"alpha", "beta"}


def test_environment_and_namespace_tell_projects_apart():
    production = {"deployment.environment.name": "production"}
    processes = known(
        start(instance="a"),
        start(instance="b", resource=production),
        start(instance="c", resource={"service.namespace": "team"}),
    )

    assert [one.key for one in gather(processes.values(), 10)] == [
        ProjectKey("shop"),
        ProjectKey("shop", "", "production"),
        ProjectKey("shop", "team", ""),
    ]


def test_it_runs_while_one_of_its_processes_does():
    found = project(*workers(2), end("crashed", instance="worker-0-0", at=5), at=20)

    assert found.status == "running"
    assert found.counts == {"running": 1, "crashed": 1}


def test_it_is_as_the_one_that_was_heard_last():
    found = project(
        start(instance="a"),
        end(instance="a", at=5),
        start(instance="b", at=10, uptime=0),
        end("crashed", instance="b", at=20, uptime=10),
    )

    assert found.status == "crashed"
    assert project(*workers(2), at=500).status == "silent"


def test_a_start_after_an_end_on_the_same_host_is_a_restart():
    found = project(
        start(instance="a"),
        end("crashed", instance="a", at=5),
        start(instance="b", at=6, uptime=0),
        at=7,
    )

    assert found.restarts == 1
    assert found.status == "running"


def test_a_start_on_another_host_is_none():
    found = project(
        start(instance="a", host="alpha"),
        end(instance="a", host="alpha", at=5),
        start(instance="b", host="beta", at=6, uptime=0),
    )

    assert found.restarts == 0


def test_a_start_after_silence_is_a_restart():
    found = project(
        start(instance="a"), beat(30, instance="a"), start(instance="b", at=300, uptime=0), at=310
    )

    assert found.restarts == 1
    assert found.counts == {"running": 1, "silent": 1}


def test_each_that_is_gone_is_replaced_once():
    first, second = workers(4), workers(5, at=100)
    ends = [end(instance=f"worker-0-{n}", at=50) for n in range(4)]

    assert project(*first, *ends, *second, at=110).restarts == 4


def test_one_that_ended_in_the_moment_it_began_did_not_replace_itself():
    assert project(start(uptime=0.0), end(at=0.0, uptime=0.001)).restarts == 0


def test_uptime_is_that_of_the_oldest_that_runs():
    found = project(start(instance="a"), end(instance="a", at=500), *workers(2, at=600), at=610)

    assert round(found.uptime) == 10
