"""``otelbridge search`` against a real bridge."""

import json
import os
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from otelbridge.cli import main
from otelbridge.commands import search


def lines(batch: str, count: int = 1, **fields):
    return [
        {"message": f"{batch} {n}", "log.level": "INFO", "batch": batch, "n": n, **fields}
        for n in range(count)
    ]


def test_records_that_match_are_printed_oldest_first(ask, capsys):
    ask.send(*lines("plain", 3, user="alice"))
    assert main(["search", "batch: plain and user: alice"]) == 0
    said = capsys.readouterr()
    assert [line.split("plain ")[1].split()[0] for line in said.out.splitlines()] == ["0", "1", "2"]
    assert said.err == ""


def test_json_is_one_document_a_line(ask, capsys):
    ask.send(*lines("json", 2, user="李雷"))
    assert main(["search", "batch: json", "--json"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["body"]["text"] for document in documents] == ["json 0", "json 1"]
    assert documents[0]["attributes"]["user"] == "李雷"
    assert documents[0]["severity_text"] == "INFO"


def test_the_newest_are_kept_and_how_many_there_are_is_said(ask, capsys):
    ask.send(*lines("many", 5))
    assert main(["search", "batch: many", "--limit", "2"]) == 0
    said = capsys.readouterr()
    assert [line.split("many ")[1].split()[0] for line in said.out.splitlines()] == ["3", "4"]
    assert said.err == "the newest 2 of 5; --limit shows more\n"


def test_a_limit_beyond_one_answer_is_fetched_page_by_page(ask, capsys, monkeypatch):
    monkeypatch.setattr(search, "PAGE", 3)
    ask.send(*lines("pages", 8))
    assert main(["search", "batch: pages", "--limit", "7", "--json"]) == 0
    numbers = [json.loads(line)["attributes"]["n"] for line in capsys.readouterr().out.splitlines()]
    assert numbers == [1, 2, 3, 4, 5, 6, 7]


def test_a_query_need_not_be_quoted(ask, capsys):
    ask.send(*lines("unquoted"))
    assert main(["search", "batch:", "unquoted", "and", "n:", "0"]) == 0
    assert "unquoted 0" in capsys.readouterr().out


def test_finding_nothing_is_said_and_is_no_failure(ask, capsys):
    assert main(["search", "batch: nowhere", "--range", "5m"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "nothing matches in 5m; --range looks further back\n")


def test_a_wrong_query_points_at_the_character(ask, capsys):
    assert main(["search", "user: alice and and"]) == 2
    first, query, caret = capsys.readouterr().err.splitlines()
    assert first.startswith("otelbridge: ")
    assert query == "  user: alice and and"
    assert caret == "  " + " " * len("user: alice and ") + "^"


def test_a_wrong_range_is_one_line(ask, capsys):
    assert main(["search", "--range", "whenever"]) == 2
    said = capsys.readouterr().err
    assert "whenever" in said
    assert said.count("\n") == 1


def test_no_bridge_is_one_line_that_says_how_to_start_one(capsys):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["search", "--url", f"http://127.0.0.1:{port}"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"otelbridge: no bridge answers at http://127.0.0.1:{port}")
    assert "otelbridge serve" in said
    assert said.count("\n") == 1


def test_something_else_at_the_address_is_said(capsys):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        Thread(target=other.handle_request, daemon=True).start()
        assert main(["search", "--url", f"http://127.0.0.1:{other.server_port}"]) == 1
    assert "is not an otelbridge: it answers 404" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["127.0.0.1:4319", "http://", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused_in_one_line(url, capsys):
    assert main(["search", "--url", url]) != 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("otelbridge: ")
    assert said.err.count("\n") == 1


def offered(typed: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "otelbridge"],
        env={
            **os.environ,
            "_OTELBRIDGE_COMPLETE": "zsh_complete",
            "COMP_WORDS": f"otelbridge search {typed}",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[1::3]


def test_tab_completes_fields_and_values_the_bridge_holds(ask):
    ask.send(*lines("tab", user="alice", basket="tea"))
    assert offered("bask") == ["basket"]
    assert offered("'user: al") == ["user: alice"]


def test_tab_without_a_bridge_offers_nothing_and_says_nothing(monkeypatch):
    monkeypatch.setenv("OTELBRIDGE_URL", "http://127.0.0.1:9")
    assert offered("bask") == []
