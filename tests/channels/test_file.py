"""A file that messages are added to."""

from __future__ import annotations

import json
import stat
import subprocess
import sys

import pytest

from otelbridge.channels import ChannelError, ChannelSettingsError, Message
from otelbridge.channels.file import File


def message(**values) -> Message:
    return Message(**{"title": "ValueError: no such order", "time": 1795000000.5, **values})


def test_a_message_is_a_line_with_the_rest_below_it(tmp_path):
    path = tmp_path / "made" / "alarms.log"
    channel = File(path=str(path))

    channel.send(
        message(
            project="shop",
            severity="error",
            text="while\npaying",
            tracebacks={"full": "Traceback\nValueError"},
            count=118,
            authors=("@a",),
            link="http://x/1",
        )
    )
    channel.send(message(title="second"))

    assert path.read_text() == (
        "2026-11-18T11:06:40.500+00:00 ERROR shop: ValueError: no such order\n"
        "    while\n    paying\n    Traceback\n    ValueError\n    and 118 more\n"
        "    http://x/1\n    For: @a\n"
        "2026-11-18T11:06:40.500+00:00 INFO second\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_in_a_message_speaks_to_the_terminal_or_forges_a_line(tmp_path):
    path = tmp_path / "alarms.log"

    File(path=str(path)).send(
        message(title="one\n2026-01-01 ERROR forged", text="\x1b[2Jgone\r\nFor: @b \ud800")
    )

    first, *rest = path.read_text().splitlines()
    assert first.endswith("INFO one 2026-01-01 ERROR forged")
    assert rest == ["    \ufffd[2Jgone", "    For: @b \ufffd"]


def test_as_json_each_message_is_an_object_on_a_line(tmp_path):
    path = tmp_path / "alarms.jsonl"
    channel = File(path=str(path), format="json")

    channel.send(message(text="a\nb\ud800"))
    channel.send(message())

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["title"] for line in lines] == ["ValueError: no such order"] * 2
    assert lines[0]["text"] == "a\nb\ud800"


def test_a_full_file_is_put_aside_once(tmp_path):
    path = tmp_path / "alarms.log"
    channel = File(path=str(path), max_bytes=2000)

    for _ in range(100):
        channel.send(message(text="x" * 90))

    assert path.stat().st_size <= 2000
    assert (tmp_path / "alarms.log.1").stat().st_size <= 2000
    assert sorted(one.name for one in tmp_path.iterdir()) == ["alarms.log", "alarms.log.1"]


def test_several_processes_do_not_run_into_each_other(tmp_path):
    path = tmp_path / "alarms.jsonl"
    program = (
        "from otelbridge.channels import Message; from otelbridge.channels.file import File\n"
        f"channel = File(path={str(path)!r}, format='json')\n"
        "for n in range(200): channel.send(Message(title=str(n), text='x' * 3000))"
    )
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]

    assert [process.wait(60) for process in running] == [0, 0, 0]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 600


def test_a_path_that_cannot_be_written_is_said_in_one_line(tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("")

    with pytest.raises(ChannelError, match="a file"):
        File(path=str(blocked / "alarms.log")).send(message())
    with pytest.raises(ChannelError, match="Is a directory"):
        File(path=str(tmp_path)).send(message())


@pytest.mark.parametrize("path", ["", " ", "a\0b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ChannelSettingsError, match="allowed: a file's path"):
        File(path=path)
