"""Everything that is shown, run with nothing installed but what its page says to install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_receiver import OTLPReceiver
from redis_server import running_redis
from running_bridge import running_bridge

# The examples' own tests, with the interpreter below.
from tests.docs.programs_in_documents import PAGES, Program, programs_of, requirements_of
from tests.examples.test_messenger import *  # noqa: F403
from tests.examples.test_request_log import *  # noqa: F403
from tests.package.conftest import ROOT, CleanEnvironments
from tests.workers.celery_programs import Shop, check_document

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(900)]

PROGRAMS = [program for page in PAGES for program in programs_of(page)]
CELERY = ROOT / "docs" / "celery.md"
EXAMPLES = [ROOT / "examples" / name / "README.md" for name in ("messenger", "request_log")]


@pytest.fixture(scope="module", autouse=True)
def environments(clean: CleanEnvironments) -> CleanEnvironments:
    """Begin with all environments at once: installing is most of the work."""
    for page in (*(page for page in PAGES if programs_of(page)), CELERY, *EXAMPLES):
        clean.begin(requirements_of(page))
    return clean


@pytest.fixture
def python(environments: CleanEnvironments, request: pytest.FixtureRequest) -> str:
    """The interpreter with what the page of a test's example says to install."""
    example = request.function.__module__.rpartition(".test_")[2]
    page = ROOT / "examples" / example / "README.md"
    return str(environments.commands(requirements_of(page)) / "python")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_program_needs_no_more_than_its_page_installs(
    program: Program,
    environments: CleanEnvironments,
    otlp_receiver: OTLPReceiver,
    tmp_path: Path,
) -> None:
    assert program.requirements, f"{program.name}: its page does not say what to install"
    program.check(otlp_receiver, tmp_path, environments.commands(program.requirements))


@pytest.fixture
def shop(environments: CleanEnvironments, tmp_path: Path) -> Iterator[Shop]:
    with running_redis() as redis, running_bridge(tmp_path) as bridge:
        commands = environments.commands(requirements_of(CELERY))
        yield Shop("shop", tmp_path, f"redis+socket://{redis}", bridge, commands)


def test_celery_needs_no_more_than_its_page_installs(shop: Shop) -> None:
    check_document(shop)
