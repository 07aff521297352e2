"""The table of ``otelbridge run --list``: the installed libraries, and what instruments each."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from opentelemetry.instrumentation.bootstrap_gen import default_instrumentations, libraries
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from otelbridge.frameworks.instrumentations import DISABLED, GROUP, Instrumentation, is_disabled

# Not worth a line: what only another library brings along, and what otelbridge sees to alone.
_LEFT_OUT: Final = frozenset({"asgiref", "psutil", "pydantic", "structlog"})
# Of what every Python has; the others have nothing to instrument of their own, or are ours.
_BUILT_IN: Final = ("asyncio", "sqlite3", "threading", "urllib")


class Library(NamedTuple):
    """A line of the table.

    Attributes:
        name: the library's.
        version: the one that is installed.
        instrumentation: what instruments it, or the command that would install that.
        state: ``on``, or ``off`` and why.
    """

    name: str
    version: str
    instrumentation: str
    state: str


def installed_libraries() -> list[Library]:
    """Find the installed libraries that OpenTelemetry has an instrumentation for, by name."""
    return sorted(_find(), key=lambda library: library.name.lower())


def written(found: Iterable[Library]) -> str:
    """Write the table."""
    lines = [Library("library", "version", "instrumentation", ""), *found]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _find() -> Iterator[Library]:
    for package in default_instrumentations:
        requirement = Requirement(package)
        name = requirement.name.removeprefix("opentelemetry-instrumentation-")
        if name in _BUILT_IN:
            yield _describe(name, platform.python_version(), requirement)
    seen = set()
    for known in libraries:
        library = Requirement(known["library"])
        instrumentation = Requirement(known["instrumentation"])
        version = _version(library.name)
        key = (canonicalize_name(library.name), instrumentation.name)
        if version is not None and key not in seen and library.name not in _LEFT_OUT:
            seen.add(key)
            yield _describe(library.name, version, instrumentation)


def _describe(name: str, version: str, wanted: Requirement) -> Library:
    installed = _version(wanted.name)
    if installed is None:
        return Library(name, version, f"pip install '{wanted}'", "off: not installed")
    return Library(name, version, f"{wanted.name} {installed}", _state(wanted.name))


def _state(package: str) -> str:
    distribution = importlib.metadata.distribution(package)
    # Some bring several, for clients and servers say, or for two libraries.
    found = [
        Instrumentation(point.name, None, point)
        for point in distribution.entry_points
        if point.group == GROUP
    ]
    enabled = [one for one in found if not is_disabled(one.name)]
    if found and not enabled:
        return f"off: {DISABLED}"
    conflicts = [one.conflict() for one in enabled]
    return f"off: {conflicts[0]}" if conflicts and all(conflicts) else "on"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
