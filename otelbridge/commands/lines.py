"""A stored record as lines a person reads in a terminal."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

import click

LEVEL_STYLES: dict[str, dict[str, Any]] = {
    "DEBUG": {"dim": True},
    "INFO": {"fg": "green"},
    "WARNING": {"fg": "yellow"},
    "ERROR": {"fg": "red"},
    "CRITICAL": {"fg": "red", "bold": True, "reverse": True},
}

# Where a record was made, what identifies it, and what a request's message says already: there with
# --json, noise in a line.
_UNSHOWN = re.compile(
    r"code\.|thread\.|exception\."
    r"|(log\.record\.uid|url\.full|http\.request\.method|http\.response\.status_code)$"
)

# A message may hold anything; what would move the cursor or recolour the terminal is shown, not
# done.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def record_lines(document: dict[str, Any]) -> str:
    """Write a record: time, level, service, message, fields, trace; its traceback below.

    Args:
        document: a record as ``/logs.json`` gives it.

    Returns:
        One or more lines with ANSI styles, which ``click.echo`` removes where nobody sees them.
    """
    attributes: dict[str, Any] = document.get("attributes", {})
    level = document.get("severity_text") or "-"
    service = document.get("resource", {}).get("attributes", {}).get("service.name", "")
    body = document.get("body", {})
    message = body["text"] if "text" in body else json.dumps(body.get("structured"))
    parts = [
        click.style(local_time(document["@timestamp"]), dim=True),
        click.style(f"{plain(level):<8}", **LEVEL_STYLES.get(level.upper(), {})),
        click.style(f"{plain(service):<10}", fg="cyan"),
        plain(message).replace("\n", "\n    "),
    ]
    parts += [
        click.style(f"{plain(name)}=", dim=True) + plain(_value(value)).replace("\n", "\\n")
        for name, value in attributes.items()
        if not _UNSHOWN.match(name)
    ]
    if document.get("trace_id"):
        parts.append(click.style(f"trace.id={document['trace_id']}", dim=True))
    text = " ".join(parts)
    stack = attributes.get("exception.stacktrace")
    if not stack and "exception.type" in attributes:
        stack = f"{attributes['exception.type']}: {attributes.get('exception.message', '')}"
    if stack:
        text += "".join(
            "\n    " + click.style(line, fg="red") for line in plain(str(stack)).splitlines()
        )
    return text


def local_time(timestamp: str) -> str:
    """Write a stored ``@timestamp`` in local time to the millisecond; its day unless today's."""
    whole, _, fraction = timestamp.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).astimezone()
    today = moment.date() == datetime.now().astimezone().date()
    form = "%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S"
    return f"{moment.strftime(form)}.{fraction[:3]:0<3}"


def plain(text: str) -> str:
    """Write control characters out as escapes; keep line ends and tabs."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return (
            value
            if value and not re.search(r"\s", value)
            else json.dumps(value, ensure_ascii=False)
        )
    return json.dumps(value, ensure_ascii=False)
