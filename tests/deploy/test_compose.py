"""Each service of the compose files, as a process with the command and variables it has there."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from otelbridge import settings
from otelbridge.elasticsearch.templates import MAY_LACK
from tests.deploy.secured import Secured, secured_server
from tests.deploy.stored import Stored
from tests.kibana.kibana_stand_in import KibanaStandIn
from tests.testbed.collector_process import CONFIG, Collector

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SECRETS = {
    "ELASTIC_PASSWORD": "elastic-password",
    "KIBANA_PASSWORD": 'with "quotes" and \\',
    "KIBANA_ENCRYPTION_KEY": "k" * 32,
}
LAPTOP_BYTES = 4 * 2**30


def _compose(*files: str, **environ: str) -> dict[str, Any]:
    """What compose itself makes of the files."""
    command = ["docker-compose", *(f"--file={name}" for name in files), "config"]
    done = subprocess.run(
        command, cwd=DEPLOY, env=os.environ | environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return _compose("docker-compose.yml")


@pytest.fixture(scope="module")
def secure() -> dict[str, Any]:
    return _compose("docker-compose.yml", "docker-compose.secure.yml", **SECRETS)


@pytest.fixture(params=["plain", "secure"])
def services(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.getfixturevalue(request.param)["services"]


@pytest.fixture
def secured(elasticsearch_url: str, tmp_path: Path) -> Iterator[Secured]:
    with secured_server(tmp_path, elasticsearch_url, SECRETS["ELASTIC_PASSWORD"]) as server:
        yield server


# --- the file itself ------------------------------------------------------------------------------


def test_ports_are_open_to_this_machine_only(services):
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(str(port).startswith("127.0.0.1:") for port in published)


def test_every_image_has_a_version(services):
    for service in services.values():
        image, _, version = service["image"].rpartition(":")
        assert image
        assert version not in {"", "latest"}


def test_memory_is_limited_to_what_a_laptop_has(services):
    running = {
        name: service["mem_limit"] for name, service in services.items() if name not in ONE_SHOT
    }
    assert sum(_bytes(limit) for limit in running.values()) <= LAPTOP_BYTES
    assert all("mem_limit" in service for service in services.values())


def test_secrets_have_no_default():
    done = subprocess.run(
        ["docker-compose", "-f", "docker-compose.yml", "-f", "docker-compose.secure.yml", "config"],
        cwd=DEPLOY,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "ELASTIC_PASSWORD" in done.stderr


def test_what_a_service_waits_for_can_be_waited_for(services):
    for name, service in services.items():
        for other, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in services[other], (name, other)
            if wanted["condition"] == "service_completed_successfully":
                assert other in ONE_SHOT, (name, other)
                assert "restart" not in services[other], other


def test_every_file_that_is_mounted_is_there(services):
    mounts = [
        str(volume).split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if str(volume).startswith("/")
    ]
    assert mounts
    assert all(Path(mount).exists() for mount in mounts)


def test_every_variable_of_ours_exists(services):
    known = {spec.metadata["variable"] for spec in dataclasses.fields(settings.Settings)}
    given = {name for service in services.values() for name in service.get("environment", {})}
    assert {name for name in given if name.startswith("OTELBRIDGE_")} <= known


def test_every_variable_of_the_collector_is_read(services):
    read = "".join(path.read_text() for path in CONFIG.parent.glob("*.yaml"))
    for name in services["collector"]["environment"]:
        assert f"${{env:{name}" in read, name


def test_every_variable_in_the_env_file_is_used():
    used = (DEPLOY / "docker-compose.yml").read_text()
    used += (DEPLOY / "docker-compose.secure.yml").read_text()
    names = [
        line.split("=")[0]
        for line in (DEPLOY / ".env").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert names
    for name in names:
        assert f"${{{name}" in used, name


def test_the_image_has_the_packages_that_the_project_asks_for():
    requirements = (DEPLOY / "requirements.txt").read_text()
    for name in ("elasticsearch==9.", "gunicorn==", "uvicorn==", "opentelemetry-sdk==1.45.1"):
        assert f"\n{name}" in f"\n{requirements}", name
    assert requirements.count("--hash=sha256:") > 50


def _bytes(limit: str) -> int:
    return settings.parse_size(limit)


# --- each service's command ----------------------------------------------------------------------

ONE_SHOT = {"setup", "storage", "certificates", "accounts"}
# Not ours, and not here: `docs/verify-compose.md` is for them.
OF_OTHERS = {"elasticsearch", "kibana"}
# As they stand: see `test_walkthrough.py`.
WALKED = {"setup", "storage", "collector", "payments", "orders", "gateway", "traffic"}


def test_every_service_is_exercised_by_a_test(secure):
    assert secure["services"].keys() == WALKED | {"certificates", "accounts"} | OF_OTHERS


def test_storage_gives_the_folder_to_the_collector(plain, tmp_path):
    service = plain["services"]["storage"]
    *command, owner, folder = service["command"]
    assert owner == plain["services"]["collector"]["user"]
    assert any(volume.endswith(f":{folder}:rw") for volume in service["volumes"])
    assert any(
        volume.endswith(f":{folder}:rw") for volume in plain["services"]["collector"]["volumes"]
    )
    # As whoever runs the tests, who may not be able to give files away.
    subprocess.run([*command, f"{os.getuid()}:{os.getgid()}", tmp_path], check=True)


def test_the_certificates_script_makes_them_once(tmp_path):
    calls = tmp_path / "calls"
    tool = tmp_path / "certutil"
    # Stands in for Elasticsearch's own tool: zips with the same members.
    tool.write_text(
        f"""#!{sys.executable}
import sys, zipfile
open({str(calls)!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")
out = sys.argv[sys.argv.index("-out" if "-out" in sys.argv else "--out") + 1]
names = ["ca/ca.crt", "ca/ca.key"] if sys.argv[1] == "ca" else \\
    ["elasticsearch/elasticsearch.crt", "elasticsearch/elasticsearch.key"]
with zipfile.ZipFile(out, "w") as file:
    for name in names:
        file.writestr(name, "PEM")
"""
    )
    tool.chmod(0o755)
    unzip = tmp_path / "bin" / "unzip"
    unzip.parent.mkdir()
    unzip.write_text(f"#!/bin/sh\nfor last; do :; done\n{sys.executable} -m zipfile -e $last .\n")
    unzip.chmod(0o755)
    made = tmp_path / "certificates"
    made.mkdir()
    environ = os.environ | {
        "CERTIFICATES": str(made),
        "CERTUTIL": str(tool),
        "PATH": f"{unzip.parent}:{os.environ['PATH']}",
    }
    for _ in range(2):
        subprocess.run(["bash", DEPLOY / "secure/certificates.sh"], env=environ, check=True)
    assert len(calls.read_text().splitlines()) == 2
    assert stat.S_IMODE((made / "ca/ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((made / "elasticsearch/elasticsearch.key").stat().st_mode) == 0o640


def test_the_accounts_script_asks_for_what_the_collector_needs(tmp_path, secured):
    key = tmp_path / "collector.key"
    environ = os.environ | {
        "ELASTICSEARCH_URL": secured.url,
        "ELASTIC_PASSWORD": SECRETS["ELASTIC_PASSWORD"],
        "KIBANA_PASSWORD": SECRETS["KIBANA_PASSWORD"],
        "CA_FILE": str(secured.ca_file),
        "KEY_FILE": str(key),
        "KEY_OWNER": str(os.getuid()),
    }
    for _ in range(2):
        subprocess.run(["bash", DEPLOY / "secure/accounts.sh"], env=environ, check=True)
    assert key.read_text() == secured.api_key
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert secured.passwords == [SECRETS["KIBANA_PASSWORD"]] * 2
    (wanted,) = secured.keys_wanted
    (rights,) = wanted["role_descriptors"]["otelbridge-collector"]["indices"]
    assert rights["privileges"] == ["auto_configure", "create_doc"]


def test_the_collector_signs_in_over_tls(
    secure, secured, collector: Callable[..., Collector], stored: Stored, tmp_path
):
    service = secure["services"]["collector"]
    configs = [CONFIG.parent / Path(option.partition("=")[2]).name for option in service["command"]]
    key = tmp_path / "key"
    key.write_text(secured.api_key)
    environ = service["environment"] | {
        "ELASTICSEARCH_URL": secured.url,
        "ELASTICSEARCH_CA_FILE": str(secured.ca_file),
        "ELASTICSEARCH_KEY_FILE": str(key),
        "OTELBRIDGE_ELASTICSEARCH_NAMESPACE": stored.namespace,
    }
    running = collector(*configs, **environ)
    (running.files / "app.jsonl").write_text('{"message": "signed"}\n')
    (document,) = stored.wait_for(1).values()
    assert document["body"]["text"] == "signed"


# --- setup, with the secured file's variables ----------------------------------------------------


def _setup(
    service: dict[str, Any], kibana: str, url: str, ca_file: Path | str, **changed: str
) -> subprocess.CompletedProcess[str]:
    environ = service["environment"] | {
        "OTELBRIDGE_ELASTICSEARCH_URL": url,
        "OTELBRIDGE_ELASTICSEARCH_CA_CERTS": str(ca_file),
        "OTELBRIDGE_KIBANA_URL": kibana,
        # As the other tests of this server have it.
        "OTELBRIDGE_RETENTION": "1d",
    }
    without = [argument for name in MAY_LACK for argument in ("--without", name)]
    return subprocess.run(
        [sys.executable, "-m", *service["command"], *without, "--wait", "0s"],
        env=os.environ | environ | changed,
        capture_output=True,
        text=True,
    )


def test_setup_signs_in_over_tls_and_changes_nothing_the_second_time(
    secure, secured, elasticsearch
):
    service = secure["services"]["setup"]
    with KibanaStandIn() as kibana:
        first = _setup(service, kibana.url, secured.url, secured.ca_file)
        second = _setup(service, kibana.url, secured.url, secured.ca_file)
        assert set(kibana.authorizations) == {secured.basic}
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "+ Kibana dashboard otelbridge-pipeline: created" in first.stdout
    assert {line[:2] for line in second.stdout.splitlines()} == {"= "}


def test_what_is_wrong_with_signing_in_is_one_line(secure, secured, tmp_path):
    service = secure["services"]["setup"]
    other = tmp_path / "other"
    other.mkdir()
    with (
        KibanaStandIn() as kibana,
        secured_server(other, "http://127.0.0.1:9", "x") as stranger,
    ):
        wrong_password = _setup(
            service, kibana.url, secured.url, secured.ca_file, OTELBRIDGE_ELASTICSEARCH_PASSWORD="x"
        )
        wrong_authority = _setup(service, kibana.url, secured.url, stranger.ca_file)
        no_tls = _setup(service, kibana.url, secured.url.replace("https", "http"), secured.ca_file)
    said = [one.stderr.strip() for one in (wrong_password, wrong_authority, no_tls)]
    print("\n".join(said))
    assert [one.returncode for one in (wrong_password, wrong_authority, no_tls)] == [1, 1, 1]
    assert all(len(line.splitlines()) == 1 for line in said)
    assert "does not let us in (401)" in said[0]
    assert "TLS failed" in said[1]
    assert "OTELBRIDGE_ELASTICSEARCH_CA_CERTS" in said[1]
    assert secured.url.replace("https", "http") in said[2]
