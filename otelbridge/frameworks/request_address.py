"""A Flask request's whole address, without its secrets."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import flask
from werkzeug.sansio.utils import get_host
from werkzeug.urls import uri_to_iri

from otelbridge.frameworks.urls import redact_query, redact_url

# What an address says of itself: nothing in it is encoded or to be decoded, and there is no user.
_PLAIN_PATH: Final = re.compile(r"[\w.~!$&'()*+,/:;=-]*", re.ASCII)
_PLAIN_QUERY: Final = re.compile(r"[\w.~!$&'()*+,/:;=?@-]*", re.ASCII)


def request_address(request: flask.Request) -> str:
    """Return what :attr:`flask.Request.url` is, with ``***`` for the secrets in it.

    Most addresses need none of the splitting, decoding and joining that makes that attribute
    tell the truth about all of them.
    """
    environ = request.environ
    path = environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    if (
        environ.get("SCRIPT_NAME")
        or not _PLAIN_PATH.fullmatch(path)
        or not _PLAIN_QUERY.fullmatch(query)
    ):
        return _any_address(request)
    host = environ.get("HTTP_HOST")
    origin = None
    if host and not request.trusted_hosts:
        origin = _origin(environ.get("wsgi.url_scheme", "http"), host)
    if origin is None:
        return _any_address(request)
    return f"{origin}{path.lstrip('/')}{'?' + redact_query(query) if query else ''}"


@lru_cache(maxsize=256)
def _origin(scheme: str, host: str) -> str | None:
    """Return what an address begins with; ``None`` if it is not of the usual kind."""
    try:
        known = get_host(scheme, host)
        return redact_url(uri_to_iri(f"{scheme}://{known}/")) if known else None
    except ValueError:
        return None


def _any_address(request: flask.Request) -> str:
    try:
        return redact_url(request.url)
    except Exception:
        # Of a host that the app does not trust, or that is none.
        return redact_url(f"{request.scheme}://{request.environ.get('HTTP_HOST')}{request.path}")
