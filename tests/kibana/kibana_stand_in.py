"""A stand-in for Kibana: it keeps saved objects and speaks the documented part of their API.

It is not Kibana: what an object holds is not looked at, beyond the references.
"""

from __future__ import annotations

import json
import re
import threading
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class KibanaStandIn:
    """Runs within a ``with`` block.

    Attributes:
        objects: what it holds, by type and id.
        version: what it says it is.
        level: of its readiness.
        refuse: a status with which everything is answered, or ``None``.
        requests: method and path of each request.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.version = "9.1.3"
        self.level = "available"
        self.refuse: int | None = None
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> KibanaStandIn:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def import_objects(self, lines: list[dict[str, Any]], overwrite: bool) -> dict[str, Any]:
        written, errors = [], []
        known = self.objects.keys() | {_key(one) for one in lines}
        for one in lines:
            missing = [r for r in one["references"] if (r["type"], r["id"]) not in known]
            named = {"type": one["type"], "id": one["id"]}
            if missing:
                error = {"type": "missing_references", "references": missing}
                errors.append({**named, "error": error})
            elif _key(one) in self.objects and not overwrite:
                errors.append({**named, "error": {"type": "conflict"}})
            else:
                self.objects[_key(one)] = one
                written.append(named)
        answer: dict[str, Any] = {"success": not errors, "successCount": len(written)}
        if written:
            answer["successResults"] = written
        if errors:
            answer["errors"] = errors
        return answer


def _key(one: dict[str, Any]) -> tuple[str, str]:
    return one["type"], one["id"]


def _handler(kibana: KibanaStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kibana.requests.append(f"{self.command} {self.path}")
            kibana.authorizations.append(self.headers.get("Authorization"))
            if kibana.refuse is not None:
                self._send(kibana.refuse, {"message": "because"})
            elif self.path == "/api/status":
                status = {"overall": {"level": kibana.level}}
                self._send(200, {"version": {"number": kibana.version}, "status": status})
            elif self.command == "POST" and not self.headers.get("kbn-xsrf"):
                self._send(400, {"message": "Request must contain a kbn-xsrf header."})
            elif self.path == "/api/saved_objects/_export":
                self._export(json.loads(body))
            elif found := re.fullmatch(
                r"/api/saved_objects/_import\?overwrite=(true|false)", self.path
            ):
                head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
                (part,) = message_from_bytes(head + body).get_payload()
                lines = part.get_payload(decode=True).decode().splitlines()
                objects = [json.loads(line) for line in lines if line]
                self._send(200, kibana.import_objects(objects, found[1] == "true"))
            else:
                self._send(404, {"message": "Not Found"})

        def _export(self, asked: dict[str, Any]) -> None:
            keys = [(one["type"], one["id"]) for one in asked["objects"]]
            if not set(keys) <= kibana.objects.keys():
                self._send(400, {"message": "Error fetching objects to export"})
                return
            lines = [json.dumps(kibana.objects[key]) for key in keys]
            self._send(200, "\n".join(lines))

        def _send(self, status: int, body: Any) -> None:
            # Without spaces, as Kibana writes.
            content = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
            data = content.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
