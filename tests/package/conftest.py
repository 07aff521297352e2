"""The built wheel, and clean environments with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL_SECONDS = 600


def run(*command: str | Path, **more) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=300, check=False, **more
    )


class CleanEnvironments:
    """Environments with nothing but the wheel and what is asked for; one for each distinct wish."""

    def __init__(self, wheel: Path, folder: Path, pool: ThreadPoolExecutor) -> None:
        self._wheel = wheel
        self._folder = folder
        self._pool = pool
        self._made: dict[tuple[str, ...], Future[Path]] = {}

    def begin(self, requirements: tuple[str, ...]) -> Future[Path]:
        """Begin to make an environment; its result is its folder of commands.

        Args:
            requirements: as for `pip install`; `otelbridge` is the wheel.
        """
        if requirements not in self._made:
            folder = self._folder / str(len(self._made))
            self._made[requirements] = self._pool.submit(self._make, folder, requirements)
        return self._made[requirements]

    def commands(self, requirements: tuple[str, ...]) -> Path:
        """Return the folder of commands of an environment, which is made if it is not there."""
        return self.begin(requirements).result(INSTALL_SECONDS)

    def _make(self, folder: Path, requirements: tuple[str, ...]) -> Path:
        venv.create(folder, symlinks=True)
        python = folder / "bin" / "python"
        wanted = [
            f"{each} @ {self._wheel.as_uri()}" if each.partition("[")[0] == "otelbridge" else each
            for each in requirements
        ]
        # pip of the environment that runs the tests: a tenth of the time that its own would take.
        pip = (sys.executable, "-m", "pip", "--python", python)
        done = run(*pip, "install", "-q", "--disable-pip-version-check", *wanted)
        assert done.returncode == 0, done.stderr
        return folder / "bin"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done = run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT)
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("otelbridge-*.whl")
    return built


@pytest.fixture(scope="session")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("clean")
    with ThreadPoolExecutor(2) as pool:
        yield CleanEnvironments(wheel, folder, pool)
    shutil.rmtree(folder)
