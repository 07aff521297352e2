"""Binding the ports, and saying what to do where one cannot be bound."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

LISTEN_BACKLOG = 2048

_KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class BindError(Exception):
    """An address cannot be listened on; its text is one line for the user."""


def bind(host: str, port: int, kind: str, what: str, variable: str) -> socket.socket:
    """Bind a socket; a TCP one listens already, so that nobody else can take its port.

    Args:
        host: a name or an address, IPv6 too.
        port: 0 lets the system choose.
        kind: ``tcp`` or ``udp``.
        what: the receiver's name in a message to the user.
        variable: the variable that sets the port, for the same.

    Raises:
        BindError: saying which port, who may hold it and what to do.
    """
    try:
        found = socket.getaddrinfo(host, port, type=_KINDS[kind], flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise BindError(
            f"{host!r} is no address to listen on ({_reason(error)}); set OTELBRIDGE_HOST"
        ) from None
    family, type_, protocol, _, address = found[0]
    listener = socket.socket(family, type_, protocol)
    try:
        if kind == "tcp" and os.name == "posix":
            # Connections of an earlier run may still be closing; that must not hold up this one.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listener.bind(address)
        if kind == "tcp":
            listener.listen(LISTEN_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise BindError(_explain(error, host, port, kind, what, variable)) from None
    return listener


def _explain(error: OSError, host: str, port: int, kind: str, what: str, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} ({what}) on {host} is in use by {holder(port, kind)}; "
            f"stop it, or set {variable} to another port (0 for any)"
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return (
            f"port {port} ({what}) is not allowed for this user; "
            f"set {variable} to a port above 1023"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; set OTELBRIDGE_HOST"
    return f"cannot listen on {host} port {port} ({what}): {_reason(error)}; set {variable}"


def holder(port: int, kind: str) -> str:
    """Name the process that holds a port, where the system tells; else who it often is."""
    import psutil

    guess = "another program, perhaps another otelbridge or an OpenTelemetry Collector"
    try:
        connections = psutil.net_connections(kind=kind)
        pid = next(
            one.pid
            for one in connections
            if one.pid
            and one.laddr
            and one.laddr.port == port
            and (kind == "udp" or one.status == psutil.CONN_LISTEN)
        )
        return f"{psutil.Process(pid).name()}, process {pid}"
    except (psutil.Error, OSError, StopIteration):
        return guess


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    return text or str(error)
