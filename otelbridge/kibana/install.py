"""Bringing data views, saved searches and dashboards to Kibana, by its saved objects API.

The objects are read from ``otelbridge.ndjson``, which is compiled from the project's ``kibana``
folder. Every dashboard's description ends with a mark of the file that it came from, so that
what is there already is left alone, with what people changed in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import otelbridge
from otelbridge.elasticsearch.client import OLDEST, ElasticsearchError
from otelbridge.elasticsearch.install import Change
from otelbridge.settings import Settings

TIMEOUT: Final = 60.0
_BOUNDARY: Final = "otelbridge-3b7f0c9a51d24e8f"
_KINDS: Final = {"index-pattern": "data view", "search": "saved search", "dashboard": "dashboard"}


class KibanaError(ElasticsearchError):
    """Kibana cannot be used; its text is one line for the user."""


def objects_file() -> Path:
    """Find the objects: part of an installed package, or beside it in a checkout.

    Raises:
        KibanaError: neither is there.
    """
    package = Path(otelbridge.__file__).parent
    for folder in (package / "kibana", package.parent / "kibana"):
        if (folder / "otelbridge.ndjson").is_file():
            return folder / "otelbridge.ndjson"
    raise KibanaError("the file otelbridge.ndjson is missing from this installation")


def read_objects() -> list[dict[str, Any]]:
    """Read the saved objects, each dashboard marked with the state of the file."""
    text = objects_file().read_text(encoding="utf-8")
    mark = f"[otelbridge {hashlib.sha256(text.encode()).hexdigest()[:12]}]"
    objects: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    for one in objects:
        if one["type"] == "dashboard":
            description = f"{one['attributes']['description']} {mark}"
            one["attributes"]["description"] = description
    return objects


def check_kibana(settings: Settings, url: str) -> str:
    """Ask Kibana what it is and whether it is ready.

    Args:
        settings: who signs in, and which authorities are trusted.
        url: Kibana's address, with ``/s/SPACE`` for a space of its own.

    Returns:
        Its version, such as ``9.1.3``.

    Raises:
        KibanaError: it is not there, not ready, refuses us, or is too old.
    """
    answer = _json(_ask(settings, url, "GET", "/api/status"), url)
    number = str((answer.get("version") or {}).get("number") or "")
    level = ((answer.get("status") or {}).get("overall") or {}).get("level")
    if level is None:
        raise KibanaError(f"{url} answers, but not as Kibana does")
    if level not in {"available", "degraded"}:
        raise KibanaError(f"{url} is not ready: {level}", temporary=True)
    # Who is not signed in is not told the version.
    told = re.match(r"(\d+)\.(\d+)", number)
    if told is not None and (int(told[1]), int(told[2])) < OLDEST:
        raise KibanaError(f"{url} is Kibana {number}; {OLDEST[0]}.{OLDEST[1]} or newer is needed")
    return number


def install_objects(settings: Settings, url: str) -> Iterator[Change]:
    """Bring all objects to Kibana; what is there already and of this version is left alone.

    Args:
        settings: who signs in, and which authorities are trusted.
        url: Kibana's address, with ``/s/SPACE`` for a space of its own.

    Yields:
        What became of each object.

    Raises:
        KibanaError: Kibana refused one, or cannot be reached.
    """
    objects = read_objects()
    if _installed(settings, url, objects):
        for one in objects:
            yield Change(_name(one), "unchanged")
        return
    created, there = _import(settings, url, objects, overwrite=False)
    if there:
        again = [one for one in objects if _key(one) in there]
        _import(settings, url, again, overwrite=True)
    for one in objects:
        yield Change(_name(one), "created" if _key(one) in created else "updated")


def _installed(settings: Settings, url: str, objects: list[dict[str, Any]]) -> bool:
    """Tell whether Kibana has every object, and dashboards of this version."""
    wanted = [{"type": one["type"], "id": one["id"]} for one in objects]
    body = json.dumps({"objects": wanted, "excludeExportDetails": True}).encode()
    headers = {"Content-Type": "application/json"}
    try:
        answer = _ask(settings, url, "POST", "/api/saved_objects/_export", body, headers)
    except _RefusedError as refused:
        if refused.status == 400:  # not all of them are there
            return False
        raise
    found = {}
    for line in answer.decode().splitlines():
        one = json.loads(line)
        found[_key(one)] = one
    return all(
        _key(one) in found and (one["type"] != "dashboard" or _mark(found[_key(one)]) == _mark(one))
        for one in objects
    )


def _mark(dashboard: dict[str, Any]) -> str:
    description = str((dashboard.get("attributes") or {}).get("description") or "")
    return description[description.rfind("[otelbridge ") :]


def _import(
    settings: Settings, url: str, objects: list[dict[str, Any]], *, overwrite: bool
) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Import objects; returns which were written, and which were there and not overwritten."""
    lines = "".join(json.dumps(one) + "\n" for one in objects)
    body = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="otelbridge.ndjson"\r\n'
        "Content-Type: application/ndjson\r\n\r\n"
        f"{lines}\r\n--{_BOUNDARY}--\r\n"
    ).encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    path = f"/api/saved_objects/_import?overwrite={'true' if overwrite else 'false'}"
    answer = _json(_ask(settings, url, "POST", path, body, headers), url)
    written = {_key(one) for one in answer.get("successResults") or []}
    there = set()
    for error in answer.get("errors") or []:
        why = error.get("error") or {}
        if why.get("type") == "conflict" and not overwrite:
            there.add(_key(error))
            continue
        reason = why.get("message") or why.get("type") or "no reason given"
        raise KibanaError(f"{url} refuses the {_name(error)}: {reason}")
    missing = {_key(one) for one in objects} - written - there
    if missing:
        raise KibanaError(f"{url} did not say what became of {len(missing)} objects")
    return written, there


class _RefusedError(KibanaError):
    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, temporary=status in {429, 502, 503, 504})
        self.status = status


def _ask(
    settings: Settings,
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    sent = {"kbn-xsrf": "otelbridge", **_sign_in(settings), **(headers or {})}
    request = urllib.request.Request(  # noqa: S310  the settings take http and https only
        url.rstrip("/") + path, body, sent, method=method
    )
    try:
        context = None
        if url.startswith("https:") and settings.elasticsearch_ca_certs is not None:
            context = ssl.create_default_context(cafile=str(settings.elasticsearch_ca_certs))
        with urllib.request.urlopen(  # noqa: S310
            request, timeout=TIMEOUT, context=context
        ) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise _RefusedError(_refusal(error, url), error.code) from None
    except urllib.error.URLError as error:
        certificate = isinstance(error.reason, ssl.SSLError)
        raise KibanaError(
            f"{url}: TLS failed: {error.reason}; OTELBRIDGE_ELASTICSEARCH_CA_CERTS names the "
            "authorities to trust"
            if certificate
            else f"{url} cannot be reached: {error.reason}",
            temporary=not certificate,
        ) from None
    except OSError as error:
        raise KibanaError(f"{url}: {error}", temporary=True) from None


def _sign_in(settings: Settings) -> dict[str, str]:
    if settings.elasticsearch_api_key:
        return {"Authorization": f"ApiKey {settings.elasticsearch_api_key}"}
    if settings.elasticsearch_username:
        pair = f"{settings.elasticsearch_username}:{settings.elasticsearch_password or ''}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _refusal(error: urllib.error.HTTPError, url: str) -> str:
    try:
        reason = str(json.loads(error.read())["message"])[:500]
    except (OSError, ValueError, KeyError, TypeError):
        reason = error.reason
    if error.code == 401:
        return (
            f"{url} does not let us in (401): {reason}; check OTELBRIDGE_ELASTICSEARCH_API_KEY, "
            "or _USERNAME and _PASSWORD"
        )
    if error.code == 403:
        return f"{url} does not allow it (403): {reason}"
    if error.code == 404:
        return f"{url}: not found (404): is the address Kibana's, with its base path?"
    if error.code == 503:
        return f"{url} is not ready (503): {reason}"
    return f"{url} answers {error.code}: {reason}"


def _json(answer: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise KibanaError(f"{url} answers, but not as Kibana does")
    return found


def _key(one: Mapping[str, Any]) -> tuple[str, str]:
    return one["type"], one["id"]


def _name(one: Mapping[str, Any]) -> str:
    return f"Kibana {_KINDS.get(one['type'], one['type'])} {one['id']}"
