"""A chat client: signs in, and sends what is typed.

    python client.py ADDRESS PORT USER

``/join #chat`` and ``/leave #chat`` do what they say, ``/quit`` ends, and anything else goes to the
chat joined last. The password comes from MESSENGER_PASSWORD, or is asked for.
"""

import argparse
import getpass
import os
import socket
import sys
import threading

from client_log_config import logger
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from protocol import decode, encode, trace_of

import otelbridge

PATIENCE = 10.0  # seconds to wait for an answer

tracer = trace.get_tracer("messenger")
journalled = otelbridge.log_calls(logger=logger)


class Client:
    """A connection to the server."""

    def __init__(self, address: str, port: int, user: str) -> None:
        self.user, self.chat = user, ""
        self._socket = socket.create_connection((address, port), timeout=PATIENCE)
        self._socket.settimeout(None)
        self._answered = threading.Condition()
        self._answers: list[dict] = []
        self._ended = False
        logger.info("Клиент подключился к %s:%d", address, port)
        threading.Thread(target=self._listen, daemon=True).start()

    @journalled
    def authenticate(self, password: str) -> bool:
        logger.info("Аутентификация %s...", self.user)
        return self._ask({"action": "authenticate", "password": password})

    @journalled
    def presence(self) -> bool:
        logger.info("Шлем presence...")
        return self._ask({"action": "presence"})

    @journalled
    def join(self, chat: str) -> bool:
        logger.info("%s присоединяется к чату %s...", self.user, chat)
        self.chat = chat
        return self._ask({"action": "join", "chat": chat})

    @journalled
    def leave(self, chat: str) -> bool:
        logger.info("%s выходит из чата %s...", self.user, chat)
        return self._ask({"action": "leave", "chat": chat})

    @journalled
    def send(self, text: str) -> bool:
        logger.info("Шлем сообщение от %s к %s: %s", self.user, self.chat, text)
        return self._ask({"action": "msg", "chat": self.chat, "text": text})

    def quit(self) -> None:
        self._ask({"action": "quit"})
        self._socket.close()

    def _ask(self, message: dict) -> bool:
        """Send a request; returns whether the answer is yes."""
        with self._answered:
            self._socket.sendall(encode({**message, "user": self.user}))
            if not self._answered.wait_for(lambda: self._answers or self._ended, PATIENCE):
                logger.error("Сервер не отвечает", extra={"user": self.user})
                return False
            answer = self._answers.pop(0) if self._answers else {"response": 0, "text": "молчание"}
        code, text = answer.get("response", 0), answer.get("text", "")
        if code in {200, 202}:
            logger.info(
                "Сервер ответил: %s %s", code, text, extra={"user": self.user, "code": code}
            )
            return True
        fields = {"user": self.user, "error_code": code}
        logger.error("Сервер ответил ошибкой: %s %s", code, text, extra=fields)
        return False

    def _listen(self) -> None:
        """Take what the server sends: answers, and what others write."""
        try:
            for line in self._socket.makefile("rb"):
                message = decode(line)
                if "response" not in message:
                    self._show(message)
                    continue
                with self._answered:
                    self._answers.append(message)
                    self._answered.notify_all()
        except (OSError, ValueError) as error:
            logger.debug("Соединение закрыто: %s", error)
        with self._answered:
            self._ended = True
            self._answered.notify_all()

    def _show(self, message: dict) -> None:
        kind = SpanKind.CONSUMER
        with tracer.start_as_current_span("messenger read", context=trace_of(message), kind=kind):
            logger.info("Получено сообщение от %s", message.get("user"), extra={"user": self.user})
            print(f"{message.get('chat')} {message.get('user')}: {message.get('text')}", flush=True)


ACTIONS = {"/join": "join", "/leave": "leave", "/quit": "quit"}


def act(client: Client, line: str) -> bool:
    """Do what was typed, in a trace of its own; returns whether to go on."""
    command, _, rest = line.partition(" ")
    action = ACTIONS.get(command, "msg")
    with tracer.start_as_current_span(f"messenger {action}", kind=SpanKind.CLIENT):
        if action == "quit":
            client.quit()
            return False
        if action == "join":
            client.join(rest)
        elif action == "leave":
            client.leave(rest)
        elif line:
            client.send(line)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="A chat client.")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("user")
    given = parser.parse_args()
    otelbridge.instrument(service_name="messenger-client")
    password = os.environ.get("MESSENGER_PASSWORD") or getpass.getpass()
    try:
        client = Client(given.address, given.port, given.user)
    except socket.gaierror:
        logger.critical(
            "Ошибка! Неправильный IP адрес %s:%d, проверьте правильность введенного адреса",
            given.address,
            given.port,
        )
        return 1
    except OSError:
        logger.critical(
            "Ошибка! Сервер %s:%d отклонил подключение, проверьте порт или сервер для подключения",
            given.address,
            given.port,
        )
        return 1
    with tracer.start_as_current_span("messenger sign in", kind=SpanKind.CLIENT):
        if not client.authenticate(password) or not client.presence():
            return 1
    for line in sys.stdin:
        if not act(client, line.strip()):
            return 0
    act(client, "/quit")
    return 0


if __name__ == "__main__":
    sys.exit(main())
