"""``otelbridge run``: what it hands to the command."""

import json
import os
import re
import subprocess
import sys
import venv

import pytest

from otelbridge.commands.run import guess_service_name

SHOW = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], sys.stdout)"


def run(*arguments, environ=None, cwd=None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otelbridge", "run", *arguments],
        env={**os.environ, "OTEL_SDK_DISABLED": "true", **(environ or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("gunicorn shop:app", "shop"),
        ("gunicorn --workers 4 --bind 0.0.0.0:80 shop.web:app", "web"),
        ("gunicorn -b 127.0.0.1:5000 shop:make_app()", "shop"),
        ("flask --app shop run", "shop"),
        ("flask --app=shop/web.py run", "web"),
        ("flask -A shop:app run", "shop"),
        ("python script.py --fast", "script"),
        ("python3.12 -X dev jobs/nightly.py", "nightly"),
        ("python -m worker.main", "main"),
        ("script.py", "script"),
        ("celery worker", "celery"),
        ("celery -A shop.tasks worker --loglevel INFO", "tasks"),
        ("celery --app=shop.celery beat", "shop"),
        ("uvicorn --port 80 shop:app", "shop"),
        ("python -m uvicorn shop:app", "shop"),
        ("gunicorn shop.wsgi", "shop"),
        ("uvicorn shop.asgi:application", "shop"),
        ("python manage.py runserver", ""),
    ],
)
def test_a_service_is_named_for_what_runs(line, name):
    assert guess_service_name(line.split(), {}) == name


def test_flask_is_named_by_its_variable_or_its_usual_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert guess_service_name(["flask", "run"], {"FLASK_APP": "shop.py"}) == "shop"
    assert guess_service_name(["flask", "run"], {}) == "app"
    (tmp_path / "wsgi.py").touch()
    assert guess_service_name(["flask", "run"], {}) == "wsgi"


def test_options_become_variables_and_the_command_keeps_its_own():
    done = run("--sinks", "udp", "--service-name", "shop", sys.executable, "-c", SHOW, "--sinks=x")
    arguments, environ = json.loads(done.stdout)
    assert arguments == ["--sinks=x"]
    assert environ["OTELBRIDGE_SINKS"] == "udp"
    assert environ["OTEL_SERVICE_NAME"] == "shop"


def test_a_name_given_the_standard_ways_is_kept():
    by_variable = run(sys.executable, "-c", SHOW, environ={"OTEL_SERVICE_NAME": "mine"})
    assert json.loads(by_variable.stdout)[1]["OTEL_SERVICE_NAME"] == "mine"
    by_attribute = run(
        sys.executable, "-c", SHOW, environ={"OTEL_RESOURCE_ATTRIBUTES": "service.name=mine"}
    )
    assert not json.loads(by_attribute.stdout)[1].get("OTEL_SERVICE_NAME")


def test_the_exit_code_is_the_commands_own():
    assert run(sys.executable, "-c", "raise SystemExit(7)").returncode == 7


def test_a_script_need_not_be_executable(tmp_path):
    script = tmp_path / "job.py"
    script.write_text("print('done')")
    assert run(str(script)).stdout == "done\n"


def test_a_command_that_does_not_exist_is_one_line_and_127():
    done = run("no-such-command")
    assert (done.returncode, done.stderr) == (127, "otelbridge: no command 'no-such-command'\n")


def test_a_wrong_setting_is_said_before_the_command_starts():
    done = run("--sinks", "pigeon", sys.executable, "-c", "print('ran')")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--sinks is 'pigeon'" in done.stderr


def test_a_sitecustomize_of_the_users_own_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.MINE = 'kept'")
    done = run(sys.executable, "-c", "print(MINE)", environ={"PYTHONPATH": str(tmp_path)})
    assert done.stdout == "kept\n"


def test_a_python_without_otelbridge_runs_the_command_and_says_so(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    done = run(str(tmp_path / "bare" / "bin" / "python"), "-c", "print('ran')")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "has no otelbridge; the command runs without it." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_list_says_what_is_instrumented_and_what_would_be():
    done = run("--list", environ={"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "sqlite3"})
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert done.returncode == 0
    assert re.fullmatch(
        r"requests +[\d.]+ +opentelemetry-instrumentation-requests 0\.\S+ +on", lines["requests"]
    )
    assert lines["sqlite3"].endswith("off: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
    assert "pip install 'opentelemetry-instrumentation-click==" in lines["click"]
    assert lines["click"].endswith("off: not installed")
