"""The bridge's process: receivers, store and page, started and stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import ipaddress
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from otelbridge.alarms.duty import Duty
from otelbridge.alarms.rules import RuleError, Rules
from otelbridge.alarms.variable import parse_rules
from otelbridge.bridge_state import StateFile, state_folder
from otelbridge.channels.channel import ChannelSettingsError
from otelbridge.channels.definition import find_channel, parse_destinations
from otelbridge.error_states import ErrorStates
from otelbridge.projects import Roster
from otelbridge.receivers.announced import loggerflow
from otelbridge.receivers.announced import routes as lifecycle
from otelbridge.receivers.announced.desk import Desk
from otelbridge.receivers.counters import ReceiverCounters, SenderCounters
from otelbridge.receivers.http_server import HttpServer
from otelbridge.receivers.intake import Held, Intake
from otelbridge.receivers.otlp_grpc import GrpcReceiver
from otelbridge.receivers.otlp_http import create_app as create_otlp_app
from otelbridge.receivers.sockets import BindError, bind
from otelbridge.receivers.span_errors import SpanErrors
from otelbridge.receivers.udp import UdpReceiver
from otelbridge.settings import Settings, SettingsError
from otelbridge.store.protocol import Store, StoreError
from otelbridge.users import users_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# Bodies between arrival and commit may take this many times the largest body.
HELD_BODIES = 2
STOP_SECONDS = 3
CLOSE_SECONDS = 10.0
# Threads that compute give way to the event loop after this many seconds instead of 5 ms: a socket
# that is not read for long loses datagrams.
SWITCH_SECONDS = 0.001
# A request's records are tens of thousands of objects that live for a moment and hold no cycles:
# looked for at Python's own pace (700), cycles cost a sixth of what storing a record does.
OBJECTS_BETWEEN_COLLECTIONS = 10_000


class Bridge:
    """Receivers, store and page of one process.

    Args:
        settings: ports of 0 let the system choose.
        store: not opened yet; by default the one that the settings name.
        create_web: makes the page's application; by default ``otelbridge.web.create_app``.

    Attributes:
        settings: as given, with the tokens settled (see :func:`with_tokens`).
        store: where records are.
        receivers: what each receiver took in and turned away.
        senders: what is known of each UDP sender, by its name.
        addresses: host and port by ``grpc``, ``http``, ``web`` and ``udp``, once started.
        projects: the processes that announced themselves, and how they are.
        error_states: what people said of groups of errors.
        users: who may sign in to the page by name.
        made_ingest_token: whether senders need a token that nobody was told yet.
        alarms: what watches and tells people; without rules it does nothing.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store | None = None,
        create_web: Callable[[Bridge], ASGIApp] | None = None,
    ) -> None:
        self.users = users_of(settings, state_folder(settings))
        self.settings = with_tokens(settings, users=bool(self.users))
        self.made_ingest_token = self.settings.ingest_token not in {
            None,
            self.settings.token,
            settings.ingest_token,
        }
        self.store = _open_store(self.settings) if store is None else store
        self.receivers = [ReceiverCounters(name) for name in ("OTLP/gRPC", "OTLP/HTTP", "UDP")]
        self.senders: dict[str, SenderCounters] = {}
        self.addresses: dict[str, tuple[str, int]] = {}
        self.projects = Roster(self.store, StateFile(state_folder(self.settings) / "projects.json"))
        self.error_states = ErrorStates(StateFile(state_folder(self.settings) / "errors.json"))
        self.alarms = _make_alarms(self.settings, self.store, self.projects, self.error_states)
        self._span_errors = SpanErrors(self.store)
        self._create_web = create_web or _create_web
        self._decoders = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._exit = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Bind every port, open the store, and begin to receive.

        Raises:
            BindError: a port cannot be bound.
            StoreError: the store cannot be opened.
            RuleError: the file of alarms cannot be used, or what variables say of them.
        """
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._exit = stack.pop_all()

    async def stop(self) -> None:
        """Stop receiving, finish what was accepted, close the store; each within its time."""
        await self._exit.aclose()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        settings = self.settings
        host = settings.host
        # Ports first: a second bridge must not touch the first one's store.
        http, web, udp, grpc = (
            stack.enter_context(contextlib.closing(bind(host, *port)))
            for port in (
                (settings.http_port, "tcp", "OTLP/HTTP", "OTELBRIDGE_HTTP_PORT"),
                (settings.web_port, "tcp", "page and API", "OTELBRIDGE_WEB_PORT"),
                (settings.udp_port, "udp", "UDP lines", "OTELBRIDGE_UDP_PORT"),
                (settings.grpc_port, "tcp", "OTLP/gRPC", "OTELBRIDGE_GRPC_PORT"),
            )
        )
        stack.callback(self._decoders.shutdown, wait=False, cancel_futures=True)
        await self.store.open()
        stack.push_async_callback(self._close_store)
        await self.projects.start()
        stack.push_async_callback(self.projects.stop)
        self._span_errors.start()
        stack.push_async_callback(self._span_errors.stop)

        grpc_counters, http_counters, udp_counters = self.receivers
        held = Held()
        max_held = HELD_BODIES * settings.max_body_bytes

        def intake(counters: ReceiverCounters) -> Intake:
            return Intake(
                self.store, counters, self._decoders, held, max_held, self._span_errors.heard
            )

        udp_receiver = UdpReceiver(self.store, udp_counters, self.senders, udp)
        http_intake = intake(http_counters)
        desk = Desk(
            http_intake,
            self.projects,
            token=settings.ingest_token,
            max_bytes=settings.max_body_bytes,
        )
        http_receiver = HttpServer(
            create_otlp_app(
                http_intake,
                token=settings.ingest_token,
                max_body_bytes=settings.max_body_bytes,
                others=[*lifecycle.routes(desk), *loggerflow.routes(desk)],
            ),
            http,
            STOP_SECONDS,
            largest_message=settings.max_body_bytes,
        )
        grpc_receiver = GrpcReceiver(
            intake(grpc_counters),
            token=settings.ingest_token,
            max_body_bytes=settings.max_body_bytes,
        )
        self.addresses = {
            name: (listener.getsockname()[0], listener.getsockname()[1])
            for name, listener in (("http", http), ("web", web), ("udp", udp), ("grpc", grpc))
        }
        await self._start_alarms(stack)
        page = HttpServer(self._create_web(self), web, 1)

        async def stop_all() -> None:
            results = await asyncio.gather(
                grpc_receiver.stop(STOP_SECONDS),
                http_receiver.stop(),
                udp_receiver.stop(STOP_SECONDS),
                page.stop(),
                return_exceptions=True,
            )
            # All have stopped by now, so that the store can be closed whatever went wrong.
            for result in results:
                if isinstance(result, BaseException):
                    raise result

        stack.push_async_callback(stop_all)
        await udp_receiver.start()
        await http_receiver.start()
        await page.start()
        # gRPC binds for itself, so the port that was held for it is let go at the last moment.
        grpc.close()
        await grpc_receiver.start(*self.addresses["grpc"])

    async def _start_alarms(self, stack: contextlib.AsyncExitStack) -> None:
        try:
            await self.alarms.start(page=f"http://{_place(*self.addresses['web'])}")
        except RuleError as error:
            raise RuleError(f"OTELBRIDGE_ALARMS: {error}") from None
        stack.push_async_callback(self.alarms.stop)

    async def _close_store(self) -> None:
        await asyncio.wait_for(self.store.close(), CLOSE_SECONDS)


def with_tokens(settings: Settings, *, users: bool = False) -> Settings:
    """Settle the tokens: beyond loopback there is one or users, and senders always need one.

    Args:
        users: there are users who may sign in.
    """
    if is_loopback(settings.host):
        return settings
    token = settings.token
    if token is None and not users:
        token = secrets.token_urlsafe(24)
    ingest = settings.ingest_token or token or secrets.token_urlsafe(24)
    return dataclasses.replace(settings, token=token, ingest_token=ingest)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host's address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(settings: Settings) -> int:
    """Run the bridge until SIGTERM or SIGINT.

    A second SIGINT ends the process at once.

    Returns:
        the process's exit status.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
    try:
        return asyncio.run(_serve(settings))
    except (BindError, StoreError) as error:
        print(f"otelbridge: {error}", file=sys.stderr)
        return 1
    except RuleError as error:
        print(f"otelbridge: {error}", file=sys.stderr)
        return 2


async def _serve(settings: Settings) -> int:
    ending = asyncio.Event()

    def interrupt() -> None:
        if ending.is_set():
            # What was acknowledged is committed, so nothing is lost that anybody relies on.
            os._exit(128 + signal.SIGINT)
        ending.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    bridge = Bridge(settings)
    if settings.quiet and (bridge.settings.token != settings.token or bridge.made_ingest_token):
        raise SettingsError(
            "quiet beyond loopback needs OTELBRIDGE_TOKEN, or users and OTELBRIDGE_INGEST_TOKEN: "
            "a token that is made here would be told nobody"
        )
    await bridge.start()
    # Modules and their classes stay for good: no collection need walk them again.
    gc.freeze()
    try:
        if not settings.quiet:
            print(announcement(bridge, colour=sys.stdout.isatty()), flush=True)
        await ending.wait()
    finally:
        try:
            await bridge.stop()
        except asyncio.TimeoutError:
            print(
                f"otelbridge: the store did not close within {CLOSE_SECONDS:g} s; "
                "what it had acknowledged is kept",
                file=sys.stderr,
                flush=True,
            )
            # Its thread would hold up the end of the process for as long as it hangs.
            os._exit(1)
    return 0


def announcement(bridge: Bridge, *, colour: bool) -> str:
    """Say where everything is, and how to send; the token stands in it once.

    Args:
        colour: for a terminal.
    """
    settings = bridge.settings
    places = {name: _place(*address) for name, address in bridge.addresses.items()}
    query = f"/?token={settings.token}" if settings.token else "/"
    rows = [
        ("open", f"http://{places['web']}{query}"),
        *([("users", ", ".join(bridge.users.names()))] if bridge.users.names() else []),
        ("OTLP/gRPC", places["grpc"]),
        ("OTLP/HTTP", f"http://{places['http']}"),
        ("UDP lines", places["udp"] + (" (asks for no token)" if settings.ingest_token else "")),
        ("store", settings.store),
        *([("alarms", str(settings.alarms))] if settings.alarms is not None else []),
        ("send", f"export OTEL_EXPORTER_OTLP_ENDPOINT=http://{places['http']}"),
    ]
    if settings.ingest_token:
        token = settings.ingest_token if bridge.made_ingest_token else "TOKEN"
        rows.append(("", f"export OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20{token}"))
    bold, dim, plain = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if colour else ("", "", "")
    lines = [f"{bold}otelbridge{plain} is ready; Ctrl+C ends it"]
    for name, text in rows:
        emphasis = bold if name == "open" else ""
        lines.append(f"  {dim}{name:<9}{plain}  {emphasis}{text}{plain if emphasis else ''}")
    return "\n".join(lines)


def _place(host: str, port: int) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - every address: name one that others can use
        host = socket.gethostname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _open_store(settings: Settings) -> Store:
    from otelbridge.store import open_store

    return open_store(settings)


def _make_alarms(
    settings: Settings, store: Store, projects: Roster, error_states: ErrorStates
) -> Duty:
    """Make what watches, by the rules of the settings.

    Raises:
        RuleError: one of them cannot be used.
    """
    try:
        rules = parse_rules(settings.alarm_rules or "")
    except RuleError as error:
        raise RuleError(f"OTELBRIDGE_ALARM_RULES: {error}") from None
    try:
        for path in settings.channels:
            find_channel(path)
    except ChannelSettingsError as error:
        raise RuleError(f"OTELBRIDGE_CHANNELS: {error}") from None
    destinations = parse_destinations(settings.notify) if isinstance(settings.notify, str) else ()
    return Duty(
        settings.alarms,
        store,
        state_folder(settings),
        variables=Rules(rules, destinations),
        channels=settings.channels,
        projects=projects.known_projects,
        error_states=error_states,
    )


def _create_web(bridge: Bridge) -> ASGIApp:
    from otelbridge.web import create_app

    return create_app(bridge)
