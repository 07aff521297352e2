"""The programs shown in docs/errors.md do what it says."""

from __future__ import annotations

import re
from pathlib import Path

from otlp_receiver import OTLPReceiver
from programs import Ended, run_program

DOCUMENT = Path(__file__).parents[2] / "docs" / "errors.md"
CRASH, FORMS, EXCLUDING, BACKLIGHT = re.findall(
    r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL
)


def run(program: str, folder: Path, receiver: OTLPReceiver | None = None) -> Ended:
    script = folder / "orders.py"
    script.write_text(program)
    environ = (
        {}
        if receiver is None
        else {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http,
            "OTELBRIDGE_SHUTDOWN_TIMEOUT": "30s",
        }
    )
    call = f"import runpy, sys; sys.path[0] = {str(folder)!r}; runpy.run_path({str(script)!r})"
    return run_program(call, **environ)


def test_the_crash_is_recorded_with_the_fields_of_the_table(
    otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    ended = run(CRASH, tmp_path, otlp_receiver)
    assert ended.code == 1
    assert ended.err.endswith("ValueError: no such order: 17\n")
    [record] = otlp_receiver.logs
    assert record.item.body.string_value == "Uncaught ValueError: no such order: 17"
    assert record.item.severity_text == "CRITICAL"
    assert record.scope == "sys.excepthook"
    shown = dict(
        re.findall(r"^\| `(otelbridge\.[a-z.]+)` \| `(.+?)` \|$", DOCUMENT.read_text(), re.M)
    )
    for field in ("otelbridge.uncaught", "otelbridge.fingerprint", "otelbridge.traceback.clean"):
        assert record.attributes[field]
    minimal = record.attributes["otelbridge.traceback.minimal"]
    # The line in the document counts from the program's first line.
    assert minimal == shown["otelbridge.traceback.minimal"]


def test_the_three_forms(tmp_path: Path) -> None:
    ended = run(FORMS, tmp_path)
    assert ended.code == 0, ended.err
    assert ended.out.count("Traceback (most recent call last)") == 2
    assert ended.out.count("decoder.py") > 0
    assert re.search(r"^orders\.py:\d+ in load - json\.decoder\.JSONDecodeError: ", ended.out, re.M)


def test_what_is_excluded(otlp_receiver: OTLPReceiver, tmp_path: Path) -> None:
    ended = run(EXCLUDING, tmp_path, otlp_receiver)
    assert ended.code == 0, ended.err
    assert [log.item.body.string_value for log in otlp_receiver.logs] == ["sent"]


def test_the_terminal(tmp_path: Path) -> None:
    ended = run(BACKLIGHT, tmp_path)
    assert ended.code == 1
    assert "json.decoder.JSONDecodeError" in ended.err
    assert "\x1b" not in ended.err


def test_every_outcome_that_is_listed_exists_and_no_other() -> None:
    from typing import get_args

    from otelbridge.lifecycle import Outcome

    section = DOCUMENT.read_text().partition("`otelbridge.process.outcome` |")[2]
    listed = re.findall(r"^\| `([a-z]+)` \|", section, re.M)
    assert set(listed) == set(get_args(Outcome))
