"""A Celery app as people write them, its worker, and what a bridge has of both."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from programs import environment

from otelbridge.search import parse
from otelbridge.serve import Bridge
from otelbridge.store.protocol import TimeRange

ALWAYS = TimeRange(0, 2**62)
# For a machine that does everything else at the same time.
PATIENCE_SECONDS = 120

APP = """
import logging
import os
import signal
import time

from celery import Celery
from celery.utils.log import get_task_logger

app = Celery("shop", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
log = get_task_logger(__name__)

@app.task
def bill(number):
    log.info("billing %s", number, extra={"number": number})
    return number

@app.task
def refuse(number):
    raise ValueError(f"no such order: {number}")

class Declined(Exception):
    def __init__(self, bank):
        super().__init__("declined by the bank")
        self.answer = lambda: bank  # which no pickle can hold

@app.task
def pay():
    raise Declined("of England")

@app.task(throws=(KeyError,))
def look_up():
    raise KeyError("as expected")

@app.task(bind=True, max_retries=3)
def deliver(self):
    try:
        if self.request.retries < 2:
            raise ConnectionError("the van is away")
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=0)
    return "delivered"

@app.task
def wait(seconds):
    log.info("waiting")
    time.sleep(seconds)
    log.info("waited")

@app.task(time_limit=1)
def hang():
    log.info("hanging")
    time.sleep(60)

@app.task
def die(number):
    log.info("about to die", extra={"number": number})
    os.kill(os.getpid(), signal.SIGKILL)
"""

INSTRUMENTED = "import otelbridge\notelbridge.instrument()\n" + APP


class Shop:
    """One test's app: its folder, its broker, and what arrived of it.

    Attributes:
        name: its services' name.
        printed: what its worker has printed.

    It is run by the commands of this environment, or of the one whose folder of commands is given.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        broker: str,
        bridge: Bridge,
        commands: Path = Path(sys.executable).parent,
    ) -> None:
        self.name = name
        self.folder = folder
        self._bridge = bridge
        host, port = bridge.addresses["http"]
        self._environ = {
            "BROKER": broker,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{host}:{port}",
            "OTEL_SERVICE_NAME": name,
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis",
            "OTELBRIDGE_SHUTDOWN_TIMEOUT": "30s",
            # As in an activated environment.
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def printed(self) -> str:
        return (self.folder / "worker.log").read_text()

    @contextmanager
    def worker(
        self,
        *options: str,
        command: str = "celery",
        app: str = "shop",
        end: int = signal.SIGTERM,
        **environ: str,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a worker meanwhile, and end it by a signal."""
        with (self.folder / "worker.log").open("ab") as output:
            process = subprocess.Popen(
                [*command.split(), "-A", app, "worker", "--loglevel=INFO", *options],
                env=environment({**self._environ, **environ}),
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )
        try:
            yield process
            process.send_signal(end)
            process.wait(PATIENCE_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def produce(
        self, program: str, command: str = "python", app: str = "shop", **environ: str
    ) -> str:
        """Run a program that sends tasks, to its end; returns what it prints."""
        (self.folder / "produce.py").write_text(
            f"import {app}\n" + textwrap.dedent(program), encoding="utf-8"
        )
        done = subprocess.run(
            [*command.split(), "produce.py"],
            env=environment({**self._environ, **environ}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr + self.printed
        return done.stdout

    def logs(self, query: str = "") -> list[Any]:
        """Return the log records that match, oldest first."""
        mine = f'service.name: "{self.name}"' + (f" and {query}" if query else "")
        found = self._bridge.store.logs(parse(mine), ALWAYS, limit=1_000)
        return [stored.record for stored in reversed(found)]

    def spans(self) -> list[Any]:
        """Return all spans."""
        found = self._bridge.store.traces(parse(f'service.name: "{self.name}"'), ALWAYS, limit=1000)
        return [
            stored.span
            for trace in found
            for stored in self._bridge.store.trace(trace.trace_id).spans
        ]

    def wait_for(self, query: str, count: int = 1) -> list[Any]:
        """Wait until so many log records have come."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found := self.logs(query)) < count:
            assert time.monotonic() < deadline, f"{query} never came:\n{self.printed}"
            time.sleep(0.05)
        return found


def check_document(shop: Shop) -> None:
    """Run what docs/celery.md shows, and fail unless what it promises has arrived."""
    page = Path(__file__).parents[2] / "docs" / "celery.md"
    for name, text in re.findall(
        r"^```python file=(\S+)\n(.*?)^```$", page.read_text(), re.M | re.S
    ):
        (shop.folder / name).write_text(text)
    with shop.worker("--concurrency=1", app="tasks"):
        shop.produce("import checkout", app="tasks")
        [failed] = shop.wait_for("log.level: ERROR")
        [charged] = shop.wait_for("price: 4")
    assert charged.attributes["user"] == "alice"
    assert failed.attributes["exception.message"] == "over the limit"
    assert failed.attributes["celery.task_name"] == "tasks.charge"
    assert charged.trace_id == failed.trace_id
    assert len(shop.logs("celery.retry.reason: *")) == 2
    assert len(shop.logs("log.level: ERROR")) == 1
    assert Counter(span.name for span in shop.spans()) == {
        "checkout": 1,
        "apply_async/tasks.charge": 4,
        "run/tasks.charge": 4,
    }
