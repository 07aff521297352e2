"""One table of what was measured against what was asked."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import version


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        target: what was asked, as text; empty where nothing was.
        met: whether it was reached; ``None`` where there is no target.
    """

    name: str
    target: str
    measured: str
    met: bool | None = None


@dataclass
class Table:
    """Rows that are printed as they come, and once more together at the end."""

    rows: list[Row] = field(default_factory=list)

    def add(self, name: str, target: str, measured: str, met: bool | None = None) -> None:
        """Add one row and show it at once."""
        row = Row(name, target, measured, met)
        self.rows.append(row)
        print(f"  {row.name}: {row.measured} [{row.target or '-'}] {_mark(row.met)}", flush=True)

    def text(self) -> str:
        """The whole table as Markdown."""
        lines = ["| what | target | measured | |", "| --- | --- | --- | --- |"]
        lines += [f"| {r.name} | {r.target} | {r.measured} | {_mark(r.met)} |" for r in self.rows]
        return "\n".join(lines)

    def json(self) -> str:
        """The whole table for a program."""
        return json.dumps({"machine": machine(), "rows": [asdict(row) for row in self.rows]})

    @property
    def met(self) -> bool:
        """Whether every target was reached."""
        return all(row.met is not False for row in self.rows)


def _mark(met: bool | None) -> str:
    return {None: "", True: "ok", False: "**NOT**"}[met]


def machine() -> str:
    """The class of machine and the versions that a number was measured with."""
    packages = ("opentelemetry-sdk", "grpcio", "orjson", "starlette", "uvicorn", "flask")
    found = [f"{package} {version(package)}" for package in packages]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()},"
        f" Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, {', '.join(found)}"
    )
