"""Every complete program of the documents runs as it stands and does what its page says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from otlp_receiver import OTLPReceiver

from tests.docs.programs_in_documents import PAGES, Program, programs_of

PROGRAMS = [program for page in PAGES for program in programs_of(page)]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_program_runs_as_its_page_says(
    program: Program, otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    program.check(otlp_receiver, tmp_path, Path(sys.executable).parent)
