"""``otelbridge demo``: the bridge, a shop of three services, and customers, all at once."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click

import otelbridge
from otelbridge.commands.children import Child, stop_all
from otelbridge.commands.extra import needs_bridge
from otelbridge.commands.options import settings_options
from otelbridge.setting_values import parse_duration
from otelbridge.settings import Settings, read_settings

# Later ones call earlier ones.
SERVICES = ("payments", "orders", "gateway")
NEEDED = (
    *("grpc", "jinja2", "lark", "starlette", "uvicorn"),
    *("flask", "gunicorn", "requests", "opentelemetry.instrumentation.sqlite3"),
)
READY_SECONDS = 60.0

# In what `otelbridge serve` says once it is ready.
_PAGE = re.compile(r"open\s+(http://\S+)\n")


@click.command(
    short_help="Watch three small Flask services with real failures.",
    epilog="""\b
Examples:
  otelbridge demo
  otelbridge demo --seconds 20                          stops by itself
  otelbridge demo --store sqlite:///demo.db             keeps what was recorded
""",
)
@click.option("--seconds", type=float, help="Stop after this long; else on Ctrl-C.")
@click.option(
    "--rate", type=click.FloatRange(0.1, 200), default=10.0, show_default=True,
    help="Requests a second.",
)  # fmt: skip
@settings_options("host", "grpc_port", "http_port", "web_port", "udp_port", "store", "token")
def command(seconds: float | None, rate: float, **given: Any) -> int:
    """Watch three small Flask services with real failures in them.

    Starts a bridge, the shop (gateway, orders, payments, each under gunicorn with two workers)
    and a handful of customers, prints the address to open, and stops everything together. A port
    that is taken is replaced by a free one. Recorded data is removed at the end unless --store
    says where to keep it.
    """
    settings = read_settings(**given)
    _check_installed()
    with tempfile.TemporaryDirectory(prefix="otelbridge-demo-") as folder, _signals_as_interrupt():
        children: list[Child] = []
        try:
            return _run(Path(folder), settings, given, seconds, rate, children)
        except KeyboardInterrupt:
            return 0
        except click.ClickException as error:
            click.echo(f"otelbridge: {error.format_message()}", err=True)
            return 1
        finally:
            with suppress(OSError):  # as where `| head` has gone
                _say("stopping")
            # Customers, then services, then the bridge that takes their last records.
            stop_all(children[4:], children[1:4], children[:1])
            with suppress(OSError):
                _say("stopped")


def shop_folder() -> Path:
    """Find the shop: part of an installed package, or beside it in a checkout."""
    package = Path(otelbridge.__file__).parent
    for folder in (package / "demo", package.parent / "examples" / "shop"):
        if (folder / "gateway.py").exists():
            return folder
    raise click.ClickException("the shop's files are missing from this installation")


def _check_installed() -> None:
    for name in NEEDED:
        with needs_bridge("demo"):
            if find_spec(name) is None:
                raise ModuleNotFoundError(name=name)


def _run(
    folder: Path,
    settings: Settings,
    given: dict[str, Any],
    seconds: float | None,
    rate: float,
    children: list[Child],
) -> int:
    started = time.monotonic()
    environ = dict(os.environ)
    for name in ("grpc", "http", "web", "udp"):
        kind = socket.SOCK_DGRAM if name == "udp" else socket.SOCK_STREAM
        port = _free_port(getattr(settings, f"{name}_port"), kind)
        environ[f"OTELBRIDGE_{name.upper()}_PORT"] = str(port)
    environ["OTELBRIDGE_STORE"] = given["store"] or f"sqlite:///{folder}/demo.db"
    environ["OTELBRIDGE_HOST"] = settings.host
    if settings.token:
        environ["OTELBRIDGE_TOKEN"] = settings.token

    bridge = Child("the bridge", [sys.executable, "-m", "otelbridge", "serve"], folder, environ)
    children.append(bridge)
    _await(lambda: _PAGE.search(bridge.output()) is not None, bridge, started)
    page = _PAGE.findall(bridge.output())[0]

    environ |= {
        "SHOP_DATA": str(folder),
        "OTELBRIDGE_SPOOL_DIR": str(folder / "spool"),
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{environ['OTELBRIDGE_HTTP_PORT']}",
        "OTELBRIDGE_METRIC_INTERVAL": os.environ.get("OTELBRIDGE_METRIC_INTERVAL", "5s"),
    }
    environ.pop("OTEL_SERVICE_NAME", None)  # each has its own
    token = parse_qs(urlsplit(page).query).get("token")
    if token:  # beyond loopback, senders need it too
        environ["OTEL_EXPORTER_OTLP_HEADERS"] = f"Authorization=Bearer%20{token[0]}"
    gateway = _start_shop(folder, environ, children)

    traffic = [sys.executable, str(shop_folder() / "traffic.py"), "--rate", str(rate)]
    traffic += ["--url", gateway]
    children.append(Child("the traffic", traffic, folder, environ, own_output=False))
    click.echo()
    click.secho(f"  open  {page}", bold=True)
    click.echo("  stop  Ctrl-C\n")
    return _watch(children, seconds)


def _start_shop(folder: Path, environ: dict[str, str], children: list[Child]) -> str:
    """Start the three services at once and wait for them; give the gateway's address."""
    with ExitStack() as stack:
        # Their ports are opened here and handed down, so that nobody can take one in between and
        # each service knows the others' before they run.
        listeners = {
            name: stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
            for name in SERVICES
        }
        addresses = {
            name: f"http://127.0.0.1:{listener.getsockname()[1]}"
            for name, listener in listeners.items()
        }
        environ |= {f"{name.upper()}_URL": address for name, address in addresses.items()}
        started = time.monotonic()
        services = []
        for name, listener in listeners.items():
            arguments = [sys.executable, "-m", "gunicorn", "--workers", "2", "--threads", "4"]
            arguments += ["--bind", f"fd://{listener.fileno()}", "--chdir", str(shop_folder())]
            arguments += ["--worker-tmp-dir", str(folder), "--graceful-timeout", "5"]
            arguments += ["--no-control-socket", f"{name}:app"]
            services.append(Child(name, arguments, folder, environ, keep=[listener.fileno()]))
            children.append(services[-1])
    for service in services:
        _await(partial(_answers, addresses[service.name]), service, started)
    return addresses["gateway"]


def _watch(children: list[Child], seconds: float | None) -> int:
    until = time.monotonic() + (parse_duration("5200w") if seconds is None else seconds)
    while time.monotonic() < until:
        for child in children:
            if child.process.poll() is not None:
                click.echo(
                    f"otelbridge: {child.name} died with code {child.process.returncode};"
                    f" its last words:\n{child.last_words()}",
                    err=True,
                )
                return 1
        time.sleep(min(0.2, max(0.0, until - time.monotonic())))
    return 0


def _await(ready: Callable[[], bool], child: Child, started: float) -> None:
    """Wait until a child is ready, and say how long that took."""
    _say(f"{child.name} ", end="")
    deadline = started + READY_SECONDS
    while not ready():
        if child.process.poll() is not None or time.monotonic() > deadline:
            click.echo()
            raise click.ClickException(
                f"{child.name} did not start; its last words:\n{child.last_words()}"
            )
        time.sleep(0.05)
    click.echo(f"({time.monotonic() - started:.1f} s)")


def _answers(address: str) -> bool:
    """Tell whether a server answers, whatever it answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _free_port(wanted: int, kind: int = socket.SOCK_STREAM) -> int:
    """Take the wanted port if nobody has it, else any that is free."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:  # as servers do: an ended connection is no hindrance
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            free: int = probe.getsockname()[1]
            return free
    raise click.ClickException("this machine has no free port")


@contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    kept = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _say(text: str, end: str = "\n") -> None:
    click.echo(click.style("demo: ", dim=True) + text + end, nl=False)
