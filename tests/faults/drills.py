"""Every drill, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.certificates import Authority, server_context
from tests.faults.destinations import CollectorDestination, ElasticsearchDestination
from tests.faults.drill import Drill, Run
from tests.faults.gate import (
    Answer,
    CloseHalfWay,
    Fault,
    Gate,
    Hang,
    Pass,
    Refuse,
    Reset,
    Slow,
)
from tests.faults.grpc_gate import GrpcGate, Status

# A disk that is full after a second or two of an outage.
SMALL_DISK = 512 * 1024

_NAME = "telemetry.test"
_KNOWN = f"127.0.0.1 localhost {_NAME}\n"
_UNKNOWN = "127.0.0.1 localhost\n"


def at_the_gate(fault: Fault | Status) -> Callable[[Run], None]:
    """Break what the gate can break, for the drill's time."""

    def apply(run: Run) -> None:
        gate: Any = run.gate
        gate.fault = fault
        run.wait()
        gate.fault = Pass()

    return apply


def nothing(run: Run) -> None:
    """Break nothing."""
    run.wait()


def destination_killed(run: Run) -> None:
    """Kill the destination with -9, and start it again after the drill's time."""
    run.destination.kill()
    run.wait()
    run.destination.start()


def killed_amid_commits(run: Run) -> None:
    """Kill the bridge with -9 whenever it is seen to write, and start it again."""
    for _ in range(max(3, int(run.form.fault / 4))):
        run.bridge.kill_amid_commit()
        run.wait(0.5)
        run.bridge.start()
        run.wait(1.0)


def elasticsearch_killed(run: Run) -> None:
    """Kill the Elasticsearch behind the Collector, and start it again after the drill's time."""
    assert isinstance(run.destination, CollectorDestination)
    run.destination.kill_elasticsearch()
    run.wait()
    run.destination.elasticsearch.start()


def workers(act: str) -> Callable[[Run], None]:
    """Do something to a worker every two seconds."""

    def apply(run: Run) -> None:
        for _ in range(max(3, int(run.form.fault / 2))):
            run.wait(2.0)
            getattr(run.server, act)()

    return apply


def workers_in_an_outage(act: str) -> Callable[[Run], None]:
    """Do something to workers while the destination is refusing."""

    def apply(run: Run) -> None:
        assert run.gate is not None
        run.gate.fault = Refuse()
        workers(act)(run)
        run.gate.fault = Pass()

    return apply


def app_ended_in_an_outage(run: Run) -> None:
    """End the app while nobody takes what it sends; the next one sends it."""
    assert run.gate is not None
    run.gate.fault = Refuse()
    run.wait()
    run.server.end()
    run.gate.fault = Pass()
    run.server.start()


def app_killed_in_an_outage(run: Run) -> None:
    """Kill the app with -9 while nobody takes what it sends; the next one sends it."""
    assert run.gate is not None
    run.gate.fault = Refuse()
    run.wait()
    run.server.kill()
    run.gate.fault = Pass()
    run.server.start()


# --- what has to be prepared ----------------------------------------------------------------------


def small_disk(run: Run, environ: dict[str, str]) -> None:
    """Give the spool a disk that an outage fills."""
    run.mounts.small(run.spool, SMALL_DISK)


def read_only_spool(run: Run, environ: dict[str, str]) -> None:
    """Let nothing be written into the spool's folder."""
    run.mounts.read_only(run.spool)


def unknown_name(run: Run, environ: dict[str, str]) -> None:
    """Name the destination by a name that only a file of the drill's own resolves."""
    assert run.gate is not None
    hosts, resolver = run.folder / "hosts", run.folder / "resolv.conf"
    hosts.write_text(_KNOWN)
    # Nobody answers there: what is not in the file of hosts is not found.
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    run.mounts.replaced(Path("/etc/hosts"), hosts)
    run.mounts.replaced(Path("/etc/resolv.conf"), resolver)
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{_NAME}:{run.gate.port}"


def name_gone(run: Run) -> None:
    """Take the destination's name away, and with it the connections that are open."""
    assert run.gate is not None
    hosts = run.folder / "hosts"
    hosts.write_text(_UNKNOWN)
    run.gate.fault = Refuse()
    run.gate.fault = Pass()
    run.wait()
    hosts.write_text(_KNOWN)


def with_certificate(run: Run, environ: dict[str, str]) -> None:
    """Have the gate speak TLS, with a certificate that will do."""
    assert run.gate is not None
    authority = Authority(run.folder / "certificates")
    good = authority.certify("localhost", expired=False)
    context = server_context(*good)
    run.gate = run.entered(Gate(run.gate.upstream, "http", context))
    run.certificates = context, good, authority.certify("old.localhost", expired=True)
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"https://localhost:{run.gate.port}"
    environ["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(authority.file)


def speaking_grpc(run: Run, environ: dict[str, str]) -> None:
    """Have the gate read calls, where otherwise it passes bytes."""
    assert run.gate is not None
    run.gate = run.entered(GrpcGate(run.gate.upstream))
    environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{run.gate.port}"


def certificate_expired(run: Run) -> None:
    """Let the gate show a certificate that has expired, and then the good one again."""
    assert run.gate is not None
    assert run.certificates is not None
    context, good, expired = run.certificates
    for shown in (expired, good):
        context.load_cert_chain(*shown)
        # Connections that are open have seen the other one.
        run.gate.fault = Refuse()
        run.gate.fault = Pass()
        if shown is expired:
            run.wait()


# --- the drills -----------------------------------------------------------------------------------


def gated(name: str, fault: Fault | Status, **options: Any) -> Drill:
    """Make a drill in which the gate breaks each request that comes."""
    return Drill(name, at_the_gate(fault), met=True, **options)


RECYCLED = ("--max-requests=60", "--max-requests-jitter=20")
JOURNAL = {"OTELBRIDGE_JOURNAL": "1"}

DRILLS = (
    Drill("nothing is wrong", nothing),
    gated("answers 429", Answer(429, {"Retry-After": "2"})),
    gated("answers 503", Answer(503, {"Retry-After": "1"})),
    gated("answers 500", Answer(500)),
    gated("answers 401", Answer(401)),
    gated("hangs", Hang()),
    gated("closes half-way", CloseHalfWay(after=20)),
    gated("answers get lost", CloseHalfWay()),
    gated("answers at 1 KB/s", Slow()),
    gated("line of 1 KB/s", Slow(requests=True)),
    gated("resets", Reset()),
    Drill("refuses", at_the_gate(Refuse())),
    Drill("name does not resolve", name_gone, prepare=unknown_name, mounts=True),
    Drill("certificate expired", certificate_expired, prepare=with_certificate, openssl=True),
    gated(
        "gRPC says unavailable",
        Status("UNAVAILABLE", retry=1.0),
        protocol="grpc",
        prepare=speaking_grpc,
    ),
    gated(
        "gRPC says exhausted",
        Status("RESOURCE_EXHAUSTED"),
        protocol="grpc",
        prepare=speaking_grpc,
    ),
    gated("gRPC hangs", Hang(), protocol="grpc"),
    gated("gRPC answers get lost", CloseHalfWay(), protocol="grpc"),
    gated("gRPC resets", Reset(), protocol="grpc"),
    Drill("gRPC refuses", at_the_gate(Refuse()), protocol="grpc"),
    Drill("bridge killed", destination_killed, gated=False),
    Drill("bridge killed, gRPC", destination_killed, gated=False, protocol="grpc"),
    Drill("bridge killed amid commits", killed_amid_commits, gated=False),
    Drill("Collector killed", destination_killed, CollectorDestination, gated=False),
    Drill(
        "Elasticsearch behind it killed", elasticsearch_killed, CollectorDestination, gated=False
    ),
    Drill(
        "Elasticsearch killed amid bulks", destination_killed, ElasticsearchDestination, gated=False
    ),
    gated("bulk answers 429", Answer(429), place=ElasticsearchDestination),
    gated("bulk answers get lost", CloseHalfWay(), place=ElasticsearchDestination),
    gated("bulk answers at 1 KB/s", Slow(), place=ElasticsearchDestination),
    Drill("workers recycled", nothing, gated=False, options=RECYCLED),
    Drill("workers recycled in an outage", at_the_gate(Refuse()), options=RECYCLED),
    Drill("workers ended", workers("end_worker"), gated=False),
    Drill("workers ended in an outage", workers_in_an_outage("end_worker")),
    Drill("workers killed", workers("kill_worker"), gated=False),
    Drill("workers killed in an outage", workers_in_an_outage("kill_worker")),
    Drill(
        "workers killed, journal",
        workers("kill_worker"),
        gated=False,
        environ=JOURNAL,
        journal=True,
    ),
    Drill(
        "workers killed, outage, journal",
        workers_in_an_outage("kill_worker"),
        environ=JOURNAL,
        journal=True,
    ),
    Drill("app ended in an outage", app_ended_in_an_outage),
    Drill("app killed in an outage", app_killed_in_an_outage),
    Drill(
        "spool disk full",
        at_the_gate(Refuse()),
        prepare=small_disk,
        mounts=True,
        ours_alone=True,
        may_drop=True,
    ),
    Drill(
        "spool read-only",
        at_the_gate(Refuse()),
        prepare=read_only_spool,
        mounts=True,
        ours_alone=True,
        may_drop=True,
    ),
    Drill(
        "two services share a spool",
        at_the_gate(Refuse()),
        services=("drilled", "other"),
        ours_alone=True,
    ),
    Drill(
        "two apps of one service share it",
        at_the_gate(Refuse()),
        services=("drilled", "drilled"),
        ours_alone=True,
    ),
)
