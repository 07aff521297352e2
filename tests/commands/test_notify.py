"""``otelbridge notify``: what each service answers, and the exit code."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from otelbridge.cli import main
from tests.channels.services import TELEGRAM_TOKEN, TelegramService


@pytest.fixture
def telegram() -> Iterator[TelegramService]:
    with TelegramService() as service:
        yield service


@pytest.fixture
def notify(monkeypatch, capsys):
    def run(urls: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("OTELBRIDGE_NOTIFY", urls)
        try:
            code = main(["notify", *arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_each_destination_shows_its_answer(notify, telegram, tmp_path):
    urls = f"telegram://{TELEGRAM_TOKEN}@42?base_url={telegram.base} file:{tmp_path}/a.log?name=log"

    code, out, err = notify(urls, "is this thing on?\nyes")

    assert (code, err) == (0, "")
    assert out == f"sent  telegram:42: message 1000\nsent  log: {tmp_path}/a.log\n"
    assert telegram.taken[0].fields["text"].endswith("is this thing on?\n\nyes")


def test_one_that_fails_says_why_and_is_the_exit_code(notify, telegram, tmp_path):
    urls = f"telegram://1:wrong@42?base_url={telegram.base} file:{tmp_path}/a.log?name=log"

    code, out, _ = notify(urls, "hello", "--json")

    assert code == 1
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "destination": "telegram:42",
            "sent": False,
            "reply": "Telegram does not know this token (HTTP 401)",
            "note": "",
        },
        {"destination": "log", "sent": True, "reply": f"{tmp_path}/a.log", "note": ""},
    ]


def test_one_destination_can_be_chosen(notify, tmp_path):
    urls = f"file:{tmp_path}/a.log?name=a file:{tmp_path}/b.log?name=b"

    code, out, _ = notify(urls, "--to", "b", "--severity", "critical", "hello")

    assert code == 0
    assert out == f"sent  b: {tmp_path}/b.log\n"
    assert not (tmp_path / "a.log").exists()
    assert "CRITICAL hello" in (tmp_path / "b.log").read_text()

    code, _, err = notify(urls, "--to", "c", "hello")
    assert code == 2
    assert "no destination 'c'; there are: a, b" in err


def test_the_text_can_come_from_standard_input(notify, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("line 1\nline 2\n"))

    notify(f"file:{tmp_path}/a.log", "--title", "shop failed", "-")

    assert (tmp_path / "a.log").read_text().splitlines()[0].endswith("INFO shop failed")
    assert "    line 2" in (tmp_path / "a.log").read_text()


def test_a_class_of_the_folder_it_is_run_from_is_found(notify, tmp_path, monkeypatch):
    (tmp_path / "own_pager.py").write_text(
        "from dataclasses import dataclass\n"
        "from otelbridge.channels import Channel, Receipt\n"
        "@dataclass(frozen=True)\n"
        "class Pager(Channel):\n"
        "    kind = 'pager'\n"
        "    def send(self, message): return Receipt(reply='rang for ' + message.title)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])

    code, out, _ = notify("class:own_pager.Pager", "the door")

    assert (code, out) == (0, "sent  pager: rang for the door\n")


def test_nothing_configured_and_nonsense_are_said(notify):
    code, _, err = notify("", "hello")
    assert code == 1
    assert "nowhere to send to: OTELBRIDGE_NOTIFY is empty" in err

    code, _, err = notify("telegram://1", "hello")
    assert code == 2
    assert "OTELBRIDGE_NOTIFY is ***; number 1: allowed: telegram://TOKEN@CHAT" in err
