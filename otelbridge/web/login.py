"""Signing in and out."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from otelbridge.web.access import Access, TooManyError
from otelbridge.web.answers import BadAddressError
from otelbridge.web.auth import SESSION_COOKIE, client_name, local, set_session, too_many
from otelbridge.web.pages import render
from otelbridge.web.posted import read_posted
from otelbridge.web.state import make_state


async def login(request: Request) -> Response:
    """Ask for the token, or for name and password, and open a session."""
    access: Access = request.app.state.access
    path, _, query = request.query_params.get("next", "/").partition("?")
    following = local(path, query)
    if not access.required:
        return RedirectResponse(following, 303)
    error = ""
    name = ""
    if request.method == "POST":
        token, name, password = await _posted(request)
        try:
            if name or password:
                right = await access.is_user(name, password, client_name(request))
                error = "" if right else "The name or the password is wrong."
            else:
                right = access.is_token(token, client_name(request))
                error = "" if right else "This is not the token."
        except TooManyError as refusal:
            return too_many(request, refusal.wait)
        if right:
            answer = RedirectResponse(following, 303)
            set_session(request, answer, access, name)
            return answer
    return render(
        request,
        "login.html",
        make_state({}, path="/login"),
        status=401 if error else 200,
        view="",
        error=error,
        name=name,
        by_name=bool(access.users),
        by_token=access.token is not None,
        following=following,
    )


async def logout(request: Request) -> Response:
    """End the session."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return answer


async def _posted(request: Request) -> tuple[str, str, str]:
    try:
        posted = await read_posted(request)
    except (HTTPException, BadAddressError):
        return "", "", ""
    token, name, password = (str(posted.get(one, "")) for one in ("token", "name", "password"))
    return token.strip(), name.strip(), password


ROUTES = [
    Route("/login", login, methods=["GET", "POST"]),
    Route("/logout", logout, methods=["POST"]),
]
