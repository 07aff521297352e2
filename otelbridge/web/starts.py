"""When processes started, and which of those starts were deploys: marks on charts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from otelbridge import schema
from otelbridge.search import parse
from otelbridge.store.protocol import Store, StoredLog, TimeRange

_VERSION: Final = "service.version"
# What a version was before the range is looked for among this many starts.
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Start:
    """A process that announced itself.

    Attributes:
        time: nanoseconds since the epoch.
        version: the service's, empty where it has none.
        deploy: the service had another version until then.
    """

    time: int
    service: str
    instance: str
    version: str
    deploy: bool

    def document(self) -> dict[str, Any]:
        """The same for the page's script; times are milliseconds since the epoch."""
        return {
            "time": self.time // 1_000_000,
            "service": self.service,
            "instance": self.instance,
            "version": self.version,
            "deploy": self.deploy,
        }


def read_starts(store: Store, within: TimeRange, service: str | None) -> list[Start]:
    """The starts of a range, oldest first; of very many the newest."""
    text = f'event.name: "{schema.PROCESS_START}"'
    if service is not None:
        text += f' and service.name: "{_escaped(service)}"'
    query = parse(text)
    everything = TimeRange(0, within.end)
    found = store.logs(query, everything, limit=_MOST)
    return [start for start in starts(reversed(found)) if start.time >= within.start]


def starts(logs: Iterable[StoredLog]) -> list[Start]:
    """Make starts of their events, which are in time's order."""
    versions: dict[str, str] = {}
    found = []
    for stored in logs:
        resource = stored.record.resource
        service = str(resource.get("service.name", ""))
        version = str(resource.get(_VERSION) or "")
        before = versions.get(service)
        found.append(
            Start(
                time=stored.record.time,
                service=service,
                instance=str(resource.get("service.instance.id", "")),
                version=version,
                deploy=before is not None and version != before,
            )
        )
        versions[service] = version
    return found


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
