"""Who may read and write: the token, its session, our names, and the pages that may post."""

from __future__ import annotations

import ipaddress
import time
from base64 import b64decode
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from otelbridge.web.access import Access, TooManyError
from otelbridge.web.answers import error_answer
from otelbridge.web.sessions import SESSION_SECONDS, open_session

SESSION_COOKIE = "otelbridge_session"

# Reached without a token: the login itself, what it is drawn with, and the health check.
_OPEN_PATHS = frozenset({"/login", "/healthz"})

# What a request may call a server that listens on loopback only.
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})


# Methods that change nothing.
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """Tell whether a server that listens on this address is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Gate:
    """Lets a request through that comes by a name of ours and, where there is one, with the token.

    On loopback a page elsewhere could have its own name point to 127.0.0.1 and read what is here
    as if it were its own (DNS rebinding); the ``Host`` header gives it away. It could also post a
    form here, with the reader's session where it is on this host; browsers say whose page it was.
    """

    def __init__(self, app: ASGIApp, *, host: str, access: Access) -> None:
        self.app = app
        self._access = access
        self._names = _LOOPBACK_NAMES | {host.lower()} if is_loopback(host) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        refusal = await self._refuse(request)
        await (refusal or self.app)(scope, receive, send)

    async def _refuse(self, request: Request) -> Response | None:
        if self._names is not None and _host_name(request.headers) not in self._names:
            return error_answer(
                request,
                421,
                "This server answers to localhost and 127.0.0.1 only; "
                "the address asked for has another name.",
            )
        if request.method not in _READING and _from_elsewhere(request.headers):
            return error_answer(request, 403, "Only this server's own pages may change something.")
        path = request.url.path
        if path in _OPEN_PATHS or path.startswith("/static/") or not self._access.required:
            return None
        try:
            return await self._ask(request)
        except TooManyError as error:
            return too_many(request, error.wait)

    async def _ask(self, request: Request) -> Response | None:
        access, client = self._access, client_name(request)
        cookie = _cookie(request)
        by_address = request.query_params.get("token")
        if cookie is not None and access.holds(cookie):
            # The address should not keep the token, whoever put it there.
            return _without_token(request) if by_address is not None else None
        bearer, basic = _bearer(request.headers), _basic(request.headers)
        if bearer is None and basic is None and by_address is None:
            return self._send_to_login(request)
        if bearer is not None and access.is_token(bearer, client):
            return None
        if basic is not None:
            if await access.is_user(*basic, client):
                return None
            return self._unknown(request, "The name or the password is wrong.")
        if by_address is not None and access.is_token(by_address, client):
            answer = _without_token(request)
            set_session(request, answer, access)
            return answer
        return self._unknown(request, "The token is wrong.")

    def _send_to_login(self, request: Request) -> Response:
        headers = request.headers
        navigates = "text/html" in headers.get("accept", "") and "hx-request" not in headers
        if not navigates or request.url.path.endswith(".json"):
            token = self._access.token is not None
            how = [
                *(["Authorization: Bearer TOKEN"] if token else []),
                *(["Authorization: Basic"] if self._access.users or not token else []),
            ]
            what = "A token" if token else "A name that is known here"
            return self._unknown(request, f"{what} is needed: send it as {' or '.join(how)}.")
        if headers.get("sec-fetch-site") == "cross-site":
            # A link elsewhere does not bring a strict cookie; a reload from here does.
            return HTMLResponse(
                '<!doctype html><meta http-equiv="refresh" content="0"><title>otelbridge</title>'
            )
        where = local(request.url.path, request.url.query)
        return RedirectResponse("/login?" + urlencode({"next": where}), 303)

    def _unknown(self, request: Request, message: str) -> Response:
        answer = error_answer(request, 401, message)
        answer.headers["WWW-Authenticate"] = "Bearer"
        # A browser would ask for it in a box of its own, over the page.
        if self._access.users and "sec-fetch-mode" not in request.headers:
            answer.headers["WWW-Authenticate"] += ', Basic realm="otelbridge", charset="UTF-8"'
        return answer


def client_name(request: Request) -> str:
    """The address a request comes from, as its attempts are counted by."""
    return request.client.host if request.client else ""


def too_many(request: Request, wait: float) -> Response:
    """Answer that this client has guessed too often."""
    seconds = int(wait) + 1
    answer = error_answer(request, 429, f"Too many wrong guesses; try again in {seconds} s.")
    answer.headers["Retry-After"] = str(seconds)
    return answer


def set_session(request: Request, answer: Response, access: Access, name: str = "") -> None:
    """Hand the browser a session, of a user where there is a name."""
    key = access.key(name)
    if key is None:
        return  # removed at this moment
    answer.set_cookie(
        SESSION_COOKIE,
        open_session(key, time.time(), name),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def _from_elsewhere(headers: Headers) -> bool:
    """Tell whether a page of another origin sent this; what is no browser says nothing of it."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    # A browser too old, or not asked over HTTPS or loopback, still sends its page's origin.
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _host_name(headers: Headers) -> str:
    host = headers.get("host", "").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _cookie(request: Request) -> str | None:
    try:
        morsel = SimpleCookie(request.headers.get("cookie", "")).get(SESSION_COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _bearer(headers: Headers) -> str | None:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None


def _basic(headers: Headers) -> tuple[str, str] | None:
    """Read name and password (RFC 7617, section 2)."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = b64decode(credentials.strip(), validate=True).decode()
    except ValueError:
        return None
    name, colon, password = decoded.partition(":")
    return (name, password) if colon else None


def _without_token(request: Request) -> Response:
    rest = [(name, value) for name, value in parse_qsl(request.url.query) if name != "token"]
    return RedirectResponse(local(request.url.path, urlencode(rest)), 303)


def local(path: str, query: str = "") -> str:
    """Write an address that leads to this server, whatever the path."""
    # Two leading slashes would name another host.
    path = "/" + path.lstrip("/\\")
    return f"{path}?{query}" if query else path
