"""A request's address is Flask's own, without secrets."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from otelbridge.frameworks.request_address import request_address
from otelbridge.frameworks.urls import redact_url

BYTES = st.text(st.characters(max_codepoint=255), max_size=20)
LETTERS = st.text("ab/.?=&;:%@#~+ é!'(-_", max_size=20)


def request(**environ: Any) -> flask.Request:
    return flask.Request({**EnvironBuilder().get_environ(), **environ})


@given(
    scheme=st.sampled_from(["http", "https"]),
    host=st.sampled_from(
        ["a.b", "A.b:80", "a:443", "a:8000", "[::1]:80", "xn--n3h.net", "a_b", "a b"]
    )
    | LETTERS,
    root=st.sampled_from(["", "", "/mounted", "/m é/"]) | LETTERS,
    path=LETTERS | BYTES,
    query=LETTERS | BYTES,
)
def test_an_address_is_flasks_own_with_its_secrets_masked(
    scheme: str, host: str, root: str, path: str, query: str
) -> None:
    asked = request(
        **{
            "wsgi.url_scheme": scheme,
            "HTTP_HOST": host,
            "SCRIPT_NAME": root,
            "PATH_INFO": path,
            "QUERY_STRING": query,
        }
    )
    try:
        expected = redact_url(asked.url)
    except ValueError:
        expected = redact_url(f"{scheme}://{host}{asked.path}")
    assert request_address(asked) == expected


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({"PATH_INFO": "/a"}, "http://localhost/a"),
        ({"PATH_INFO": "/a", "QUERY_STRING": "token=x&b=1"}, "http://localhost/a?token=***&b=1"),
        ({"HTTP_HOST": "al:pw@shop", "PATH_INFO": "/a"}, None),
        ({"PATH_INFO": "/http://al:pw@shop/"}, "http://localhost/http://shop/"),
    ],
)
def test_secrets_are_masked_wherever_they_stand(
    environ: dict[str, str], address: str | None
) -> None:
    found = request_address(request(**environ))
    assert address is None or found == address
    assert "pw" not in found


def test_a_host_that_the_app_does_not_trust_is_told_all_the_same() -> None:
    asked = request(HTTP_HOST="evil.example", PATH_INFO="/a")
    asked.trusted_hosts = ["shop.example"]
    assert request_address(asked) == "http://evil.example/a"
