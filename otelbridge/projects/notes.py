"""What people and the bridge note about projects, and keep beside the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otelbridge.projects.process import ProjectKey


@dataclass(frozen=True)
class Notes:
    """What is noted.

    Attributes:
        hidden: projects that are left out of the list.
        cleaned: processes that are left out, with the time of their newest event by then; what
            says something newer is shown again.
        silent: processes that were silent, with the time of their newest event, so that a restart
            of the bridge does not take them for running.
    """

    hidden: frozenset[ProjectKey] = frozenset()
    cleaned: Mapping[str, int] = field(default_factory=dict)
    silent: Mapping[str, int] = field(default_factory=dict)


def read_notes(data: Any) -> Notes:
    """Read what :func:`write_notes` gave.

    Raises:
        TypeError, ValueError, LookupError, AttributeError: it is not ours.
    """
    return Notes(
        frozenset(
            ProjectKey(str(one["name"]), str(one["namespace"]), str(one["environment"]))
            for one in data.get("hidden", ())
        ),
        _moments(data.get("cleaned", {})),
        _moments(data.get("silent", {})),
    )


def write_notes(notes: Notes) -> dict[str, Any]:
    """Write notes as JSON data."""
    return {
        "hidden": [key._asdict() for key in sorted(notes.hidden)],
        "cleaned": dict(notes.cleaned),
        "silent": dict(notes.silent),
    }


def _moments(data: Mapping[str, Any]) -> dict[str, int]:
    return {str(instance): int(moment) for instance, moment in data.items()}
