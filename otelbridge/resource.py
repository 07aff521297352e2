"""What the telemetry is about: the service, this process, this host.

Built by hand from the same sources as the SDK's detectors, because those run in a thread pool with
a time-out of five seconds each, and by default leave ``process.pid`` as it was before a fork.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
import uuid
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.version import __version__ as sdk_version

from otelbridge import schema
from otelbridge.records.service import script_name

if TYPE_CHECKING:
    from otelbridge.settings import Settings

_OS_NAMES = {"sunos": "solaris"}


def process_attributes() -> dict[str, Any]:
    """Describe this process: what is different after every fork."""
    return {
        "service.instance.id": str(uuid.uuid4()),
        "process.pid": os.getpid(),
        "process.parent_pid": os.getppid(),
    }


def build_resource(settings: Settings, name: str | None = None) -> Resource:
    """Build the resource of all logs, spans and metrics of this process.

    Args:
        settings: of which ``service_name`` wins over everything else.
        name: the service's name where nothing else gives one; the script's by default.

    Returns:
        Service, process, runtime, host and operating system, by OpenTelemetry's semantic
        conventions; ``OTEL_RESOURCE_ATTRIBUTES`` wins over what was found here.
    """
    system = platform.system().lower()
    attributes: dict[str, Any] = {
        "service.name": name or script_name(),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": sdk_version,
        schema.DISTRO_NAME: schema.DISTRO,
        "host.name": socket.gethostname(),
        "host.arch": platform.machine(),
        "os.type": _OS_NAMES.get(system, system),
        "process.executable.path": sys.executable or "",
        "process.command": sys.argv[0] if sys.argv else "",
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
        **process_attributes(),
        **OTELResourceDetector().detect().attributes,
    }
    if settings.service_name:
        attributes["service.name"] = settings.service_name
    return Resource(attributes)


def has_own_name(settings: Settings) -> bool:
    """Tell whether the user named the service, so that no name need be found for it."""
    return bool(
        settings.service_name or OTELResourceDetector().detect().attributes.get("service.name")
    )
