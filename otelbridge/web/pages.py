"""Templates: where they are found, what each may call, and how a page is answered."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from otelbridge.search import only
from otelbridge.web import times
from otelbridge.web.python_source import coloured
from otelbridge.web.state import PageState

# Views of the navigation: address and name.
VIEWS = (
    ("/services", "Services"),
    ("/projects", "Projects"),
    ("/errors", "Errors"),
    ("/logs", "Logs"),
    ("/traces", "Traces"),
    ("/metrics", "Metrics"),
    ("/alarms", "Alarms"),
    ("/pipeline", "Pipeline"),
)

QUICK_RANGES = ("1m", "5m", "15m", "30m", "1h", "3h", "1d", "3d", "7d")


def static_version() -> str:
    """Name the static files' contents, so that a browser may keep them for good."""
    digest = hashlib.sha256()
    folders = [files("otelbridge.web") / "static"]
    while folders:
        for entry in sorted(folders.pop().iterdir(), key=lambda found: found.name):
            if entry.is_dir():
                folders.append(entry)
            else:
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()[:12]


def make_environment() -> Environment:
    """Build the template engine: every value is escaped, an unknown name is an error."""
    environment = Environment(
        loader=PackageLoader("otelbridge.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        static=f"/static/{static_version()}",
        views=VIEWS,
        quick_ranges=QUICK_RANGES,
        moment=moment,
        only=only,
    )
    environment.filters.update(
        duration=times.duration,
        count=times.count,
        size=times.size,
        iso=times.iso,
        coloured=coloured,
    )
    # Read now, so that the first reader does not wait for it.
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def moment(nanoseconds: int, state: PageState, *, dated: bool = True) -> Markup:
    """Write a ``<time>``: the reader's clock as text, UTC to the nanosecond on hover."""
    exact = times.iso(nanoseconds)
    text = times.clock(nanoseconds, state.utc_offset, state.now if dated else None)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        exact, exact.replace("T", " ").replace("Z", " UTC"), text
    )


def render(
    request: Request, template: str, state: PageState, *, status: int = 200, **values: Any
) -> Response:
    """Answer with a page, or with the part of one that htmx asked for."""
    environment: Environment = request.app.state.templates
    html = environment.get_template(template).render(
        state=state,
        signed_in=request.app.state.access.required,
        **values,
    )
    return HTMLResponse(html, status)
