"""The examples of docs/notifications.md are run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "notifications.md"
EXAMPLES = re.findall(r"<!-- run(?:: (\S+))? -->\n```python\n(.*?)```", PAGE.read_text(), re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs_and_its_messages_arrive(number, tmp_path):
    name, program = EXAMPLES[number]
    environ = {
        **os.environ,
        "OTELBRIDGE_NOTIFY": "file:alarms.log",
        "OTELBRIDGE_SPOOL_DIR": str(tmp_path / "spool"),
    }
    command = [sys.executable, "-c", program]
    if name:
        (tmp_path / name).write_text(program)
        environ["OTELBRIDGE_NOTIFY"] = "class:pager.Pager?number=7&pin=1234"
        command = [sys.executable, "-m", "otelbridge", "notify", "the door"]

    done = subprocess.run(
        command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    if name:
        assert done.stdout == "paging 7: the door\nsent  pager: it rang\n"
    else:
        assert [path for path in tmp_path.glob("*.log") if path.read_text()]


def test_there_are_examples():
    assert len(EXAMPLES) >= 5


def test_every_option_and_channel_of_the_page_is_one():
    from otelbridge.channels import KINDS
    from otelbridge.channels.definition import _OPTIONS

    page = PAGE.read_text()

    options = page.partition("| option |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", options, re.M) == list(_OPTIONS)
    for scheme in ("telegram", "discord", "slack", "smtp", "smtps", "file", "class"):
        assert f"`{scheme}:" in page
    assert {"email", "webhook", "apprise"} <= set(KINDS)
