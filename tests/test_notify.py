"""Telling people from a program: what is sent, when it ends, and when nothing is set."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest

from tests.channels.services import (
    DISCORD_ID,
    DISCORD_TOKEN,
    TELEGRAM_TOKEN,
    DiscordService,
    Service,
    TelegramService,
)

# How long a program's end may wait for a service that does not answer.
BRIEFLY = {"OTELBRIDGE_SHUTDOWN_TIMEOUT": "1s"}


@pytest.fixture
def hook() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def run(tmp_path):
    """Run a program with its own folder for what waits."""

    def start(program: str, notify: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        variables = {
            **os.environ,
            "OTELBRIDGE_SPOOL_DIR": str(tmp_path / "spool"),
            "OTELBRIDGE_NOTIFY": notify,
            "OTEL_SERVICE_NAME": "shop",
            "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",
            "PYTHONPATH": str(tmp_path),
            **environ,
        }
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env=variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return start


def test_a_message_is_sent_though_the_program_ends_at_once(run, hook):
    done = run("import otelbridge; otelbridge.send('the import is through\\nall of it')", hook.base)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (request,) = hook.taken
    assert request.fields["project"] == "shop"
    assert request.fields["title"] == "the import is through"
    assert request.fields["text"] == "all of it"


def test_an_error_is_sent_in_the_form_each_destination_asks_for(run, hook, tmp_path):
    file = tmp_path / "alarms.log"
    program = """
        import otelbridge
        def pay():
            raise ValueError('no such order')
        try:
            pay()
        except ValueError as error:
            otelbridge.send(error=error)
    """

    done = run(program, f"{hook.base}#traceback=full file:{file}?traceback=minimal&authors=@ada")

    assert (done.returncode, done.stderr) == (0, "")
    (request,) = hook.taken
    assert request.fields["severity"] == "error"
    assert request.fields["title"] == "ValueError: no such order"
    assert request.fields["traceback"].startswith("Traceback (most recent call last)")
    lines = file.read_text().splitlines()
    assert lines[0].endswith("ERROR shop: ValueError: no such order")
    assert "in pay - ValueError: no such order" in lines[1]
    assert lines[2] == "    For: @ada"


def test_an_error_nobody_caught_reaches_people_once_and_the_program_ends_as_it_would(
    run, hook, tmp_path
):
    program = """
        import logging, otelbridge
        otelbridge.instrument()
        def pay():
            raise ValueError('no such order') from KeyError('k')
        for _ in range(3):
            try:
                pay()
            except ValueError:
                logging.getLogger('shop').exception('while paying')
        pay()
    """

    file = str(tmp_path / "log.jsonl")
    done = run(program, hook.base, OTELBRIDGE_SINKS="file", OTELBRIDGE_FILE=file)

    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: no such order\n")
    first, *rest = (request.fields for request in hook.taken)
    assert first["title"] == "ValueError: no such order"
    assert first["project"] == "shop"
    assert first["severity"] == "error"
    assert "in pay" in first["traceback"]
    assert first["key"]
    assert {one["key"] for one in rest} <= {first["key"]}
    assert sum(1 + one["more"] for one in (first, *rest)) == 4


def test_messages_go_to_telegram_discord_and_a_class_of_ones_own(run, tmp_path):
    (tmp_path / "pager.py").write_text(
        textwrap.dedent("""
            from dataclasses import dataclass
            from otelbridge.channels import Channel, Message, Receipt, option

            @dataclass(frozen=True, kw_only=True)
            class Pager(Channel):
                kind = "pager"
                number: str = option("the number to page")

                def send(self, message: Message) -> Receipt:
                    print("paged", self.number, message.title)
                    return Receipt(reply="rang")

                async def send_async(self, message: Message) -> Receipt:
                    print("paged gently", self.number, message.title)
                    return Receipt(reply="rang")
        """)
    )
    program = """
        import asyncio, otelbridge
        for one in otelbridge.send('look', timeout=60):
            print(one.destination, one.state, one.reply)
        for one in asyncio.run(otelbridge.send_async('again')):
            print(one.destination, one.state, one.reply)
    """
    with TelegramService() as telegram, DiscordService() as discord:
        done = run(
            program,
            f"telegram://{TELEGRAM_TOKEN}@42?base_url={telegram.base} "
            f"discord://{DISCORD_ID}/{DISCORD_TOKEN}?base_url={discord.base} "
            "class:pager.Pager?number=7&name=pager",
        )

    assert done.stderr == ""
    assert "paged 7 look" in done.stdout
    assert "telegram:42 sent message 1000" in done.stdout
    assert "paged gently 7 again" in done.stdout
    assert done.stdout.count("pager sent rang") == 2
    assert done.stdout.count(f"discord:{DISCORD_ID} sent message") == 2
    assert [r.fields["text"] for r in telegram.taken] == ["shop: look", "shop: again"]
    assert [r.fields["content"] for r in discord.taken] == [
        "**shop\\: look**",
        "**shop\\: again**",
    ]


def test_the_asynchronous_way_does_not_hold_up_the_loop(run, hook):
    hook.hanging.set()
    program = """
        import asyncio, time, otelbridge
        async def main():
            ticks = 0
            async def tick():
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1
            ticking = asyncio.create_task(tick())
            (one,) = await otelbridge.send_async('x', timeout=1)
            print(one.state, one.reason, ticks > 30)
        asyncio.run(main())
    """

    done = run(program, hook.base, OTELBRIDGE_SHUTDOWN_TIMEOUT="300ms")

    assert done.stdout == "queued no answer within 1 s True\n"


def test_what_could_not_be_sent_is_kept_and_sent_by_the_next_run(run, tmp_path):
    with Service() as gone:
        port = gone.port
    url = f"http://127.0.0.1:{port}/"
    started = time.monotonic()

    first = run("import otelbridge; otelbridge.send('kept')", url, **BRIEFLY)
    took = time.monotonic() - started
    with Service(port) as back:
        second = run("import otelbridge, time; otelbridge.send('new', timeout=60)", url)
        titles = [request.fields["title"] for request in back.taken]

    assert first.returncode == second.returncode == 0
    assert took < 30
    assert "kept and sent next time" in first.stderr
    assert titles == ["kept", "new"]


def test_an_instrumented_program_sends_what_an_earlier_run_left_without_a_new_message(
    run, tmp_path
):
    with Service() as gone:
        port = gone.port
    url = f"http://127.0.0.1:{port}/"
    arrived = tmp_path / "arrived"
    program = f"""
        import os, otelbridge, time
        otelbridge.instrument()
        while not os.path.exists({str(arrived)!r}):
            time.sleep(0.05)
    """

    run("import otelbridge; otelbridge.send('kept')", url, **BRIEFLY)
    with Service(port) as back:
        environ = {"OTELBRIDGE_SINKS": "none"}
        waiting = threading.Thread(target=run, args=(program, url), kwargs=environ)
        waiting.start()
        try:
            (request,) = back.wait_for(1)
        finally:
            arrived.touch()
            waiting.join()

    assert request.fields["title"] == "kept"


def test_the_end_waits_for_a_service_that_hangs_no_longer_than_is_allowed(run, hook):
    hook.hanging.set()
    program = """
        import otelbridge
        for n in range(20):
            otelbridge.send(f'error {n}')
    """
    started = time.monotonic()

    done = run(program, hook.base, **BRIEFLY)

    assert done.returncode == 0
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "end",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(30)",
        "raise SystemExit(7)",
        "raise ValueError('nobody caught this')",
    ],
)
def test_a_program_ends_as_it_would_have_ended_and_the_message_is_there(tmp_path, hook, end):
    bare, telling = tmp_path / "bare.py", tmp_path / "telling.py"
    bare.write_text(f"import sys\n\n{end}\n")
    telling.write_text(
        "import otelbridge; otelbridge.send('begun', timeout=60); "
        f"otelbridge.send('about to end')\n\n{end}\n"
    )
    environ = {
        **os.environ,
        "OTELBRIDGE_NOTIFY": hook.base,
        "OTELBRIDGE_SPOOL_DIR": str(tmp_path),
        "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",
    }

    ends = [
        subprocess.run(
            [sys.executable, script], env=environ, capture_output=True, timeout=60, check=False
        )
        for script in (bare, telling)
    ]

    assert ends[0].returncode == ends[1].returncode != 0
    assert ends[0].stderr.replace(b"bare.py", b"telling.py") == ends[1].stderr
    assert [request.fields["title"] for request in hook.taken] == ["begun", "about to end"]


def test_without_destinations_nothing_is_done_and_little_loaded(run):
    done = run(
        "import otelbridge, sys; print(otelbridge.send('x'));"
        "print({'httpx', 'apprise', 'asyncio', 'ssl'} & set(sys.modules))"
    )

    assert done.stdout == "[]\nset()\n"


def test_switched_off_is_off(run, hook):
    done = run(
        "import otelbridge; print(otelbridge.send('x'))", hook.base, OTEL_SDK_DISABLED="true"
    )

    assert done.stdout == "[]\n"
    assert hook.arrived == []


def test_a_wrong_variable_is_named_and_its_secret_is_not(run):
    wrong = "telegram://123:SECRET@5?sound=on"

    done = run("import otelbridge; otelbridge.send('x')", wrong)

    assert (
        "SettingsError: OTELBRIDGE_NOTIFY is ***; number 1: telegram has no 'sound'" in done.stderr
    )
    assert "allowed: token, chat" in done.stderr
    assert "SECRET" not in done.stderr


def test_handing_over_never_raises(run):
    program = """
        from otelbridge import notify
        from otelbridge.channels import Message
        print(notify.post(Message(title='x')))
        print(notify.post(Message(title='y')))
    """

    done = run(program, "class:no.such.Thing")

    assert done.stdout == "[]\n[]\n"
    assert done.returncode == 0
    assert done.stderr.count("cannot import no.such") == 1


def test_secrets_of_the_program_are_masked_wherever_they_stand(run, hook):
    program = """
        import asyncio, otelbridge
        url = 'postgres://shop:hunter2@db/shop'
        def pay():
            raise ValueError(f'cannot reach {url}')
        try:
            pay()
        except ValueError as error:
            otelbridge.send(error=error, timeout=60)
            asyncio.run(otelbridge.send_async('password=hunter2', title=url))
    """

    done = run(program, hook.base)

    assert done.stderr == ""
    assert len(hook.taken) == 2
    assert "cannot reach postgres://***@db/shop" in hook.taken[0].fields["title"]
    assert not any("hunter2" in request.body.decode() for request in hook.taken)


def test_an_argument_wins_over_the_variable(run, hook, tmp_path):
    program = f"""
        from otelbridge import notify, send
        from otelbridge.channels.file import File
        from otelbridge.settings import read_settings
        file = File(path={str(tmp_path / "a.log")!r})
        notify.configure(read_settings(notify=[file]), project='p')
        send('x')
    """

    done = run(program, hook.base)

    assert (done.returncode, done.stderr) == (0, "")
    assert hook.arrived == []
    assert (tmp_path / "a.log").read_text().endswith("INFO p: x\n")


def test_an_argument_that_is_no_destination_is_said(run):
    program = """
        from otelbridge import notify, send
        from otelbridge.settings import read_settings
        notify.configure(read_settings(notify=[5]))
        send('x')
    """

    done = run(program)

    assert "int; allowed: a URL, a Channel or a Destination" in done.stderr
