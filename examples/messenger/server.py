"""A chat server: users sign in, join chats, and get what others write there.

python server.py [-a ADDRESS] [-p PORT]
"""

import argparse
import hmac
import socketserver
import threading

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from protocol import MOST_BYTES, decode, encode, trace_of
from server_log_config import logger

import otelbridge

PASSWORDS = {"user": "correct-horse", "guest": "battery-staple"}
CHATS = ("#geekbrains", "#python")

tracer = trace.get_tracer("messenger")
journalled = otelbridge.log_calls(logger=logger)


class RefusedError(Exception):
    """An answer other than yes."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Room:
    """Who is in which chat."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: dict[str, dict[str, Connection]] = {chat: {} for chat in CHATS}

    @journalled
    def join(self, chat: str, user: str, connection: "Connection") -> None:
        with self._lock:
            self._chat(chat)[user] = connection

    @journalled
    def leave(self, chat: str, user: str) -> None:
        with self._lock:
            if self._chat(chat).pop(user, None) is None:
                raise RefusedError(403, f"Пользователь {user} не состоит в чате {chat}")

    @journalled
    def others(self, chat: str, user: str) -> "list[Connection]":
        with self._lock:
            members = self._chat(chat)
            if user not in members:
                raise RefusedError(403, f"Пользователь {user} не состоит в чате {chat}")
            return [connection for name, connection in members.items() if name != user]

    def forget(self, user: str) -> None:
        with self._lock:
            for members in self._members.values():
                members.pop(user, None)

    def _chat(self, chat: str) -> "dict[str, Connection]":
        if chat not in self._members:
            raise RefusedError(400, f"Чата {chat} не существует")
        return self._members[chat]


room = Room()


class Connection(socketserver.StreamRequestHandler):
    """One client, from connecting to leaving."""

    def setup(self) -> None:
        super().setup()
        self.user = ""
        self._writing = threading.Lock()
        logger.info("Соединение с клиентом установленно")

    def finish(self) -> None:
        room.forget(self.user)
        logger.info("Клиент отключился")
        super().finish()

    def handle(self) -> None:
        while line := self.rfile.readline(MOST_BYTES):
            try:
                message = decode(line)
            except ValueError as error:
                logger.error("400: Сообщение не разобрано: %s", error)
                self.send({"response": 400, "text": "Сообщение не разобрано"})
                continue
            action = str(message.get("action", ""))
            with tracer.start_as_current_span(
                f"messenger {action}", context=trace_of(message), kind=SpanKind.SERVER
            ) as span:
                code = self.answer(action, message)
                span.set_attribute("messenger.response", code)
            if action == "quit":
                return

    def answer(self, action: str, message: dict) -> int:
        """Do what is asked, and say how it went."""
        fields = {"user": str(message.get("user", "")), "chat": str(message.get("chat", ""))}
        try:
            code, text = self.do(action, message)
        except RefusedError as refusal:
            code, text = refusal.code, refusal.text
            logger.error("%d: %s", code, text, extra={**fields, "error_code": code})
        except OSError as error:
            code, text = 400, "Сообщение не доставлено"
            logger.error("%d: %s: %s", code, text, error, extra={**fields, "error_code": code})
        else:
            logger.info("%d: %s", code, text, extra={**fields, "code": code})
        self.send({"response": code, "text": text})
        return code

    def do(self, action: str, message: dict) -> tuple[int, str]:
        user, chat = str(message.get("user", "")), str(message.get("chat", ""))
        if action == "authenticate":
            return self.authenticate(user, str(message.get("password", "")))
        if not self.user:
            raise RefusedError(401, f"Пользователь {user} не авторизован")
        if action == "presence":
            return 200, f"Пользователь {self.user} на связи"
        if action == "join":
            room.join(chat, self.user, self)
            return 200, f"Пользователь {self.user} присоединился к чату {chat}"
        if action == "leave":
            room.leave(chat, self.user)
            return 200, f"Пользователь {self.user} покинул чат {chat}"
        if action == "msg":
            for other in room.others(chat, self.user):
                text = str(message.get("text", ""))
                other.send({"action": "msg", "user": self.user, "chat": chat, "text": text})
            return 200, f"Сообщение от {self.user} к {chat} доставлено"
        if action == "quit":
            return 200, f"Пользователь {self.user} вышел"
        raise RefusedError(400, f"Действие {action} неизвестно")

    @journalled
    def authenticate(self, user: str, password: str) -> tuple[int, str]:
        if self.user == user:
            return 200, f"Пользователь {user} уже аутентифицирован"
        known = PASSWORDS.get(user)
        if known is None or not hmac.compare_digest(known, password):
            text = f"Пользователь {user} не существует или введен неправильный пароль "
            raise RefusedError(402, text)
        self.user = user
        return 202, f"Пользователь {user} аутентифицирован"

    def send(self, message: dict) -> None:
        with self._writing:
            self.wfile.write(encode(message))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    parser = argparse.ArgumentParser(description="A chat server.")
    parser.add_argument("-a", "--address", default="", help="address to listen on (all)")
    parser.add_argument("-p", "--port", type=int, default=7777, help="port to listen on (7777)")
    given = parser.parse_args()
    otelbridge.instrument(service_name="messenger-server")
    with Server((given.address, given.port), Connection) as server:
        logger.info("Сервер запущен по адресу %s:%d", given.address, server.server_address[1])
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            logger.info("Сервер остановлен")


if __name__ == "__main__":
    main()
