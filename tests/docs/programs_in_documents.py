"""The complete programs that the documents show, and what each says will come of it.

A fence's own words mark it; a page shows only the first, the language:

    ```python run                   a complete program; it is run as `python program.py`
    ```python run=app.py A=b        the same in a file of this name, with a variable set
    ```python run under=otelbridge  the same as `otelbridge run python program.py`
    ```python file=orders.py        a module that lies beside the page's programs
    ```json arrives                 what the program above sends, one JSON object after the other
    ```text prints                  what the program above writes to stdout, whole
    ```text exits=1 says            what it writes to stderr, whole, and how it ends

Before them stands the page's line `pip install ...`, which is all that they need.

An object with `"span"` or `"metric"` names one of these; any other is a log record, and the log
records listed are all that may arrive, in this order. The other members are attributes, resource
attributes, or a log record's `message`, `log.level`, `log.logger`, `trace.id` and `span.id`; those
not listed may be anything. A text such as `"<trace>"` stands for any value, but for the same one
throughout the page's program.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otlp_receiver import OTLPReceiver, Received
from programs import environment

PAGES = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))

_INSTALL = re.compile(r"^    pip install (.*)$", re.M)
_FENCE = re.compile(r"^```(\w+)((?: \S+)+)\n(.*?)^```$", re.M | re.S)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


@dataclass
class Program:
    """One complete program of a page.

    Attributes:
        name: its page and its place there.
        source: its text.
        file: the name of its file.
        files: modules beside it, by their files' names.
        environ: variables it is run with.
        under: whether it is run by `otelbridge run`.
        arrives: what must arrive; `None` where the page says nothing of it.
        prints: what it must write to stdout; `None` where the page says nothing of it.
        says: what it must write to stderr.
        exits: its exit code.
        requirements: what the page has its reader install.
    """

    name: str
    source: str
    file: str
    files: dict[str, str]
    environ: dict[str, str]
    under: bool = False
    arrives: list[dict[str, Any]] | None = None
    prints: str | None = None
    says: str = ""
    exits: int = 0
    requirements: tuple[str, ...] = ()

    def check(self, receiver: OTLPReceiver, folder: Path, commands: Path) -> None:
        """Run the program and fail unless it does what its page says.

        Args:
            receiver: what it sends to.
            folder: an empty folder that it is run in.
            commands: the folder of commands (``bin``) of the environment that it is run with.
        """
        for name, source in {**self.files, self.file: self.source}.items():
            (folder / name).write_text(source, "utf-8")
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http,
            "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",
            "PYTHONUTF8": "1",
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            **self.environ,
        }
        ended = subprocess.run(
            [*(["otelbridge", "run"] if self.under else []), "python", self.file],
            cwd=folder,
            env=environment(environ),
            capture_output=True,
            encoding="utf-8",
            timeout=150,
            check=False,
        )

        assert (ended.returncode, ended.stderr) == (self.exits, self.says)
        if self.prints is not None:
            assert ended.stdout == self.prints
        if self.arrives is not None:
            Expectation(receiver).check(self.arrives)


def requirements_of(page: Path) -> tuple[str, ...]:
    """Find what a page's first line with `pip install` installs; nothing if it has none."""
    found = _INSTALL.search(page.read_text("utf-8"))
    return tuple(shlex.split(found[1], comments=True)) if found else ()


def programs_of(page: Path) -> list[Program]:
    """Find a page's complete programs."""
    found: list[Program] = []
    files: dict[str, str] = {}
    for language, words, text in _FENCE.findall(page.read_text("utf-8")):
        options = {
            name: value for name, _, value in (word.partition("=") for word in words.split())
        }
        if language == "python" and "file" in options:
            files[options["file"]] = text
        elif language == "python" and "run" in options:
            name = f"{page.name} {len(found) + 1}"
            environ = {key: value for key, value in options.items() if _VARIABLE.fullmatch(key)}
            file = options["run"] or "program.py"
            needs = requirements_of(page)
            found.append(
                Program(name, text, file, files, environ, "under" in options, requirements=needs)
            )
        elif "arrives" in options:
            found[-1].arrives = list(_objects(text))
        elif "prints" in options:
            found[-1].prints = text
        elif "says" in options:
            found[-1].says = text
            found[-1].exits = int(options.get("exits", 0))
        else:
            raise ValueError(f"{page.name}: a fence is marked '{words.strip()}'")
    return found


def _objects(text: str) -> Iterator[dict[str, Any]]:
    rest = text.strip()
    while rest:
        found, end = json.JSONDecoder().raw_decode(rest)
        yield found
        rest = rest[end:].lstrip()


@dataclass
class Expectation:
    """Compares what a page lists with what arrived."""

    receiver: OTLPReceiver
    known: dict[str, Any] = field(default_factory=dict)

    def check(self, listed: list[dict[str, Any]]) -> None:
        """Fail unless everything listed arrived, and no log record that is not."""
        logs = [one for one in listed if not {"span", "metric"} & one.keys()]
        # Within a request they are grouped by their loggers.
        in_time = sorted(self.receiver.logs, key=lambda log: log.item.time_unix_nano)
        arrived = [_log_fields(log) for log in in_time]
        assert len(arrived) == len(logs), [log["message"] for log in arrived]
        for one, log in zip(logs, arrived, strict=True):
            assert self._fits(one, log), f"listed: {one}\narrived: {log}"
        for kind, received in (("span", self.receiver.traces), ("metric", self.receiver.metrics)):
            candidates = [
                {**item.resource, **item.attributes, **_ids(item.item), kind: item.item.name}
                for item in received
            ]
            for one in listed:
                if kind in one:
                    assert any(self._fits(one, candidate) for candidate in candidates), (
                        f"listed: {one}\narrived: {candidates}"
                    )

    def _fits(self, listed: dict[str, Any], arrived: dict[str, Any]) -> bool:
        learnt: dict[str, Any] = {}
        for name, value in listed.items():
            if name not in arrived:
                return False
            if isinstance(value, str) and re.fullmatch("<.+>", value):
                if {**learnt, **self.known}.get(value, arrived[name]) != arrived[name]:
                    return False
                learnt[value] = arrived[name]
            elif arrived[name] != value:
                return False
        self.known.update(learnt)
        return True


def _log_fields(log: Received) -> dict[str, Any]:
    return {
        **log.resource,
        **log.attributes,
        **_ids(log.item),
        "message": log.item.body.string_value,
        "log.level": log.item.severity_text,
        "log.logger": log.scope,
    }


def _ids(item: Any) -> dict[str, str]:
    if not getattr(item, "trace_id", b""):
        return {}
    return {"trace.id": item.trace_id.hex(), "span.id": item.span_id.hex()}
