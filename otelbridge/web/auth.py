"""Who may read and write: the token, its session, our names, and the pages that may post."""

from __future__ import annotations

import ipaddress
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from otelbridge.web.answers import error_answer
from otelbridge.web.pages import render
from otelbridge.web.sessions import (
    SESSION_SECONDS,
    Attempts,
    open_session,
    same,
    session_holds,
)
from otelbridge.web.state import make_state

SESSION_COOKIE = "otelbridge_session"
LOGIN_BODY_BYTES = 4096

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

    def __init__(self, app: ASGIApp, *, host: str, token: str | None, attempts: Attempts) -> None:
        self.app = app
        self._token = token
        self._attempts = attempts
        self._names = _LOOPBACK_NAMES | {host.lower()} if is_loopback(host) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        refusal = self._refuse(request)
        await (refusal or self.app)(scope, receive, send)

    def _refuse(self, request: Request) -> Response | None:
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
        if self._token is None or path in _OPEN_PATHS or path.startswith("/static/"):
            return None
        return self._ask_for_token(request, self._token)

    def _ask_for_token(self, request: Request, token: str) -> Response | None:
        client = client_name(request)
        cookie = _cookie(request)
        if cookie is not None and session_holds(cookie, token, time.time()):
            # The address should not keep the token, whoever put it there.
            return _without_token(request) if "token" in request.query_params else None
        given = _bearer(request.headers)
        by_address = request.query_params.get("token")
        if given is None and by_address is None:
            return _send_to_login(request)
        wait = self._attempts.wait(client)
        if wait:
            return too_many(request, wait)
        if given is not None and same(given, token):
            return None
        if by_address is not None and same(by_address, token):
            answer = _without_token(request)
            set_session(request, answer, token)
            return answer
        self._attempts.fail(client)
        answer = error_answer(request, 401, "The token is wrong.")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer


def client_name(request: Request) -> str:
    """The address a request comes from, as its attempts are counted by."""
    return request.client.host if request.client else ""


def too_many(request: Request, wait: float) -> Response:
    """Answer that this client has guessed too often."""
    seconds = int(wait) + 1
    answer = error_answer(request, 429, f"Too many wrong tokens; try again in {seconds} s.")
    answer.headers["Retry-After"] = str(seconds)
    return answer


def set_session(request: Request, answer: Response, token: str) -> None:
    """Hand the browser a session."""
    answer.set_cookie(
        SESSION_COOKIE,
        open_session(token, time.time()),
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


def _without_token(request: Request) -> Response:
    rest = [(name, value) for name, value in parse_qsl(request.url.query) if name != "token"]
    return RedirectResponse(_local(request.url.path, urlencode(rest)), 303)


def _local(path: str, query: str = "") -> str:
    # Two leading slashes would name another host.
    path = "/" + path.lstrip("/\\")
    return f"{path}?{query}" if query else path


def _send_to_login(request: Request) -> Response:
    headers = request.headers
    navigates = "text/html" in headers.get("accept", "") and "hx-request" not in headers
    if not navigates or request.url.path.endswith(".json"):
        answer = error_answer(
            request, 401, "A token is needed: send it as Authorization: Bearer TOKEN."
        )
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    if headers.get("sec-fetch-site") == "cross-site":
        # A link elsewhere does not bring a strict cookie; a reload from here does.
        return HTMLResponse(
            '<!doctype html><meta http-equiv="refresh" content="0"><title>otelbridge</title>'
        )
    where = _local(request.url.path, request.url.query)
    return RedirectResponse("/login?" + urlencode({"next": where}), 303)


async def login(request: Request) -> Response:
    """Ask for the token, and open a session for it."""
    token: str | None = request.app.state.bridge.settings.token
    attempts: Attempts = request.app.state.attempts
    following = request.query_params.get("next", "/")
    path, _, query = following.partition("?")
    following = _local(path, query)
    if token is None:
        return RedirectResponse(following, 303)
    error = ""
    status = 200
    if request.method == "POST":
        wait = attempts.wait(client_name(request))
        if wait:
            return too_many(request, wait)
        if same(await _posted_token(request), token):
            answer = RedirectResponse(following, 303)
            set_session(request, answer, token)
            return answer
        attempts.fail(client_name(request))
        error, status = "This is not the token.", 401
    return render(
        request,
        "login.html",
        make_state({}, path="/login"),
        status=status,
        view="",
        error=error,
        following=following,
    )


async def logout(request: Request) -> Response:
    """End the session."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return answer


async def _posted_token(request: Request) -> str:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LOGIN_BODY_BYTES:
            return ""
    try:
        fields = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        return ""
    return fields.get("token", [""])[0].strip()


ROUTES = [
    Route("/login", login, methods=["GET", "POST"]),
    Route("/logout", logout, methods=["POST"]),
]
