"""A real PostgreSQL, for tests of what speaks to one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60.0
# Whom Debian's package makes. The server refuses to be run by root.
_USER = "postgres"


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Run a PostgreSQL that is reached by a socket of its own; yields what to connect with."""
    initdb, postgres = _command("initdb"), _command("postgres")
    folder = tempfile.mkdtemp(prefix="postgresql-")  # pytest's own may be too long for a socket
    as_user = {}
    if os.geteuid() == 0:
        shutil.chown(folder, _USER, _USER)
        as_user = {"user": _USER, "group": _USER, "extra_groups": []}
    data = f"{folder}/data"
    subprocess.run(
        [initdb, "--pgdata", data, "--username", _USER, "--auth", "trust", "--no-sync"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        **as_user,
    )
    process = subprocess.Popen(
        [postgres, "-D", data, "-F", "-c", "listen_addresses=", "-k", folder],
        cwd=folder,
        stderr=subprocess.DEVNULL,
        **as_user,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run([_command("pg_isready"), "-q", "-h", folder], check=False).returncode:
            assert process.poll() is None, f"postgres ended with {process.returncode}"
            assert time.monotonic() < deadline, "postgres does not answer"
            time.sleep(0.02)
        yield f"host={folder} user={_USER} dbname=postgres"
    finally:
        process.send_signal(signal.SIGINT)  # a quick end, whoever is connected
        process.wait(START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _command(name: str) -> str:
    # Debian keeps the server's own commands out of the way.
    versions = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    found = shutil.which(name, path=os.pathsep.join([*reversed(versions), os.environ["PATH"]]))
    assert found is not None, f"{name} is missing: apt-get install postgresql"
    return found
