"""What programs have told a bridge of their own delivery, summed up by service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import click

from otelbridge.commands.ask import BridgeClient

# A process that lost something shows it here as long as the bridge shows it: for an hour.
_COUNTS: Final = ("accepted", "sent", "resent", "waiting")


def find_counted(client: BridgeClient) -> Iterator[tuple[str, str]]:
    """Ask a bridge for the counters of the last hour.

    Yields:
        A sink's name, and a line for each service and signal that used it; those that lost
        something first. Nothing where no bridge answers.
    """
    try:
        rows = client.get("/pipeline.json")["delivery"]
    except click.ClickException:
        return
    sums: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["sink"], row["service"], row["signal"]
        found = sums.setdefault(key, {"processes": 0, "dropped": {}, **dict.fromkeys(_COUNTS, 0)})
        found["processes"] += 1
        for name in _COUNTS:
            found[name] += row[name]
        for reason, count in row["dropped"].items():
            found["dropped"][reason] = found["dropped"].get(reason, 0) + count
    ordered = sorted(sums.items(), key=lambda item: (-sum(item[1]["dropped"].values()), item[0]))
    for (sink, service, signal), found in ordered:
        if any(found[name] for name in _COUNTS):
            yield sink, f"{signal} of {service}: {_told(found)}"


def _told(found: dict[str, Any]) -> str:
    processes = found["processes"]
    dropped = "".join(
        f", {count:,} dropped ({reason})" for reason, count in found["dropped"].items()
    )
    return (
        f"{processes} process{'' if processes == 1 else 'es'}, {found['accepted']:,} accepted, "
        f"{found['sent']:,} sent ({found['resent']:,} again), {found['waiting']:,} waiting"
        f"{dropped or ', 0 dropped'}"
    )
