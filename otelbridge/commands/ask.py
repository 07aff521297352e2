"""Asks a running bridge: its JSON API, and its stream of records as they are stored.

Needs nothing but the standard library, so that searching works where only the app half is
installed.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import Any

import click

from otelbridge.settings import Settings

# The bridge sends a sign of life every ten seconds; three missed mean it is gone.
SILENCE_SECONDS = 30.0

Document = dict[str, Any]


class UnreachableError(click.ClickException):
    """No bridge answers, or it stopped answering."""


class QueryRefusedError(click.ClickException):
    """The bridge cannot read the query; points at the character where it knows it."""

    exit_code = 2

    def __init__(self, message: str, query: str, position: int | None) -> None:
        if position is not None:
            caret = " " * min(position, len(query)) + "^"
            message = f"{message}\n  {query}\n  {caret}"
        super().__init__(message)


class BridgeClient:
    """A bridge at an address.

    Args:
        url: where its page is, such as ``http://127.0.0.1:4319``.
        token: what it asks for, if it does.
        login: a user's name and password, where there is no token.
        patience: seconds without a word from it after which it counts as gone.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        patience: float = SILENCE_SECONDS,
        *,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._patience = patience
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        elif login is not None:
            credentials = base64.b64encode(":".join(login).encode()).decode()
            self._headers["Authorization"] = f"Basic {credentials}"
        # A proxy set for the world is in the way of this machine.
        loopback = urllib.parse.urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}
        proxies = [urllib.request.ProxyHandler({})] if loopback else []
        self._opener = urllib.request.build_opener(*proxies)

    @classmethod
    def of(cls, settings: Settings, patience: float = SILENCE_SECONDS) -> BridgeClient:
        """Ask the bridge that settings name, with the token or the login they hold."""
        login = None
        if settings.login is not None and settings.password is not None:
            login = (settings.login, settings.password)
        return cls(settings.url, settings.token, patience, login=login)

    def get(self, path: str, **parameters: str | int | None) -> Document:
        """Ask for a JSON answer.

        Raises:
            UnreachableError: nobody answers.
            QueryRefusedError: the query cannot be read.
            click.ClickException: the bridge refuses for another reason, which is the text.
        """
        with self._open(path, parameters) as response:
            answer = json.load(response)
        if not isinstance(answer, dict):
            raise click.ClickException(f"{self.url} is not an otelbridge")
        return answer

    def follow(self, query: str, after: int | None) -> Iterator[tuple[int | None, Document]]:
        """Follow the records that match as they are stored, until the bridge goes away.

        Args:
            after: first bring what was stored after the record with this id.

        Yields:
            Each record with the id to resume after.

        Raises:
            As :meth:`get` does; :class:`UnreachableError` also when the stream breaks.
        """
        parameters = {"query": query, "format": "json", "after": after}
        with self._open("/logs/tail", parameters) as response:
            for id_, lines in read_events(response):
                for line in lines:
                    yield id_, json.loads(line)

    @contextmanager
    def _open(self, path: str, parameters: dict[str, Any]) -> Iterator[HTTPResponse]:
        given = {name: value for name, value in parameters.items() if value is not None}
        address = f"{self.url}{path}?{urllib.parse.urlencode(given)}"
        try:
            request = urllib.request.Request(address, headers=self._headers)  # noqa: S310
            with self._opener.open(request, timeout=self._patience) as response:
                yield response
        except urllib.error.HTTPError as error:
            raise self._refusal(error, str(given.get("query", ""))) from None
        except ValueError as error:
            raise click.ClickException(f"{self.url}: {error}") from None
        except BrokenPipeError:
            raise  # our own output's reader has gone, not the bridge
        except (OSError, HTTPException):
            raise UnreachableError(
                f"no bridge answers at {self.url}; start one: otelbridge serve"
                " (or say where it is: --url or OTELBRIDGE_URL)"
            ) from None

    def _refusal(self, error: urllib.error.HTTPError, query: str) -> click.ClickException:
        try:
            said = json.load(error)["error"]
            message, position = str(said["message"]), said.get("position")
        except (ValueError, KeyError, TypeError, AttributeError):
            return click.ClickException(
                f"{self.url} is not an otelbridge: it answers {error.code} {error.reason}"
            )
        if error.code == 401:
            return click.ClickException(
                f"the bridge at {self.url} asks for its token: --token or OTELBRIDGE_TOKEN "
                "(or OTELBRIDGE_LOGIN and OTELBRIDGE_PASSWORD)"
            )
        if error.code == 400:
            return QueryRefusedError(message, query, position)
        return click.ClickException(message)


def read_events(stream: Iterator[bytes] | HTTPResponse) -> Iterator[tuple[int | None, list[str]]]:
    """Read server-sent events: each one's id and its ``data`` lines.

    Follows the HTML standard, section 9.2.6 "Interpreting an event stream", without the carriage
    returns it also allows.
    """
    last_id: int | None = None
    lines: list[str] = []
    for raw in stream:
        line = raw.decode().rstrip("\n")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if lines:
                yield last_id, lines
            lines = []
        elif name == "data":
            lines.append(value)
        elif name == "id" and value.isdecimal():
            last_id = int(value)
