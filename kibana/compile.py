"""Compile data views, saved searches and dashboards into ``otelbridge.ndjson``.

Run with a Python 3.12 or newer that has ``requirements.txt`` installed: ``make kibana``. Nothing in
what it writes depends on when or where it runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COMPILED = HERE / "otelbridge.ndjson"
# The compiler does not return from some inputs, formulas among them.
COMPILE_SECONDS = 120


def compile_objects() -> str:
    """Compile everything; returns the file's text: an object a line, what is referred to first."""
    described = json.loads((HERE / "objects.json").read_text())
    objects = [
        *(_data_view(**view) for view in described["data_views"]),
        *(_search(**search) for search in described["searches"]),
        *sorted(_dashboards(), key=lambda dashboard: dashboard["id"]),
    ]
    return "".join(json.dumps(one, sort_keys=True, ensure_ascii=False) + "\n" for one in objects)


def _data_view(id: str, name: str, title: str, nanoseconds: tuple[str, ...] = ()) -> dict[str, Any]:
    formats = {
        field: {
            "id": "duration",
            "params": {
                "inputFormat": "nanoseconds",
                "outputFormat": "humanizePrecise",
                "outputPrecision": 1,
                "useShortSuffix": True,
            },
        }
        for field in nanoseconds
    }
    attributes = {
        "name": name,
        "title": title,
        "timeFieldName": "@timestamp",
        "fieldFormatMap": json.dumps(formats),
        "allowNoIndex": True,
    }
    return {"type": "index-pattern", "id": id, "attributes": attributes, "references": []}


def _search(
    id: str,
    title: str,
    data_view: str,
    query: str,
    columns: list[str],
    sort: list[list[str]] | None = None,
) -> dict[str, Any]:
    reference = "kibanaSavedObjectMeta.searchSourceJSON.index"
    source = {
        "query": {"query": query, "language": "kuery"},
        "filter": [],
        "indexRefName": reference,
    }
    attributes = {
        "title": title,
        "description": "",
        "columns": columns,
        "sort": sort or [["@timestamp", "desc"]],
        "grid": {},
        "hideChart": False,
        "isTextBasedQuery": False,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(source)},
    }
    references = [{"type": "index-pattern", "id": data_view, "name": reference}]
    return {"type": "search", "id": id, "attributes": attributes, "references": references}


def _dashboards() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(  # noqa: S603  the compiler that is installed beside this Python
            [
                Path(sys.executable).parent / "kb-dashboard",
                "compile",
                *("--input-dir", HERE / "dashboards"),
                *("--output-dir", folder),
                *("--output-file", "all.ndjson"),
            ],
            check=True,
            timeout=COMPILE_SECONDS,
            stdout=sys.stderr,
        )
        lines = (Path(folder) / "all.ndjson").read_text().splitlines()
    dashboards = [json.loads(line) for line in lines]
    wanted = len(list((HERE / "dashboards").glob("*.yaml")))
    if len(dashboards) != wanted:
        # The compiler goes on without a file that is wrong.
        raise SystemExit(f"{len(dashboards)} of {wanted} dashboards were compiled")
    for dashboard in dashboards:
        for key in ("created_at", "created_by", "updated_at", "updated_by", "version"):
            dashboard.pop(key, None)
    return dashboards


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(compile_objects())
    else:
        COMPILED.write_text(compile_objects())
