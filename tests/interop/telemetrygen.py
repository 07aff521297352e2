"""``telemetrygen``, the OpenTelemetry Collector project's own load generator, built once by Go."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MODULE = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen"
VERSION = "v0.161.0"


def _program() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "otelbridge-tests" / f"telemetrygen-{VERSION}" / "telemetrygen"


def _go() -> str | None:
    """Go's command, also where its own installer puts it."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


def available() -> bool:
    """Whether it is built, or can be."""
    return _program().exists() or _go() is not None


def build() -> Path:
    """Build it where it is not built yet; it is kept in the user's cache."""
    program = _program()
    if program.exists():
        return program
    go = _go()
    if go is None:
        pytest.fail("telemetrygen cannot be built: no Go here, and OTELBRIDGE_REQUIRE_SERVERS=1")
    done = subprocess.run(
        [go, "install", f"{MODULE}@{VERSION}"],
        env={**os.environ, "GOBIN": str(program.parent)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.fail(f"telemetrygen {VERSION} cannot be built:\n{done.stderr[-2000:]}")
    return program
