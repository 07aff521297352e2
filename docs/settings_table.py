"""Writes the tables of ``docs/settings.md`` and ``README.md`` from the settings themselves.

    python docs/settings_table.py

Each table stands between ``<!-- settings: all|common -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
from pathlib import Path

from otelbridge.settings import Origin, describe_settings

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "settings.md")

# What most people set; the rest is one link away.
COMMON = (
    "OTEL_SERVICE_NAME",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_SDK_DISABLED",
    "OTELBRIDGE_SINKS",
    "OTELBRIDGE_UDP_ENDPOINT",
    "OTELBRIDGE_ELASTICSEARCH_URL",
    "OTELBRIDGE_ELASTICSEARCH_API_KEY",
    "OTELBRIDGE_KIBANA_URL",
    "OTELBRIDGE_FILE",
    "OTELBRIDGE_LOG_LEVEL",
    "OTELBRIDGE_STORE",
    "OTELBRIDGE_HOST",
    "OTELBRIDGE_TOKEN",
    "OTELBRIDGE_RETENTION",
    "OTELBRIDGE_RETENTION_BYTES",
    "OTELBRIDGE_URL",
)


def table(settings: list[Origin]) -> str:
    """Write settings as a Markdown table with their defaults."""
    rows = ["| variable | default | what it is |", "| --- | --- | --- |"]
    for setting in settings:
        default = setting.value.replace(str(Path.home()), "~")
        shown = f"`{default}`" if default else ""
        rows.append(f"| `{setting.variable}` | {shown} | {setting.help} |")
    return "\n".join(rows)


def filled(text: str) -> str:
    """Put the tables into a document's places for them."""
    listed = describe_settings({})
    by_variable = {setting.variable: setting for setting in listed}
    tables = {
        "app": table([setting for setting in listed if setting.half == "app"]),
        "bridge": table([setting for setting in listed if setting.half == "bridge"]),
        "common": table([by_variable[variable] for variable in COMMON]),
    }
    return re.sub(
        r"(<!-- settings: (\w+) -->\n).*?(<!-- end -->)",
        lambda place: f"{place[1]}\n{tables[place[2]]}\n\n{place[3]}",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(filled(document.read_text()))
