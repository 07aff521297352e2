"""The command line as a whole: help, versions, mistakes, completion."""

import os
import subprocess
import sys

import pytest

import otelbridge
from otelbridge.cli import COMMANDS, main


def test_help_names_every_command_and_shows_examples(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in said
    assert "otelbridge search 'log.level: ERROR' --range 1h" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name, capsys):
    assert main([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Examples:" in said
    assert f"otelbridge {name}" in said


def test_version(capsys):
    assert main(["--version"]) == 0
    assert otelbridge.__version__ in capsys.readouterr().out


def test_an_unknown_command_is_a_usage_error(capsys):
    assert main(["watch"]) == 2
    assert "No such command 'watch'" in capsys.readouterr().err


def test_a_wrong_option_value_is_one_line_naming_the_option_and_what_is_allowed(capsys):
    assert main(["serve", "--web-port", "http"]) == 2
    assert capsys.readouterr().err == (
        "otelbridge: --web-port is 'http'; allowed: a whole number from 0 to 65535\n"
    )


def test_a_wrong_variable_is_one_line_naming_the_variable(capsys, monkeypatch):
    monkeypatch.setenv("OTELBRIDGE_RETENTION", "soon")
    assert main(["serve"]) == 2
    assert capsys.readouterr().err == (
        "otelbridge: OTELBRIDGE_RETENTION is 'soon';"
        " allowed: a duration such as 500ms, 5s, 15m, 3h or 7d\n"
    )


def test_serve_without_the_bridge_extra_says_what_to_install():
    # A name that is None in sys.modules cannot be imported, as if it were not installed.
    code = "import sys; sys.modules['uvicorn'] = None; sys.modules['starlette'] = None\n"
    code += "from otelbridge.cli import main; sys.exit(main(['serve', '--web-port', '0']))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'otelbridge[bridge]'" in done.stderr


def test_help_imports_neither_the_bridge_nor_the_sdk():
    code = (
        "import sys; from otelbridge.cli import main; main(['--help']);"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " {'grpc', 'starlette', 'uvicorn', 'sqlite3', 'flask'}"
        " or name.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def complete(words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "otelbridge"],
        env={
            **os.environ,
            "_OTELBRIDGE_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("otelbridge se", ["serve", "setup", "search"]),
        ("otelbridge serve --web", ["--web-port"]),
        ("otelbridge run --sinks otlp,u", ["otlp,udp"]),
        ("otelbridge run --otlp-protocol http/", ["http/protobuf", "http/json"]),
        ("otelbridge search --range 1", ["15m", "1h", "1d"]),
        ("otelbridge run gun", ["gunicorn"]),
    ],
)
def test_tab_completes_what_is_half_typed(typed, offered):
    assert complete(typed) == offered
