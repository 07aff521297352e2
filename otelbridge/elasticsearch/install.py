"""Bringing the index templates to a server: as often as one likes, and saying what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

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
# In an index's mapping: the state of the template that it was made by.
_MARK: Final = "otelbridge"


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

    Data streams that exist already are told how long to keep what, and go on with a new index, from
    the next document on, where their newest was made otherwise than the templates say.

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
        shared = component_templates(options)
        for name, template in shared.items():
            yield _put_component(client, name, template)
        for name, template in index_templates(options).items():
            _mark(template, shared)
            change = _put_index(client, name, template)
            yield change
            if change.done != "newer":
                yield from _renew(client, name, template)
    except Exception as error:
        raise explain(error, url) from error


def _put_component(client: Elasticsearch, name: str, template: dict[str, Any]) -> Change:
    found = client.options(ignore_status=404).cluster.get_component_template(name=name)
    listed = found.body.get("component_templates") or []
    change = _compare(
        f"component template {name}", template, listed[0]["component_template"] if listed else None
    )
    if change.done in {"created", "updated"}:
        _put(client, f"/_component_template/{name}", _signed(template))
    return change


def _put_index(client: Elasticsearch, name: str, template: dict[str, Any]) -> Change:
    found = client.options(ignore_status=404).indices.get_index_template(name=name)
    listed = found.body.get("index_templates") or []
    change = _compare(
        f"index template {name}", template, listed[0]["index_template"] if listed else None
    )
    if change.done in {"created", "updated"}:
        _put(client, f"/_index_template/{name}", _signed(template))
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


def _mark(template: dict[str, Any], shared: dict[str, Any]) -> None:
    """Have every index that is made by a template tell by which state of it."""
    body = template["template"]
    parts = [shared.get(name) for name in template.get("composed_of", ())]
    state = _digest({"settings": body.get("settings"), "mappings": body["mappings"], "of": parts})
    body["mappings"] = {**body["mappings"], "_meta": {_MARK: state}}


def _renew(client: Elasticsearch, name: str, template: dict[str, Any]) -> Iterator[Change]:
    """Let the data streams that exist follow their template."""
    pattern = ",".join(template["index_patterns"])
    found = client.options(ignore_status=404).indices.get_data_stream(name=pattern)
    streams = [one for one in found.body.get("data_streams") or [] if one.get("template") == name]
    if not streams:
        return
    made_by = client.indices.get_mapping(index=pattern, filter_path="*.mappings._meta").body
    for stream in streams:
        said = list(_tell(client, stream, template["template"]))
        if _is_made_otherwise(made_by, stream, template) and not stream.get("rollover_on_write"):
            # Lazily: with the next document, so that no empty index is left behind.
            client.indices.rollover(alias=stream["name"], lazy=True)
            yield Change(f"data stream {stream['name']}", "rolled over", "; ".join(said))
        elif said:
            yield Change(f"data stream {stream['name']}", "updated", "; ".join(said))


def _tell(client: Elasticsearch, stream: dict[str, Any], body: dict[str, Any]) -> Iterator[str]:
    """Tell a data stream what only new ones take from the template; says what changed."""
    kept = body["lifecycle"]["data_retention"]
    if (stream.get("lifecycle") or {}).get("data_retention") != kept:
        _put(client, f"/_data_stream/{stream['name']}/_lifecycle", body["lifecycle"])
        yield f"kept for {kept}"
    if (options := body.get("data_stream_options")) is None:
        return
    failures = stream.get("failure_store") or {}
    kept_failures = (failures.get("lifecycle") or {}).get("data_retention")
    if not failures.get("enabled") or kept_failures != kept:
        _put(client, f"/_data_stream/{stream['name']}/_options", options)
        yield f"what it refuses is kept for {kept}"


def _is_made_otherwise(
    made_by: dict[str, Any], stream: dict[str, Any], template: dict[str, Any]
) -> bool:
    """Tell whether the index that is written to was made by another state of the template."""
    newest = stream["indices"][-1]["index_name"]
    meta = made_by.get(newest, {}).get("mappings", {}).get("_meta") or {}
    wanted: str = template["template"]["mappings"]["_meta"][_MARK]
    return bool(meta.get(_MARK) != wanted)


def _put(client: Elasticsearch, path: str, body: dict[str, Any]) -> None:
    client.perform_request("PUT", path, headers=_JSON, body=body)
