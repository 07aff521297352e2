"""The page and its API: every view at an address, its data at the same address with ``.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from otelbridge.search import QueryError
from otelbridge.store.protocol import StoreError
from otelbridge.web import (
    alarm_editing,
    alarms,
    auth,
    completion,
    destination_editing,
    errors,
    facets,
    live,
    login,
    logs,
    metrics,
    pipeline,
    projects,
    services,
    traces,
)
from otelbridge.web.access import Access
from otelbridge.web.answers import (
    BadAddressError,
    error_answer,
    json_answer,
    on_bad_address,
    on_http_error,
    on_query_error,
    on_store_error,
)
from otelbridge.web.assets import VersionedFiles
from otelbridge.web.headers import SafeHeaders, add_headers
from otelbridge.web.pages import make_environment

if TYPE_CHECKING:
    from otelbridge.alarms.duty import Duty
    from otelbridge.error_states import ErrorStates
    from otelbridge.projects import Roster
    from otelbridge.receivers.counters import ReceiverCounters, SenderCounters
    from otelbridge.settings import Settings
    from otelbridge.store.protocol import Store
    from otelbridge.users import Users

__all__ = ["Bridge", "create_app"]


class Bridge(Protocol):
    """What the page needs of the bridge's process."""

    @property
    def store(self) -> Store: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def receivers(self) -> Sequence[ReceiverCounters]: ...
    @property
    def senders(self) -> dict[str, SenderCounters]: ...
    @property
    def addresses(self) -> dict[str, tuple[str, int]]: ...
    @property
    def alarms(self) -> Duty: ...
    @property
    def error_states(self) -> ErrorStates: ...
    @property
    def users(self) -> Users: ...
    @property
    def projects(self) -> Roster: ...


async def _home(request: Request) -> Response:
    query = request.url.query
    return RedirectResponse("/services" + (f"?{query}" if query else ""), 307)


async def _health(request: Request) -> Response:
    return json_answer({"status": "ok"})


async def _on_fault(request: Request, error: Exception) -> Response:
    # Starlette raises it again after this answer, so that it reaches the log as well.
    answer = error_answer(request, 500, "Something went wrong here; the bridge's log has it.")
    add_headers(answer.headers)
    return answer


def create_app(bridge: Bridge) -> Starlette:
    """Build the page of a bridge.

    Args:
        bridge: its store must be open before the first request.
    """
    access = Access(
        bridge.settings.token, bridge.users, open=auth.is_loopback(bridge.settings.host)
    )
    app = Starlette(
        routes=[
            Route("/", _home),
            Route("/healthz", _health),
            *login.ROUTES,
            # Before /logs/{id}: an address that is a word.
            *live.ROUTES,
            *facets.ROUTES,
            *logs.ROUTES,
            *completion.ROUTES,
            *traces.ROUTES,
            *services.ROUTES,
            *projects.ROUTES,
            *errors.ROUTES,
            *metrics.ROUTES,
            *alarms.ROUTES,
            *alarm_editing.ROUTES,
            *destination_editing.ROUTES,
            *pipeline.ROUTES,
            Mount("/static/{version}", VersionedFiles()),
        ],
        middleware=[
            Middleware(SafeHeaders),
            Middleware(
                auth.Gate,
                host=bridge.settings.host,
                access=access,
            ),
        ],
        exception_handlers={
            HTTPException: on_http_error,
            BadAddressError: on_bad_address,
            QueryError: on_query_error,
            StoreError: on_store_error,
            Exception: _on_fault,
        },
    )
    app.state.bridge = bridge
    app.state.access = access
    app.state.templates = make_environment()
    return app
