"""A file that messages are added to, for ``tail -f`` or another program."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import ClassVar

from otelbridge.channels.channel import Channel, ChannelError, ChannelSettingsError, Receipt, option
from otelbridge.channels.cutting import one_line, plain
from otelbridge.channels.message import Message


@dataclass(frozen=True, kw_only=True)
class File(Channel):
    """Messages in a file; it is started afresh when it is full, keeping one old one."""

    kind: ClassVar[str] = "file"

    path: str = option("the file; its folder is made")
    format: str = option(
        "text to read, or a JSON object a line", default="text", choices=("text", "json")
    )
    max_bytes: int = option("size at which the file becomes FILE.1", default=10 * 2**20)

    def __post_init__(self) -> None:
        if not self.path.strip() or "\0" in self.path:
            raise ChannelSettingsError(f"file: path is {self.path!r}; allowed: a file's path")

    @property
    def address(self) -> str:
        return f"file:{self.path}"

    def send(self, message: Message) -> Receipt:
        entry = self.entry(message).encode("utf-8", "replace")
        path = Path(self.path).expanduser()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(path, len(entry))
            # One write in append mode: entries of several processes do not run into each other.
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                written = os.write(target, entry)
                while written < len(entry):
                    written += os.write(target, entry[written:])
            finally:
                os.close(target)
        except OSError as error:
            raise ChannelError(f"{path}: {error.strerror or error}") from None
        return Receipt(reply=str(path))

    def entry(self, message: Message) -> str:
        """Write a message as it stands in the file."""
        time = datetime.fromtimestamp(message.time, timezone.utc).isoformat(timespec="milliseconds")
        if self.format == "json":
            data = {
                "time": time,
                "project": message.project,
                "severity": message.severity,
                "title": message.title,
                "text": message.text,
                "traceback": message.traceback(),
                "more": message.count,
                "authors": list(message.authors),
                "link": message.link,
                "id": message.id,
            }
            return json.dumps(data, ensure_ascii=True) + "\n"
        first = f"{time} {message.severity.upper()} {one_line(message.heading)}"
        body = [plain(message.text), plain(message.traceback()), message.more, message.link or ""]
        if message.authors:
            body.append("For: " + " ".join(one_line(author) for author in message.authors))
        lines = [first, *(f"    {line}" for part in body if part for line in part.splitlines())]
        return "\n".join(lines) + "\n"

    def _make_room(self, path: Path, size: int) -> None:
        try:
            if path.stat().st_size + size > self.max_bytes and path.is_file():
                path.replace(path.with_name(path.name + ".1"))
        except FileNotFoundError:
            # Not there yet, or another process has just moved it.
            return
