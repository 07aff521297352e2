"""The messenger: two programs, their logs to the character, and one trace across both."""

from __future__ import annotations

import html
import os
import re
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from otelbridge.commands.ask import BridgeClient
from tests.served import DEADLINE, ServedBridge, serve

pytestmark = pytest.mark.servers

MESSENGER = Path(__file__).parents[2] / "examples" / "messenger"
LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
    r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\s* (?P<name>client|server)     (?P<message>.*)"
)


@dataclass
class Program:
    """A running side of the messenger, and what it has logged so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        with self.changed:
            found = self.changed.wait_for(
                lambda: sum(text in line for line in self.lines) >= times, DEADLINE
            )
        assert found, "\n".join(self.lines)

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def messages(self, level: str) -> list[str]:
        found = [LINE.fullmatch(line) for line in self.lines]
        return [match["message"] for match in found if match and match["level"] == level]


def whole_trace(client: BridgeClient, trace_id: str, last: str) -> dict[str, Any]:
    """Wait for a trace's spans, sent by two programs: its root, one of a name, and all parents."""
    deadline = time.monotonic() + DEADLINE
    while True:
        spans = {span["span_id"]: span for span in client.get(f"/traces/{trace_id}.json")["spans"]}
        parents = {span["parent_span_id"] for span in spans.values()}
        named = any(span["name"] == last for span in spans.values())
        if named and None in parents and parents - {None} <= spans.keys():
            return spans
        assert time.monotonic() < deadline, spans
        time.sleep(0.02)


@pytest.fixture(scope="module")
def bridge(tmp_path_factory) -> Iterator[ServedBridge]:
    served = serve(tmp_path_factory.mktemp("bridge"))
    yield served
    served.stop()


@pytest.fixture
def start(bridge, python, tmp_path):
    started: list[Program] = []

    def start(name: str, *arguments: str, password: str = "") -> Program:
        folder = tmp_path / f"{name}{len(started)}"
        folder.mkdir()
        process = subprocess.Popen(
            [python, MESSENGER / f"{name}.py", *arguments],
            env={
                **os.environ,
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{bridge.http_port}",
                "NO_PROXY": "127.0.0.1",
                "MESSENGER_PASSWORD": password,
                "PYTHONUTF8": "1",
            },
            cwd=folder,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdout=(folder / "shown").open("w"),
            text=True,
            encoding="utf-8",
        )
        program = Program(process)
        threading.Thread(target=program.read, daemon=True).start()
        started.append(program)
        return program

    yield start
    for program in started:
        program.process.kill()
        program.process.wait()


@pytest.fixture
def server(start):
    server = start("server", "-a", "127.0.0.1", "-p", "0")
    server.wait_for("Сервер запущен по адресу 127.0.0.1:")
    return server


@pytest.fixture
def port(server) -> str:
    return server.lines[0].rpartition(":")[2]


def test_a_message_from_one_user_to_another_is_one_trace(bridge, start, server, port, tmp_path):
    user = start("client", "127.0.0.1", port, "user", password="correct-horse")
    guest = start("client", "127.0.0.1", port, "guest", password="battery-staple")
    for client in (user, guest):
        client.wait_for("на связи")
        client.type("/join #geekbrains")
        client.wait_for("присоединился к чату #geekbrains")
    user.type("привет")
    user.wait_for("доставлено")
    guest.wait_for("Получено сообщение от user")
    for client in (user, guest):
        client.type("/quit")
        assert client.process.wait(DEADLINE) == 0
    server.wait_for("Клиент отключился", times=2)

    assert "Шлем сообщение от user к #geekbrains: привет" in user.messages("INFO")
    assert "Сервер ответил: 202 Пользователь user аутентифицирован" in user.messages("INFO")
    assert "200: Сообщение от user к #geekbrains доставлено" in server.messages("INFO")
    assert "#geekbrains user: привет" in (tmp_path / "client2" / "shown").read_text("utf-8")

    bridge.wait_for('message: "Получено сообщение от user"', 1)
    bridge.wait_for('message: "Шлем сообщение от user к #geekbrains: привет"', 1)
    client = BridgeClient(bridge.url, None)
    sent = client.get("/logs.json", query='message: "Шлем сообщение от user"', range="1h")
    (trace_id,) = {record["trace_id"] for record in sent["records"]}
    bridge.wait_for(f'trace.id: {trace_id} and message: "доставлено"', 2)
    found = client.get("/logs.json", query=f"trace.id: {trace_id}", range="1h", limit=200)
    services = {record["resource"]["attributes"]["service.name"] for record in found["records"]}
    assert services == {"messenger-client", "messenger-server"}
    said = [record["body"]["text"] for record in found["records"]]
    assert "Получено сообщение от user" in said
    assert any("called by" in text for text in said)

    spans = whole_trace(client, trace_id, "messenger read")
    with urllib.request.urlopen(f"{bridge.url}/traces/{trace_id}", timeout=DEADLINE) as answer:
        shown = html.unescape(answer.read().decode("utf-8"))
    for part in (*services, "Шлем сообщение от user", "Получено сообщение от user"):
        assert part in shown
    [sent] = [span for span in spans.values() if not span["parent_span_id"]]
    [read] = [span for span in spans.values() if span["name"] == "messenger read"]
    handled = spans[read["parent_span_id"]]
    assert sent["name"] == "messenger msg"
    assert handled["parent_span_id"] == sent["span_id"]


def test_console_and_file_hold_the_same_lines_in_the_agreed_format_and_no_password(
    start, server, port, tmp_path
):
    client = start("client", "127.0.0.1", port, "user", password="correct-horse")
    client.wait_for("на связи")
    client.type("/quit")
    client.process.wait(DEADLINE)
    server.wait_for("Клиент отключился")
    server.process.terminate()
    server.process.wait(DEADLINE)

    for program, file in (
        (server, tmp_path / "server0" / "log" / "server.log"),
        (client, tmp_path / "client1" / "log" / "client.log"),
    ):
        kept = file.read_text("utf-8").splitlines()
        program.wait_for(kept[-1])
        assert kept == program.lines
        assert all(LINE.fullmatch(line) for line in kept)
        assert "correct-horse" not in "\n".join(kept)
        assert any("password=***" in line for line in kept)


NOBODY = "Пользователь user не существует или введен неправильный пароль "
OUTSIDE = "Пользователь user не состоит в чате #python"
UNKNOWN = "Чата #nowhere не существует"


@pytest.mark.parametrize(
    ("password", "typed", "code", "text"),
    [
        ("wrong", None, 402, NOBODY),
        ("correct-horse", "/join #nowhere", 400, UNKNOWN),
        ("correct-horse", "/leave #python", 403, OUTSIDE),
        ("correct-horse", "hello", 400, "Чата  не существует"),
    ],
)
def test_a_refusal_is_an_error_on_both_sides(start, server, port, password, typed, code, text):
    client = start("client", "127.0.0.1", port, "user", password=password)
    if typed:
        client.wait_for("на связи")
        client.type(typed)

    client.wait_for(f"Сервер ответил ошибкой: {code} {text}")
    server.wait_for(f"{code}: {text}")
    assert f"Сервер ответил ошибкой: {code} {text}" in client.messages("ERROR")
    assert f"{code}: {text}" in server.messages("ERROR")


def test_who_has_not_signed_in_is_told_so(server, port):
    with socket.create_connection(("127.0.0.1", int(port)), timeout=DEADLINE) as connection:
        connection.sendall(b'{"action": "join", "chat": "#python"}\n')
        assert '"response": 401' in connection.makefile().readline()
    server.wait_for("401: Пользователь  не авторизован")


WRONG_ADDRESS = (
    "Ошибка! Неправильный IP адрес nowhere.invalid:9, проверьте правильность введенного адреса"
)
REFUSED = (
    "Ошибка! Сервер 127.0.0.1:9 отклонил подключение, проверьте порт или сервер для подключения"
)


@pytest.mark.parametrize(
    ("address", "message"), [("nowhere.invalid", WRONG_ADDRESS), ("127.0.0.1", REFUSED)]
)
def test_a_server_that_is_not_there_is_one_critical_line(start, address, message):
    client = start("client", address, "9", "user", password="x")

    assert client.process.wait(DEADLINE) == 1
    client.wait_for("Ошибка!")
    assert client.messages("CRITICAL") == [message]
