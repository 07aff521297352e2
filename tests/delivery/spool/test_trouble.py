"""Disks that are full, folders that cannot be written to: real ones, in programs of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.spool.payloads import Losses, numbered, send_all, spool_in
from tests.delivery.spool.processes import running


def _mounts() -> bool:
    """Tell whether this user may mount file systems in a namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0


# Where no file system can be mounted, the largest size of a file is what runs out.
FULL_DISKS = ("mounted", "limited") if _mounts() else ("limited",)
READ_ONLY = ("mounted", "forbidden") if _mounts() else ("forbidden",)

TMPFS = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=256k tmpfs "$0" && exec "$@"']
BOUND = [
    "unshare",
    "-rm",
    "sh",
    "-c",
    'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"',
]

FILLING = """
import resource
mode = sys.argv[3]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
filler = folder.parent / "filler"
def fill():
    if mode == "limited":
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    else:
        filler.write_bytes(bytes(200_000))
def free():
    if mode == "limited":
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    else:
        filler.unlink()
"""

STEADY = (
    FILLING
    + """
from otelbridge.delivery.spool.fallback import FallbackSpool
import json
lines = []
store = FallbackSpool(folder, max_bytes=2**20, memory_bytes=2**20, sync="never", dropped=losses,
                      trouble=lines.append, retry_seconds=0)
fill()
for number in range(150):
    store.append(numbered(number, size=1000))
on_disk, waiting = store.kept, store.records
free()
store.adopt()
say(json.dumps([on_disk, waiting, store.kept, lines, losses.total()]))
said = number_of(store.next().payload)
for number in range(150, 160):
    store.append(numbered(number, size=1000))
say(json.dumps([said, send_all(store)]))
"""
)

ALONE = (
    FILLING
    + """
from otelbridge.delivery.spool import SpoolError
fill()
taken = []
for number in range(300):
    try:
        spool.append(numbered(number, size=1 + number * 37 % 3000))
    except SpoolError as error:
        reason = str(error)
    else:
        taken.append(number)
say(reason)
say(" ".join(map(str, taken)))
spool.close()
import shutil
shutil.copytree(folder, sys.argv[4])
"""
)


@pytest.mark.parametrize("mode", FULL_DISKS)
def test_a_full_disk_is_one_line_and_what_it_does_not_take_waits_in_memory(tmp_path, mode):
    place = tmp_path / "disk"
    place.mkdir()
    within = [*TMPFS, str(place)] if mode == "mounted" else []
    with running(STEADY, place / "spool", mode, within=within) as program:
        on_disk, waiting, kept, lines, lost = json.loads(program.line())
        first, rest = json.loads(program.line())
        program.end()

    assert 0 < on_disk < 150
    assert (waiting, lost) == (150, 0)
    assert kept == 150  # all of it is on disk when there is room again
    reason = "No space left on device" if mode == "mounted" else "File too large"
    assert lines == [
        f"cannot keep telemetry in {place}/spool: {reason}; it is kept in memory meanwhile",
        f"telemetry is kept in {place}/spool again",
    ]
    assert first == 0
    assert rest == list(range(160))


@pytest.mark.parametrize("mode", FULL_DISKS)
def test_what_a_full_disk_did_take_is_whole(tmp_path, mode):
    place = tmp_path / "disk"
    place.mkdir()
    within = [*TMPFS, str(place)] if mode == "mounted" else []
    with running(ALONE, place / "spool", mode, tmp_path / "copy", within=within) as program:
        reason = program.line()
        taken = [int(number) for number in program.line().split()]
        program.end()

    assert reason.startswith(f"cannot keep telemetry in {place}/spool: ")
    losses = Losses()
    later = spool_in(tmp_path / "copy", losses)
    later.adopt()
    assert send_all(later) == taken
    assert len(taken) < 300
    assert not losses


CANNOT_WRITE = """
import json
if os.geteuid() == 0 and sys.argv[3] == "forbidden":
    os.setgid(65534); os.setuid(65534)
from otelbridge.delivery.spool.fallback import FallbackSpool
lines = []
store = FallbackSpool(folder, max_bytes=2**20, memory_bytes=5000, sync="never", dropped=losses,
                      trouble=lines.append)
store.adopt()
for number in range(100):
    store.append(numbered(number, size=100))
waiting = store.records
sent = send_all(store)
store.close()
say(json.dumps([waiting, sent, dict(losses), lines, descriptors()]))
"""


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("mode", READ_ONLY)
def test_a_read_only_folder_is_one_line_and_memory_serves(public_folder, mode):
    folder = public_folder / "spool"
    if mode == "forbidden":
        public_folder.chmod(0o555)
        within = []
    else:
        within = [*BOUND, str(public_folder)]
    with running(CANNOT_WRITE, folder, mode, within=within) as program:
        waiting, sent, losses, lines, opened = json.loads(program.line())
        program.end()

    reason = "Permission denied" if mode == "forbidden" else "Read-only file system"
    assert lines == [f"cannot keep telemetry in {folder}: {reason}; it is kept in memory meanwhile"]
    assert 0 < waiting < 100  # bounded
    assert sent == list(range(100 - waiting, 100))
    assert losses == {"spool full": 100 - waiting}
    assert opened < 10


@pytest.mark.parametrize("mode", READ_ONLY)
def test_what_others_left_in_a_read_only_folder_is_left_to_others(public_folder, mode):
    folder = public_folder / "spool"
    dead = spool_in(folder)
    for number in range(5):
        dead.append(numbered(number, size=50))
    dead.close()
    within = [] if mode == "forbidden" else [*BOUND, str(public_folder)]
    if mode == "forbidden":
        folder.chmod(0o555)
        for path in folder.iterdir():
            path.chmod(0o444)
    with running(CANNOT_WRITE, folder, mode, within=within) as program:
        _, sent, _, lines, _ = json.loads(program.line())
        program.end()

    if mode == "mounted":
        assert lines.pop(0).startswith(f"cannot take over what waits in {folder}: Read-only")
    assert len(lines) == 1
    assert sent[-1] == 99
    folder.chmod(0o700)
    for path in folder.iterdir():
        path.chmod(0o600)
    later = spool_in(folder)
    assert later.adopt() == 5
    assert send_all(later) == list(range(5))
