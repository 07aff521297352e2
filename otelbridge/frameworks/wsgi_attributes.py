"""What OpenTelemetry's semantic conventions for HTTP say of a WSGI request.

The attributes are those of OpenTelemetry's own WSGI and Flask instrumentations, value for value,
by the names that ``OTEL_SEMCONV_STABILITY_OPT_IN`` asks for; but secrets in a query are masked from
the start, so that no sampler and no span processor gets to see them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from wsgiref.util import request_uri

from opentelemetry.util import http

from otelbridge.frameworks.urls import redact_query, redact_url

OTHER_METHOD: Final = "_OTHER"
METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)
# Longer ones are not worth their place in a cache that clients fill.
_CACHED_CHARS: Final = 256
_KINDS: Final = 256


@dataclass(frozen=True)
class Conventions:
    """Which names are written: the stable ones, those before them, or both.

    Attributes:
        old: write the names from before version 1.21.
        new: write the stable names.
    """

    old: bool
    new: bool

    @property
    def schema_url(self) -> str:
        """The schema that the names belong to."""
        return f"https://opentelemetry.io/schemas/{'1.21.0' if self.new else '1.11.0'}"


def read_conventions() -> Conventions:
    """Read ``OTEL_SEMCONV_STABILITY_OPT_IN``."""
    listed = os.environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")
    chosen = {name.strip() for name in listed}
    both, new = "http/dup" in chosen, "http" in chosen
    return Conventions(old=both or not new, new=both or new)


class RequestAttributes:
    """Collects the attributes of requests, by the variables as they are when it is made.

    Attributes:
        conventions: whose names are written.
        collect: makes attributes of a request's WSGI environ as the app gets it.
        request_headers: makes attributes of a request's WSGI environ; ``None`` if none are asked
            for by ``OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST``.
        response_headers: the same for a response's list of headers.
    """

    def __init__(self) -> None:
        """Read the variables."""
        self.conventions = read_conventions()
        self._any_method = bool(
            os.environ.get(http.OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS)
        )
        if not self.conventions.old:
            self.collect = self._stable
        else:
            self.collect = self._both if self.conventions.new else self._before_stable
        # What many requests have in common is worked out once, for so many kinds of them.
        self._known = lru_cache(maxsize=_KINDS)(self._constant)
        self.request_headers: Callable[[dict[str, Any]], dict[str, list[str]]] | None = None
        self.response_headers: Callable[[Iterable[tuple[str, str]]], dict[str, list[str]]] | None
        self.response_headers = None
        requested = _captured("REQUEST")
        if requested is not None:
            self.request_headers = lambda environ: requested(
                (key[5:].replace("_", "-"), value)
                for key, value in environ.items()
                if key.startswith("HTTP_")
            )
        responded = _captured("RESPONSE")
        if responded is not None:
            self.response_headers = lambda headers: responded(_joined(headers))

    def method(self, given: str) -> str:
        """Return a method as conventions write it: a known one, or ``_OTHER``."""
        if given in METHODS:
            return given
        upper = given.upper()
        return upper.strip() if upper in METHODS or self._any_method else OTHER_METHOD

    def _stable(self, environ: dict[str, Any]) -> dict[str, Any]:
        get = environ.get
        given: str = get("REQUEST_METHOD", "")
        # Clients write methods of their own, which are not to fill the cache.
        known = self._known if given in METHODS else self._constant
        attributes = known(
            given, get("wsgi.url_scheme"), get("SERVER_PORT"), get("SERVER_PROTOCOL", "")
        ).copy()
        if value := get("HTTP_HOST"):
            attributes["server.address"] = value
        target = get("RAW_URI")
        if target or (target is None and get("REQUEST_URI")):
            if value := get("PATH_INFO"):
                attributes["url.path"] = value
            if value := get("QUERY_STRING"):
                attributes["url.query"] = redact_query(value)
        if value := get("REMOTE_HOST") or get("REMOTE_ADDR"):
            attributes["client.address"] = value
        if (value := get("REMOTE_PORT")) and (port := port_number(value)) is not None:
            attributes["client.port"] = port
        if value := get("HTTP_USER_AGENT"):
            if type(value) is str and len(value) <= _CACHED_CHARS and not _synthetic_type(value):
                attributes["user_agent.original"] = value
            else:
                _put_user_agent(attributes, "user_agent.original", value)
        return attributes

    def _both(self, environ: dict[str, Any]) -> dict[str, Any]:
        return {**self._before_stable(environ), **self._stable(environ)}

    def _constant(self, given: str, scheme: Any, port: Any, protocol: str) -> dict[str, Any]:
        """Return the attributes that requests of one method to one server have in common."""
        attributes: dict[str, Any] = {}
        method = self.method(given)
        if given != method and given.strip() != method:
            _put(attributes, "http.request.method_original", given.strip())
        _put(attributes, "http.request.method", method)
        _put(attributes, "url.scheme", scheme)
        _put(attributes, "server.port", port_number(port))
        _put(
            attributes, "network.protocol.version", protocol_version({"SERVER_PROTOCOL": protocol})
        )
        return attributes

    def _before_stable(self, environ: dict[str, Any]) -> dict[str, Any]:
        get = environ.get
        attributes: dict[str, Any] = {}
        _put(attributes, "http.method", self.method(get("REQUEST_METHOD", "")))
        attributes["http.server_name"] = get("SERVER_NAME")
        _put(attributes, "http.scheme", get("wsgi.url_scheme"))
        _put(attributes, "net.host.name", get("HTTP_HOST"))
        _put(attributes, "http.host", get("HTTP_HOST"))
        _put(attributes, "net.host.port", port_number(get("SERVER_PORT")))
        target = _target(environ)
        if target:
            attributes["http.target"] = redact_url(target)
        else:
            attributes["http.url"] = redact_url(http.redact_url(request_uri(environ)))
        address, host = get("REMOTE_ADDR"), get("REMOTE_HOST")
        _put(attributes, "net.peer.ip", address)
        if (port := port_number(get("REMOTE_PORT"))) is not None:
            attributes["net.peer.port"] = port
        if host != address:
            _put(attributes, "net.peer.name", host)
        _put_user_agent(attributes, "http.user_agent", get("HTTP_USER_AGENT"))
        _put(attributes, "http.flavor", protocol_version(environ))
        return attributes


def protocol_version(environ: dict[str, Any]) -> str:
    """Return HTTP's version, such as ``1.1``; what the server says where it is none of HTTP."""
    return version_of(environ.get("SERVER_PROTOCOL", ""))


def version_of(protocol: str) -> str:
    """Return the version in a protocol's name such as ``HTTP/1.1``; the name if it is no HTTP."""
    return protocol[5:] if protocol[:5].upper() == "HTTP/" else protocol


@lru_cache(maxsize=256)
def parse_status(status: str) -> tuple[int, str]:
    """Split a WSGI status line.

    Returns:
        The code as a number, ``-1`` where it is none, and as it stands there.
    """
    code = status.partition(" ")[0]
    try:
        return int(code), code
    except ValueError:
        return -1, code


# Every other status is a server's error.
NO_SERVER_ERROR: Final = range(100, 500)


def is_server_error(code: int) -> bool:
    """Tell whether a status code makes a server's span one that has failed."""
    return code not in NO_SERVER_ERROR


def port_number(text: Any) -> int | None:
    """Return a port, or ``None`` where there is none that is a number."""
    try:
        return int(text) if text else None
    except ValueError:
        return None


def _put(attributes: dict[str, Any], name: str, value: Any) -> None:
    if value:
        attributes[name] = value


def _target(environ: dict[str, Any]) -> str | None:
    target: str | None = environ.get("RAW_URI")
    return environ.get("REQUEST_URI") if target is None else target


def _put_user_agent(attributes: dict[str, Any], name: str, given: Any) -> None:
    if not given:
        return
    agent = given if type(given) is str else http.normalize_user_agent(given)
    if not agent:
        return
    attributes[name] = agent
    detect = _synthetic_type if len(agent) <= _CACHED_CHARS else http.detect_synthetic_user_agent
    synthetic = detect(agent)
    if synthetic:
        attributes["user_agent.synthetic.type"] = synthetic


_synthetic_type: Final = lru_cache(maxsize=1024)(http.detect_synthetic_user_agent)


def _captured(
    direction: str,
) -> Callable[[Iterable[tuple[str, str]]], dict[str, list[str]]] | None:
    """Return what makes attributes of headers, as the variables for them ask."""
    prefix = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"
    wanted = http.get_custom_headers(f"{prefix}SERVER_{direction}")
    if not wanted:
        return None
    is_wanted = re.compile("|".join(wanted), re.IGNORECASE).fullmatch
    sanitize = http.SanitizeValue(http.get_custom_headers(f"{prefix}SANITIZE_FIELDS"))

    def capture(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        return {
            f"http.{direction.lower()}.header.{name.lower().replace('-', '_')}": [
                sanitize.sanitize_header_value(name, value)
            ]
            for name, value in headers
            if is_wanted(name)
        }

    return capture


def _joined(headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined.items()
