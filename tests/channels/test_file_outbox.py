"""What waits, kept in a folder: over restarts and kills, for several processes at once."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from otelbridge.channels import Courier, Delivery, Destination, Message
from otelbridge.channels.file_outbox import FileOutbox
from otelbridge.channels.webhook import Webhook
from tests.channels.services import Service


def delivery(title: str, destination: str = "ops", **values) -> Delivery:
    return Delivery(
        destination=destination,
        message=Message(
            title=title, text="Текст \ud800", authors=("@a",), tracebacks={"full": "T"}
        ),
        created=time.time(),
        **values,
    )


def titles(deliveries: list[Delivery]) -> list[str]:
    return [one.message.title for one in deliveries]


def test_what_is_queued_is_there_for_the_next_process(tmp_path):
    first = FileOutbox(tmp_path / "made" / "notify")
    kept, sent = delivery("kept", arrived="55"), delivery("sent")
    for one in (kept, sent):
        first.record(one)
    kept.attempts, kept.reason = 3, "down"
    first.record(kept)
    sent.state = "sent"
    first.record(sent)
    first.close()

    second = FileOutbox(tmp_path / "made" / "notify")
    found = second.waiting("ops")

    assert found == [kept]
    assert found[0].message == kept.message
    assert second.waiting("ops") == []
    (path,) = (tmp_path / "made" / "notify").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second.close()


def test_destinations_have_what_is_theirs(tmp_path):
    first = FileOutbox(tmp_path)
    first.record(delivery("a", "ops"))
    first.record(delivery("b", "dev"))
    first.close()

    second = FileOutbox(tmp_path)

    assert titles(second.waiting("dev")) == ["b"]
    assert titles(second.waiting("ops")) == ["a"]
    second.close()


def test_nothing_is_left_behind_when_everything_was_sent(tmp_path):
    outbox = FileOutbox(tmp_path)
    one = delivery("a")
    outbox.record(one)
    one.state = "sent"
    outbox.record(one)

    outbox.close()

    assert list(tmp_path.iterdir()) == []


def test_no_file_is_made_for_what_was_over_at_once(tmp_path):
    outbox = FileOutbox(tmp_path / "never")

    outbox.record(delivery("a", state="counted"))
    outbox.close()

    assert not (tmp_path / "never").exists()


def test_what_a_living_process_has_is_left_to_it(tmp_path):
    program = (
        "import sys, time; from pathlib import Path\n"
        "from otelbridge.channels import Delivery, Message\n"
        "from otelbridge.channels.file_outbox import FileOutbox\n"
        f"outbox = FileOutbox(Path({str(tmp_path)!r}))\n"
        "outbox.record(Delivery(destination='ops', message=Message(title='its own')))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as living:
        living.stdout.readline()
        ours = FileOutbox(tmp_path)
        assert ours.waiting("ops") == []
        ours.close()

        living.send_signal(signal.SIGKILL)
        living.wait()

    after = FileOutbox(tmp_path)
    assert titles(after.waiting("ops")) == ["its own"]
    after.close()


def test_what_another_courier_of_the_same_process_has_is_left_to_it(tmp_path):
    first, second = FileOutbox(tmp_path), FileOutbox(tmp_path)
    first.record(delivery("a"))

    assert second.waiting("ops") == []

    second.close()
    first.close()
    third = FileOutbox(tmp_path)
    assert titles(third.waiting("ops")) == ["a"]
    third.close()


def test_a_file_cut_off_anywhere_gives_every_whole_line_and_no_error(tmp_path):
    first = FileOutbox(tmp_path)
    for number in range(3):
        first.record(delivery(str(number)))
    first.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]

    for length in range(0, len(whole) + 1, 7):
        path.write_bytes(whole[:length])
        outbox = FileOutbox(tmp_path)
        found = titles(outbox.waiting("ops"))
        outbox.close()
        for left in tmp_path.iterdir():
            left.unlink()
        complete = sum(length >= end for end in ends)
        # A line without its end may be whole all the same.
        assert found in ([str(n) for n in range(complete)], [str(n) for n in range(complete + 1)])


def test_a_file_that_grows_is_begun_anew_with_what_waits(tmp_path, monkeypatch):
    monkeypatch.setattr("otelbridge.channels.file_outbox._COMPACT_AT", 20_000)
    outbox = FileOutbox(tmp_path)
    kept = delivery("kept")
    outbox.record(kept)
    for number in range(500):
        one = delivery(f"over {number}")
        outbox.record(one)
        one.state = "sent"
        outbox.record(one)
        kept.attempts = number
        outbox.record(kept)

    (path,) = tmp_path.iterdir()
    assert path.stat().st_size < 45_000
    outbox.close()
    after = FileOutbox(tmp_path)
    assert after.waiting("ops") == [kept]
    after.close()


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "null", '{"id": 1}', json.dumps({"id": "x", "message": {"title": 5}})]
)
def test_lines_that_mean_nothing_are_passed_over(tmp_path, line):
    (tmp_path / "0-1-a.jsonl").write_text(line + "\n")

    outbox = FileOutbox(tmp_path)

    assert outbox.waiting("ops") == []
    outbox.close()


def test_a_folder_that_cannot_be_written_is_said_once_and_messages_go_all_the_same(
    tmp_path, caplog, hook
):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    courier = Courier([Destination(channel=Webhook(url=hook.base))], FileOutbox(blocked / "notify"))

    deliveries = [courier.post(Message(title=str(number)))[0] for number in range(3)]

    assert courier.wait(deliveries, 60)
    assert courier.close(60)
    assert {one.state for one in deliveries} == {"sent"}
    assert len([r for r in caplog.records if "kept in memory only" in r.getMessage()]) == 1


def test_what_the_end_finds_before_its_channel_is_loaded_is_kept(tmp_path, hook):
    loaded = threading.Event()

    class Slow(Webhook):
        def prepare(self) -> None:
            loaded.wait(60)

    courier = Courier(
        [Destination(channel=Slow(url=hook.base), name="ops")],
        FileOutbox(tmp_path),
        rewrite=lambda one: one.with_(title=one.title.replace("secret", "***")),
    )
    for title in ("secret one", "two", "two", "two"):
        courier.post(Message(title=title, key=title))

    assert not courier.close(0.1)

    after = FileOutbox(tmp_path)
    found = [(one.message.title, one.message.count) for one in after.waiting("ops")]
    assert found == [("*** one", 0), ("two", 2)]
    assert hook.arrived == []
    after.close()
    loaded.set()


PROGRAM = """
import sys, time
from pathlib import Path
from otelbridge.channels import Courier, Destination, Message
from otelbridge.channels.file_outbox import FileOutbox
from otelbridge.channels.webhook import Webhook

port, folder, count = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
courier = Courier([Destination(channel=Webhook(url=f"http://127.0.0.1:{port}/"))],
                  FileOutbox(folder))
courier.resume()
found = [courier.post(Message(title=f"error {n}"))[0] for n in range(count)]
deadline = time.monotonic() + 60
while not all(one.changed and list(folder.glob("*")) for one in found):
    assert time.monotonic() < deadline
    time.sleep(0.01)
while count and not found[0].attempts:
    time.sleep(0.01)
print("ready", flush=True)
if count:
    time.sleep(60)
courier.close(60)
"""


def test_messages_survive_a_kill_and_are_sent_by_the_next_process(tmp_path):
    with Service() as gone:
        port = gone.port
    arguments = [sys.executable, "-c", PROGRAM, str(port), str(tmp_path)]
    with subprocess.Popen([*arguments, "3"], stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"ready\n"
        os.kill(first.pid, signal.SIGKILL)

    with Service(port) as back:
        second = subprocess.run([*arguments, "0"], timeout=60, check=True, capture_output=True)
        sent = [request.fields["title"] for request in back.taken]

    assert second.returncode == 0
    assert sent == ["error 0", "error 1", "error 2"]
    assert list(Path(tmp_path).iterdir()) == []
