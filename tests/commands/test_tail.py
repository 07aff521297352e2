"""``otelbridge tail`` against a real bridge."""

import json
import os
import signal
import socket
import subprocess
import sys

from tests.served import serve


def tail(url: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "otelbridge", "tail", "--url", url, *arguments],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line(batch: str, number: int) -> dict:
    return {"message": f"{batch} {number}", "log.level": "INFO", "batch": batch, "n": number}


def test_it_shows_the_last_records_then_those_that_arrive(bridge):
    bridge.send(*[line("follow", n) for n in range(3)])
    process = tail(bridge.url, "batch: follow", "--lines", "2", "--json")
    assert [json.loads(process.stdout.readline())["attributes"]["n"] for _ in range(2)] == [1, 2]
    bridge.send(line("other", 0))
    bridge.send(*[line("follow", n) for n in range(3, 6)][:1])
    assert json.loads(process.stdout.readline())["attributes"]["n"] == 3
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def test_a_closed_pipe_ends_it_quietly(bridge):
    bridge.send(line("pipe", 0))
    process = tail(bridge.url, "batch: pipe")
    assert "pipe 0" in process.stdout.readline()
    process.stdout.close()
    bridge.send(line("pipe", 1))
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def test_it_comes_back_with_a_bridge_that_was_away_and_misses_nothing(tmp_path):
    first = serve(tmp_path)
    port = first.url.rpartition(":")[2]
    first.send(line("away", 0))
    process = tail(first.url, "batch: away", "--json")
    assert json.loads(process.stdout.readline())["attributes"]["n"] == 0
    first.stop()
    assert "trying again" in process.stderr.readline()
    second = serve(tmp_path, f"--web-port={port}")
    try:
        second.send(line("away", 1))
        assert json.loads(process.stdout.readline())["attributes"]["n"] == 1
    finally:
        process.terminate()
        process.wait(60)
        second.stop()


def test_without_a_bridge_it_says_so_and_fails():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = tail(f"http://127.0.0.1:{port}")
    assert process.wait(60) == 1
    assert "otelbridge serve" in process.stderr.read()


def test_a_wrong_query_ends_it_with_the_character_pointed_at(bridge):
    process = tail(bridge.url, "user: alice and and")
    assert process.wait(60) == 2
    assert process.stderr.read().endswith("  user: alice and and\n" + " " * 18 + "^\n")
