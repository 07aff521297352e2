"""``otelbridge user``, and what ``serve`` makes of users."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time

import httpx
import pytest

from otelbridge.cli import main

PASSWORD = "correct horse battery"


@pytest.fixture
def user(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("OTELBRIDGE_STORE", f"sqlite:///{tmp_path}/store.db")

    def run(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code = main(["user", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_users_are_added_listed_and_removed(user, tmp_path):
    assert user("add", "ada", typed=f"{PASSWORD}\n") == (0, "ada may sign in\n", "")
    assert user("add", "bob", typed=f"{PASSWORD}\n")[0] == 0
    assert user("add", "ada", typed="another password\n") == (0, "ada has another password\n", "")
    assert user("list") == (0, "ada\nbob\n", "")
    assert user("remove", "bob") == (0, "bob may not sign in any more\n", "")
    assert user("list") == (0, "ada\n", "")
    assert (tmp_path / "store.db.state" / "users.json").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "ada"), "otelbridge: a password has 8 to 1,024 characters\n"),
        (("add", "a:b"), "otelbridge: a name has up to 100 characters that print, and no colon\n"),
        (("remove", "ada"), "otelbridge: there is no user 'ada'; there are: none\n"),
    ],
)
def test_what_cannot_be_done_is_one_line(user, arguments, says):
    assert user(*arguments, typed="short\n") == (1, "", says)


def serve(folder, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    ports = {f"OTELBRIDGE_{name}_PORT": "0" for name in ("GRPC", "HTTP", "WEB", "UDP")}
    return subprocess.Popen(
        [sys.executable, "-m", "otelbridge", "serve", *arguments],
        env={**os.environ, **ports, "OTELBRIDGE_STORE": f"sqlite:///{folder}/store.db", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_bridge_on_the_network_with_users_needs_no_token_and_tells_senders_theirs(user, tmp_path):
    user("add", "ada", typed=f"{PASSWORD}\n")
    with serve(tmp_path, "--host", "0.0.0.0") as bridge:
        try:
            said = {}
            for line in bridge.stdout:
                name, _, text = line.strip().partition("  ")
                said[name] = text.strip()
                if "OTLP_HEADERS" in line:
                    break
            web = said["open"].rstrip("/")
            port = web.rpartition(":")[2]
            local = f"http://127.0.0.1:{port}"
            refused = httpx.get(f"{local}/logs.json", timeout=30)
            answered = httpx.get(f"{local}/logs.json", auth=("ada", PASSWORD), timeout=30)
            token = line.rpartition("%20")[2].strip()
            otlp = f"http://127.0.0.1:{said['OTLP/HTTP'].rpartition(':')[2]}/v1/logs"
            sent = httpx.post(
                otlp,
                content=b"{}",
                headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
                timeout=30,
            )
        finally:
            bridge.terminate()
            bridge.communicate(timeout=30)

    assert "token" not in web
    assert said["users"] == "ada"
    assert (refused.status_code, answered.status_code, sent.status_code) == (401, 200, 200)


def test_quiet_says_nothing(tmp_path):
    with serve(tmp_path, "--quiet") as bridge:
        # It has nothing to say that it is ready: its lock on the store is there when it is.
        while not (tmp_path / "store.db.lock").exists():
            assert bridge.poll() is None
            time.sleep(0.05)
        bridge.terminate()
        out, err = bridge.communicate(timeout=60)

    assert (out, err) == ("", "")


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"OTELBRIDGE_QUIET": "true", "OTELBRIDGE_HOST": "0.0.0.0"}, "would be told nobody"),
        ({"OTELBRIDGE_LOGIN": "ada"}, "set together"),
        ({"OTELBRIDGE_CHANNELS": "nowhere.Pager"}, "OTELBRIDGE_CHANNELS: cannot import nowhere"),
        ({"OTELBRIDGE_CHANNELS": "pathlib.Path"}, "is not a subclass of"),
        ({"OTELBRIDGE_ALARM_RULES": "cpu"}, "OTELBRIDGE_ALARM_RULES: cpu: cpu needs above"),
    ],
)
def test_a_wrong_option_ends_it_at_once_with_one_line(tmp_path, environ, says):
    with serve(tmp_path, **environ) as bridge:
        out, err = bridge.communicate(timeout=60)

    assert (bridge.returncode, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1
