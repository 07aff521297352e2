"""Which service and host a line comes from, by OpenTelemetry's resource variables."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from otelbridge.records.values import text_of
from otelbridge.schema import (
    ECS_VERSION_FIELD,
    EVENT_SEQUENCE,
    HOST_NAME,
    LINE_TO_ATTRIBUTE,
    LINE_TO_DOCUMENT,
    LINE_TO_RESOURCE,
    PROCESS_PID,
    RECORD_UID,
    SERVICE_ENVIRONMENT,
    SERVICE_NAME,
)

_RESOURCE_TO_LINE = {attribute: name for name, attribute in LINE_TO_RESOURCE.items()}
# The name that semantic conventions had before 1.27.
_RESOURCE_TO_LINE["deployment.environment"] = SERVICE_ENVIRONMENT

# What each record says for itself.
_RECORD_FIELDS = {
    *LINE_TO_DOCUMENT,
    *LINE_TO_ATTRIBUTE,
    ECS_VERSION_FIELD,
    EVENT_SEQUENCE,
    RECORD_UID,
}


def service_fields(
    resource: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the fields that every line of this process carries.

    Args:
        resource: OpenTelemetry resource attributes that win over the environment. Those that the
            JSON line has a field for are taken, the others are left to OTLP.
        environ: where ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` are looked up; the
            process's own variables by default.

    Returns:
        Texts by their names on the line. ``process.pid`` is not among them: it is each record's
        own, since a process may fork. An attribute named like another field of the line, such as
        ``message``, is called ``resource.message``.
    """
    environ = os.environ if environ is None else environ
    fields: dict[str, str] = {HOST_NAME: socket.gethostname()}
    for attribute, value in resource_attributes(environ.get("OTEL_RESOURCE_ATTRIBUTES", "")):
        name = _RESOURCE_TO_LINE.get(attribute, attribute)
        fields[f"resource.{name}" if name in _RECORD_FIELDS else name] = value
    if environ.get("OTEL_SERVICE_NAME"):
        fields[SERVICE_NAME] = environ["OTEL_SERVICE_NAME"]
    for attribute, value in (resource or {}).items():
        if attribute in _RESOURCE_TO_LINE:
            fields[_RESOURCE_TO_LINE[attribute]] = text_of(value)
    fields.setdefault(SERVICE_NAME, script_name())
    fields.pop(PROCESS_PID, None)
    return fields


def resource_attributes(text: str) -> list[tuple[str, str]]:
    """Read ``OTEL_RESOURCE_ATTRIBUTES``: ``key=value`` pairs, comma separated, percent-encoded.

    A pair that cannot be read is left out, as the SDK does.
    """
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return [(key.strip(), unquote(value.strip())) for key, _, value in pairs if key.strip()]


def script_name() -> str:
    """Name the service after the script that runs, or after the module given to ``-m``."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = getattr(spec, "name", "").removesuffix("__main__").rstrip(".")
    script = sys.argv[0] if sys.argv else ""
    return name or Path(script).stem.removeprefix("-c") or "python"
