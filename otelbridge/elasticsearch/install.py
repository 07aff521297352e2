"""Bringing the index templates to a server: as often as one likes, and saying what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from otelbridge.elasticsearch import names
from otelbridge.elasticsearch.client import explain
from otelbridge.elasticsearch.templates import (
    VERSION,
    TemplateOptions,
    component_templates,
    index_templates,
)

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_DIGEST: Final = "digest"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one template or data stream.

    Attributes:
        what: such as ``index template logs-otelbridge.otel``.
        done: what was done to it; ``unchanged`` and ``newer`` are nothing.
        why: more about it, or an empty text.
    """

    what: str
    done: Literal["created", "updated", "unchanged", "newer", "rolled over"]
    why: str = ""


def install_templates(
    client: Elasticsearch, url: str, options: TemplateOptions
) -> Iterator[Change]:
    """Bring all templates to a server; what is there already and the same is left alone.

    Data streams that exist already go on with a new index where a template changed, so that the
    next document is indexed as it says.

    Args:
        client: reaches the server.
        url: its address, for messages.
        options: how documents are to be indexed.

    Yields:
        A line's worth about each, as soon as it is done.

    Raises:
        ElasticsearchError: the server refused one, or cannot be reached.
    """
    try:
        changes = []
        for name, template in component_templates(options).items():
            change = _put_component(client, name, template)
            changes.append(change)
            yield change
        for name, template in index_templates(options).items():
            change = _put_index(client, name, template)
            changes.append(change)
            yield change
        if any(change.done in {"created", "updated"} for change in changes):
            yield from _renew(client, options)
    except Exception as error:
        raise explain(error, url) from error


def _put_component(client: Elasticsearch, name: str, template: dict[str, Any]) -> Change:
    found = client.options(ignore_status=404).cluster.get_component_template(name=name)
    listed = found.body.get("component_templates") or []
    change = _compare(
        f"component template {name}", template, listed[0]["component_template"] if listed else None
    )
    if change.done in {"created", "updated"}:
        client.perform_request(
            "PUT", f"/_component_template/{name}", headers=_JSON, body=_signed(template)
        )
    return change


def _put_index(client: Elasticsearch, name: str, template: dict[str, Any]) -> Change:
    found = client.options(ignore_status=404).indices.get_index_template(name=name)
    listed = found.body.get("index_templates") or []
    change = _compare(
        f"index template {name}", template, listed[0]["index_template"] if listed else None
    )
    if change.done in {"created", "updated"}:
        client.perform_request(
            "PUT", f"/_index_template/{name}", headers=_JSON, body=_signed(template)
        )
    return change


_JSON: Final = {"content-type": "application/json", "accept": "application/json"}


def _compare(what: str, wanted: dict[str, Any], found: dict[str, Any] | None) -> Change:
    if found is None:
        return Change(what, "created")
    version = found.get("version") or 0
    if version > VERSION:
        return Change(what, "newer", f"version {version} of a newer otelbridge is left as it is")
    if (found.get("_meta") or {}).get(_DIGEST) == _digest(wanted):
        return Change(what, "unchanged")
    return Change(what, "updated", f"version {version} to {VERSION}" if version < VERSION else "")


def _signed(template: dict[str, Any]) -> dict[str, Any]:
    # The server writes settings in a form of its own, so that what it gives back tells little.
    return {**template, "_meta": {**template["_meta"], _DIGEST: _digest(template)}}


def _digest(template: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16]


def _renew(client: Elasticsearch, options: TemplateOptions) -> Iterator[Change]:
    """Let the data streams that exist follow their templates."""
    streams = [
        *(f"{type}-{names.DATASET}-*" for type in ("logs", "traces", "metrics")),
        f"logs-{names.DEAD_LETTER_DATASET}-*",
    ]
    found = client.options(ignore_status=404).indices.get_data_stream(name=",".join(streams))
    for stream in found.body.get("data_streams") or []:
        name = stream["name"]
        client.indices.rollover(alias=name)
        retention = f"{max(1, round(options.retention))}s"
        set_to = client.options(ignore_status=(400, 404, 405)).perform_request(
            "PUT",
            f"/_data_stream/{name}/_lifecycle",
            headers=_JSON,
            body={"data_retention": retention},
        )
        why = f"kept for {retention}"
        if not (isinstance(set_to.body, dict) and set_to.body.get("acknowledged")):
            why = "this server does not let its retention be changed"
        yield Change(f"data stream {name}", "rolled over", why)
