"""Stand-ins for Telegram's Bot API, Discord's and Slack's webhooks, and a plain HTTP endpoint.

They are not the services. They take and refuse what the services' documentation says is taken and
refused (the modules of ``otelbridge.channels`` name the pages), in the same words and shapes, and
keep what arrived.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Reply:
    """An answer: a JSON object or text, with headers."""

    status: int
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Arrived:
    """A request as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    fields: dict[str, Any]
    files: dict[str, tuple[str, bytes]]
    body: bytes
    at: float


class Service:
    """An HTTP server on the loopback address, running while in a ``with`` block.

    Attributes:
        arrived: every request.
        taken: those that were answered as taken.
        replies: answers to give first, whatever is asked.
        hanging: while set, no request is answered.
        down: while set, every connection is closed without an answer.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.arrived: list[Arrived] = []
        self.taken: list[Arrived] = []
        self.replies: list[Reply] = []
        self.hanging = threading.Event()
        self.down = threading.Event()
        self.let_go = threading.Event()
        self.changed = threading.Condition()

    def answer(self, request: Arrived) -> Reply:
        return Reply(200)

    def __enter__(self):
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if service.down.is_set():
                    self.close_connection = True
                    return
                request = read_request(self.path, dict(self.headers.items()), body)
                with service.changed:
                    service.arrived.append(request)
                    service.changed.notify_all()
                if service.hanging.is_set():
                    service.let_go.wait(60)
                    self.close_connection = True
                    return
                reply = service.replies.pop(0) if service.replies else service.answer(request)
                if 200 <= reply.status < 300:
                    with service.changed:
                        service.taken.append(request)
                        service.changed.notify_all()
                is_text = isinstance(reply.body, str)
                data = (reply.body if is_text else json.dumps(reply.body)).encode()
                self.send_response(reply.status)
                headers = {"Content-Type": "text/html" if is_text else "application/json"}
                for name, value in {**headers, **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: Any) -> None:
                """A client that gave up is not this server's trouble."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, count: int, timeout: float = 60.0) -> list[Arrived]:
        """Wait until ``count`` requests were taken."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.taken) >= count, timeout), (
                f"{len(self.taken)} of {count} taken, {len(self.arrived)} came"
            )
        return self.taken

    def wait_for_arrival(self, count: int, timeout: float = 60.0) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.arrived) >= count, timeout)


def read_request(path: str, headers: dict[str, str], body: bytes) -> Arrived:
    parts = urlsplit(path)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    names = {name.lower(): value for name, value in headers.items()}
    kind = names.get("content-type", "")
    fields: dict[str, Any] = {}
    files: dict[str, tuple[str, bytes]] = {}
    if kind.startswith("multipart/form-data"):
        for name, filename, content in form_parts(kind, body):
            if filename:
                files[name] = (filename, content)
            else:
                fields[name] = content.decode()
    elif kind.startswith("application/json"):
        fields = json.loads(body)
    return Arrived(parts.path, query, names, fields, files, body, time.monotonic())


def form_parts(kind: str, body: bytes) -> Iterator[tuple[str, str | None, bytes]]:
    """Read a multipart form (RFC 7578)."""
    boundary = re.search(r'boundary="?([^";]+)', kind)[1].encode()
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        message = BytesParser(policy=HTTP).parsebytes(head.lstrip(b"\r\n") + b"\r\n\r\n")
        disposition = message["Content-Disposition"].params
        yield disposition["name"], disposition.get("filename"), content[:-2]


# --- Telegram -------------------------------------------------------------------------------------

TELEGRAM_TOKEN = "123456:AAH-secret_token"


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def telegram_problem(text: str, entities: list[dict[str, Any]], limit: int = 4096) -> str | None:
    """Say what Telegram would refuse about a text and its entities, if it would."""
    if not text.strip():
        return "message text is empty"
    if units(text) > limit:
        return "message is too long"
    encoded = text.encode("utf-16-le")
    for entity in entities:
        start, end = entity["offset"] * 2, (entity["offset"] + entity["length"]) * 2
        if entity["length"] <= 0 or start < 0 or end > len(encoded):
            return f"entity {entity} is beyond the text"
        encoded[start:end].decode("utf-16-le")  # half a character raises
    pre = [e for e in entities if e["type"] == "pre"]
    for one in pre:
        for other in entities:
            apart = (
                other["offset"] >= one["offset"] + one["length"]
                or other["offset"] + other["length"] <= one["offset"]
            )
            if other is not one and not apart:
                return "entities in a pre entity"
    return None


def entity_text(text: str, entity: dict[str, Any]) -> str:
    start, end = entity["offset"] * 2, (entity["offset"] + entity["length"]) * 2
    return text.encode("utf-16-le")[start:end].decode("utf-16-le")


class TelegramService(Service):
    """The Bot API's sendMessage and sendDocument, for one bot and the chats it is in."""

    def __init__(self, chats: tuple[str, ...] = ("42",)) -> None:
        super().__init__()
        self.chats = set(chats)
        self.moved: dict[str, int] = {}
        self.without_files = False

    def answer(self, request: Arrived) -> Reply:
        match = re.fullmatch(r"/bot([^/]*)/(\w+)", request.path)
        if match is None or not re.fullmatch(r"\d+:[\w-]+", match[1]):
            return self._error(404, "Not Found")
        if match[1] != TELEGRAM_TOKEN:
            return self._error(401, "Unauthorized")
        fields = request.fields
        chat = str(fields.get("chat_id", ""))
        if chat in self.moved:
            return self._error(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                {"migrate_to_chat_id": self.moved[chat]},
            )
        if chat not in self.chats:
            return self._error(400, "Bad Request: chat not found")
        if match[2] == "sendDocument":
            if self.without_files:
                return self._error(
                    400, "Bad Request: not enough rights to send documents to the chat"
                )
            if "document" not in request.files:
                return self._error(400, "Bad Request: there is no document in the request")
            if len(request.files["document"][1]) > 50_000_000:
                return self._error(413, "Request Entity Too Large")
            caption = fields.get("caption")
            if caption and telegram_problem(caption, [], 1024):
                return self._error(400, "Bad Request: message caption is too long")
        else:
            problem = telegram_problem(fields.get("text", ""), fields.get("entities", []))
            if problem:
                return self._error(400, f"Bad Request: {problem}")
        return Reply(
            200, {"ok": True, "result": {"message_id": 1000 + len(self.taken), "chat": {}}}
        )

    def _error(self, status: int, description: str, parameters: Any = None) -> Reply:
        body = {"ok": False, "error_code": status, "description": description}
        return Reply(status, {**body, **({"parameters": parameters} if parameters else {})})

    def too_many(self, seconds: int) -> Reply:
        reply = self._error(
            429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds}
        )
        reply.headers["Retry-After"] = str(seconds)
        return reply


# --- Discord --------------------------------------------------------------------------------------

DISCORD_ID, DISCORD_TOKEN = "223704706495545344", "3d89bb7572e0fb30d8128367b3b1b44f-secret"


def discord_problem(payload: dict[str, Any]) -> str | None:
    """Say what Discord would refuse about a message, if it would."""
    content = payload.get("content", "")
    if not content.strip():
        return "Cannot send an empty message"
    if units(content) > 2000:
        return "Must be 2000 or fewer in length."
    allowed = payload.get("allowed_mentions")
    if allowed is not None:
        if set(allowed.get("parse", [])) - {"users", "roles", "everyone"}:
            return "allowed_mentions.parse"
        if len(allowed.get("users", [])) > 100 or len(allowed.get("roles", [])) > 100:
            return "allowed_mentions: Must be 100 or fewer in length."
    if payload.get("flags", 0) & ~(4 | 4096):
        return "flags"
    return None


class DiscordService(Service):
    """Execute Webhook, for one webhook."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = False
        self.file_limit = 10 * 2**20
        self.rate_headers: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"{self.base}/api/webhooks/{DISCORD_ID}/{DISCORD_TOKEN}"

    def answer(self, request: Arrived) -> Reply:
        match = re.fullmatch(r"/api(?:/v\d+)?/webhooks/(\d+)/([^/]+)", request.path)
        if match is None or match[1] != DISCORD_ID or self.gone:
            return Reply(404, {"message": "Unknown Webhook", "code": 10015})
        if match[2] != DISCORD_TOKEN:
            return Reply(401, {"message": "Invalid Webhook Token", "code": 50027})
        if not request.headers.get("user-agent", "").startswith("DiscordBot ("):
            return Reply(403, "error code: 1010")
        payload = request.fields
        if "payload_json" in payload:
            payload = json.loads(payload["payload_json"])
            request.fields = payload
        problem = discord_problem(payload)
        if problem:
            return Reply(400, {"message": "Invalid Form Body", "code": 50035, "errors": problem})
        if any(len(content) > self.file_limit for _, content in request.files.values()):
            return Reply(413, {"message": "Request entity too large", "code": 40005})
        if request.query.get("wait") != "true":
            return Reply(204, "", self.rate_headers)
        return Reply(200, {"id": str(5000 + len(self.taken))}, self.rate_headers)

    @staticmethod
    def too_many(seconds: float) -> Reply:
        return Reply(
            429,
            {"message": "You are being rate limited.", "retry_after": seconds, "global": False},
            {
                "Retry-After": str(int(seconds) + 1),
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset-After": str(seconds),
                "X-RateLimit-Scope": "user",
            },
        )


# --- Slack ----------------------------------------------------------------------------------------

SLACK_PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXsecretXXXXXX"


def slack_problem(payload: dict[str, Any]) -> str | None:
    """Say what Slack would refuse about a message, if it would."""
    blocks = payload.get("blocks", [])
    if not payload.get("text") and not blocks:
        return "no_text"
    if len(blocks) > 50:
        return "invalid_blocks"
    for block in blocks:
        if block["type"] == "header":
            text = block["text"]
            if text["type"] != "plain_text" or not 0 < units(text["text"]) <= 150:
                return "invalid_blocks"
        elif block["type"] == "section":
            if not 0 < units(block["text"]["text"]) <= 3000:
                return "invalid_blocks"
        elif block["type"] == "context":
            if not 0 < len(block["elements"]) <= 10:
                return "invalid_blocks"
        else:
            return "invalid_blocks"
    return None


class SlackService(Service):
    """An incoming webhook."""

    def __init__(self) -> None:
        super().__init__()
        self.word: tuple[int, str] | None = None

    @property
    def url(self) -> str:
        return self.base + SLACK_PATH

    def answer(self, request: Arrived) -> Reply:
        if self.word:
            return Reply(*self.word)
        if request.path != SLACK_PATH:
            return Reply(404, "no_service")
        problem = slack_problem(request.fields)
        return Reply(400, problem) if problem else Reply(200, "ok")
