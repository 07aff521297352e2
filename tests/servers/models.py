"""How to start each kind of server, and to end it as its operator would."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
APP = "numbered:app"


@dataclass(frozen=True)
class Model:
    """One way to run the app.

    Attributes:
        name: what the table calls it.
        command: the command line, where ``{port}`` stands for the port.
        workers: how many processes answer.
        lets_finish: whether a process that is told to end may finish. Flask's reloader kills its
            child after a quarter of a second, and uWSGI lets a worker that it takes for busy run
            no exit functions; what these did in the last moment may be lost.
    """

    name: str
    command: tuple[str, ...]
    workers: int = 1
    lets_finish: bool = True


def gunicorn(*options: str, workers: int) -> Model:
    return Model(
        f"gunicorn -w {workers} {' '.join(options)}",
        (
            f"{BIN}/gunicorn",
            "--bind=127.0.0.1:{port}",
            "--graceful-timeout=10",
            f"--workers={workers}",
            "--log-level=warning",
            *options,
            APP,
        ),
        workers,
    )


FLASK = (f"{BIN}/flask", "--app", APP, "run", "--port={port}")
UWSGI = (
    f"{BIN}/uwsgi",
    "--http-socket=127.0.0.1:{port}",
    f"--module={APP}",
    "--master",
    "--die-on-term",
    "--enable-threads",
    "--disable-logging",
    f"--home={sys.prefix}",
)


def uwsgi(options: str, workers: int = 1) -> Model:
    return Model(f"uwsgi {options}", (*UWSGI, *options.split()), workers, lets_finish=False)


GTHREAD = ("--worker-class=gthread", "--threads=4")
GEVENT = ("--worker-class=gevent",)
PRELOAD = ("--preload",)

MODELS = (
    Model("flask run", FLASK),
    Model("flask run --debug (reloader)", (*FLASK, "--debug"), lets_finish=False),
    *(
        gunicorn(*kind, *preload, workers=workers)
        for kind in ((), GTHREAD, GEVENT)
        for workers in (1, 4)
        for preload in ((), PRELOAD)
    ),
    uwsgi("-p 1"),
    uwsgi("-p 4", workers=4),
    uwsgi("-p 4 --lazy-apps", workers=4),
    uwsgi("-p 2 --threads 4", workers=2),
    uwsgi("-p 4 --py-call-uwsgi-fork-hooks", workers=4),
)


def is_installed(model: Model) -> bool:
    return Path(model.command[0]).exists()


@contextmanager
def running(model: Model, environ: Mapping[str, str], log: Path) -> Iterator[str]:
    """Run the app until the block is left, then end it with SIGTERM and wait.

    Args:
        model: the server.
        environ: variables besides the process's own.
        log: takes what the server prints.

    Yields:
        The server's address.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.format(port=port) for part in model.command],
            cwd=HERE,
            env={**os.environ, "PYTHONPATH": str(HERE), **environ},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(process, address, log)
        yield address
        # Flask's development server ends itself on the terminal's Ctrl-C, which reaches the
        # reloader and its child alike; the others' masters are told and tell their workers.
        if "flask" in Path(model.command[0]).name:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        process.wait(60)
    finally:
        _end_group(process.pid)
        process.wait(60)


def send_numbers(address: str, count: int, clients: int = 8) -> dict[int, int]:
    """Send requests 0 to ``count`` - 1, several at a time.

    Returns:
        The process id that answered each.
    """

    def send(number: int) -> tuple[int, int]:
        with urllib.request.urlopen(f"{address}/number/{number}", timeout=20) as response:
            answer = json.load(response)
        assert answer["number"] == number
        return number, answer["pid"]

    with ThreadPoolExecutor(clients) as pool:
        return dict(pool.map(send, range(count)))


def _wait_until_up(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{address}/pid", timeout=5).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
