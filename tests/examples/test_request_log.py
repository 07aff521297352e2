"""The request log by hand and by one line: the same lines in the file, and what the hand misses."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "request_log"
REQUESTS = """
from {name} import app
client = app.test_client()
client.get("/ok?a=1&token=secret")
client.get("/nowhere")
client.post("/ok")
client.get("/boom")
"""
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (\w+) - (\w+) - (.*)")


@pytest.fixture
def lines_of(python, tmp_path):
    def run(name: str) -> list[tuple[str, str]]:
        subprocess.run(
            [python, "-c", REQUESTS.format(name=name)],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(EXAMPLE),
                "OTELBRIDGE_SINKS": "none",
                "OTEL_SERVICE_NAME": "shop",
            },
            check=True,
            capture_output=True,
            timeout=60,
        )
        found = map(LINE.fullmatch, (tmp_path / "app.log").read_text("utf-8").splitlines())
        return [(match[2], match[3]) for match in found if match and match[1] == name]

    return run


def test_one_line_writes_what_the_hooks_wrote_without_the_secrets(lines_of):
    by_hand = [line for line in lines_of("before") if line[0] == "INFO"]
    by_one_line = [line for line in lines_of("after") if line[0] == "INFO"]

    assert ("INFO", "Request GET http://localhost/ok?a=1&token=secret") in by_hand
    assert by_one_line == [
        (level, text.replace("token=secret", "token=***")) for level, text in by_hand
    ]
    assert [text for _, text in by_one_line] == [
        "Request GET http://localhost/ok?a=1&token=***",
        "working",
        "Response 200 OK",
        "Request GET http://localhost/nowhere",
        "Response 404 NOT FOUND",
        "Request POST http://localhost/ok",
        "Response 405 METHOD NOT ALLOWED",
        "Request GET http://localhost/boom",
        "Response 500 INTERNAL SERVER ERROR",
    ]
