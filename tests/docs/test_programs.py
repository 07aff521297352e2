"""Every complete program of the documents runs as it stands and does what its page says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from otlp_receiver import OTLPReceiver
from programs import environment

from tests.docs.programs_in_documents import Expectation, Program, programs_of

PAGES = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
PROGRAMS = [program for page in PAGES for program in programs_of(page)]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_program_runs_as_its_page_says(
    program: Program, otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    for name, source in {**program.files, program.file: program.source}.items():
        (tmp_path / name).write_text(source, "utf-8")
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.http,
        "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",
        "PYTHONUTF8": "1",
        **program.environ,
    }

    under = [sys.executable, "-m", "otelbridge", "run"] if program.under else []
    ended = subprocess.run(
        [*under, sys.executable, program.file],
        cwd=tmp_path,
        env=environment(environ),
        capture_output=True,
        encoding="utf-8",
        timeout=150,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (program.exits, program.says)
    if program.prints is not None:
        assert ended.stdout == program.prints
    if program.arrives is not None:
        Expectation(otlp_receiver).check(program.arrives)
