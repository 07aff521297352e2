"""What ``import otelbridge`` offers, what it costs, and which half of it knows which."""

from __future__ import annotations

import ast
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import otelbridge

PACKAGE = Path(otelbridge.__file__).parent
# None of these may be loaded by importing the package; sdk and exporters cost most.
HEAVY = {
    "opentelemetry", "grpc", "google.protobuf", "requests", "httpx", "urllib3", "flask",
    "starlette", "uvicorn", "jinja2", "lark", "sqlite3", "psutil", "click", "orjson", "asyncio",
}  # fmt: skip


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout


def loaded_by(statement: str) -> set[str]:
    return set(run(f"import sys; {statement}; print(*sys.modules)").split())


def heavy(modules: set[str]) -> set[str]:
    return {name for name in HEAVY if any(m == name or m.startswith(f"{name}.") for m in modules)}


def test_importing_the_package_loads_nothing_heavy():
    assert heavy(loaded_by("import otelbridge")) == set()


@pytest.mark.parametrize(
    "name", ["JsonFormatter", "UDPHandler", "FileHandler", "ConsoleHandler", "capture_output"]
)
def test_the_logging_classes_load_no_opentelemetry_and_no_bridge(name):
    loaded = loaded_by(f"import otelbridge; otelbridge.{name}")

    assert heavy(loaded) <= {"orjson"}
    assert not {module for module in loaded if belongs_to(module) == "bridge"}


def test_writing_a_line_loads_no_opentelemetry_where_the_program_has_not():
    program = (
        "import logging, otelbridge;"
        "logging.getLogger().addHandler(otelbridge.ConsoleHandler());"
        "logging.warning('x', extra={'user': 'a'})"
    )

    assert heavy(loaded_by(program)) <= {"orjson"}


def test_every_name_it_offers_is_there():
    for name in otelbridge.__all__:
        assert getattr(otelbridge, name) is not None
        assert name in dir(otelbridge)


def test_a_name_it_does_not_offer_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'otelbridge' has no attribute 'sink'"):
        otelbridge.sink  # noqa: B018


def test_type_checkers_see_what_is_loaded_later():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name: node.module
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert imported == otelbridge._MODULES
    assert sorted(imported) == sorted(otelbridge.__all__)


def test_the_version_is_the_projects():
    project = (PACKAGE.parent / "pyproject.toml").read_text()

    assert otelbridge.__version__ == re.search(r'^version = "(.+)"$', project, re.MULTILINE)[1]


def test_the_handlers_are_plain_logging_classes():
    for name in ("UDPHandler", "FileHandler", "ConsoleHandler"):
        assert issubclass(getattr(otelbridge, name), logging.Handler)
    assert issubclass(otelbridge.JsonFormatter, logging.Formatter)


# --- neither half of the package imports the other ----------------------------------------------

SHARED = {
    "schema",
    "settings",
    "setting_values",
    "channels",
    "model",
    "elasticsearch",
    "cli",
    "commands",
    "__main__",
}
BRIDGE = {
    "serve",
    "receivers",
    "store",
    "search",
    "web",
    "alarms",
    "projects",
    "users",
    "bridge_state",
    "error_groups",
    "error_states",
    "tasks",
    "traceback_text",
}


def belongs_to(module: str) -> str | None:
    """Name a module's half; what is neither shared nor the bridge's is the app's."""
    parts = module.split(".")
    if parts[0] != "otelbridge" or len(parts) < 2 or parts[1] in SHARED:
        return None
    return "bridge" if parts[1] in BRIDGE else "app"


def imports_of(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, wherever in it the import stands."""
    module = ["otelbridge", *path.relative_to(PACKAGE).with_suffix("").parts]
    package = module[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def graph() -> dict[str, set[str]]:
    imported: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ["otelbridge", *path.relative_to(PACKAGE).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        imported[name] = {target for target in imports_of(path) if target.startswith("otelbridge.")}
    return imported


def reached_from(half: str) -> dict[str, str]:
    """Return every module the half imports, directly or through others, and who imports it."""
    imported = graph()
    reached: dict[str, str] = {}
    todo = [name for name in imported if belongs_to(name) == half]
    while todo:
        name = todo.pop()
        for target in imported.get(name, ()):
            if target in imported and target not in reached:
                reached[target] = name
                todo.append(target)
    return reached


@pytest.mark.parametrize(("half", "other"), [("app", "bridge"), ("bridge", "app")])
def test_neither_half_imports_the_other(half, other):
    wrong = {
        f"{name} (by {by})" for name, by in reached_from(half).items() if belongs_to(name) == other
    }

    assert wrong == set()


def test_the_graph_is_not_empty():
    imported = graph()

    assert "otelbridge.records.values" in imported["otelbridge.records.formatter"]
    halves = {belongs_to(name): name for name in imported}
    assert halves.keys() == {"app", "bridge", None}
