"""Every way an error can end a program, or part of it, with nobody catching it.

Each program runs twice, without otelbridge and with it: what it prints and how it ends must be the
same. Then what arrived at a real receiver is looked at.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from otlp_receiver import OTLPReceiver, Received
from programs import Ended, environment, run_program, start_program

START = "import otelbridge; otelbridge.instrument()"
# A port that refuses connections.
NOWHERE = "http://127.0.0.1:9"


def sending(receiver: OTLPReceiver) -> dict[str, str]:
    """Send there, and take the time that takes on a machine that is busy."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http,
        "OTELBRIDGE_SHUTDOWN_TIMEOUT": "30s",
    }


def both(program: str, receiver: OTLPReceiver, **environ: str) -> Ended:
    """Run a program without us and with us, as a file; it must not notice."""
    program = textwrap.dedent(program)
    without = run_program(program.replace(START, "pass"))
    with_us = run_program(program, **sending(receiver), **environ)
    assert with_us.code == without.code, with_us.err
    assert with_us.out == without.out
    assert unaddressed(with_us.err) == unaddressed(without.err)
    return with_us


def unaddressed(text: str) -> str:
    # From Python 3.12 on a fork warns where any thread runs; ours do.
    text = re.sub(
        r"^.*DeprecationWarning: This process .* is multi-threaded.*\n(?:  (?!File).*\n)?",
        "",
        text,
        count=1,
    )
    return re.sub(r"0x[0-9a-f]+|-\d+\b", "…", text)


def the_error(receiver: OTLPReceiver, logger: str) -> Received:
    """The one record of this logger."""
    [found] = [record for record in receiver.logs if record.scope == logger]
    assert found.attributes["otelbridge.uncaught"] is True
    assert len(found.attributes["otelbridge.fingerprint"]) == 16
    return found


RAISE = """
def pay():
    raise ValueError("no such order")
"""


def test_in_the_main_thread(otlp_receiver: OTLPReceiver) -> None:
    ended = both(f"{START}\n{RAISE}\nprint('before')\npay()", otlp_receiver)
    assert ended.code == 1
    assert ended.out == "before\n"
    assert ended.err.endswith("ValueError: no such order\n")
    record = the_error(otlp_receiver, "sys.excepthook")
    assert record.item.severity_text == "CRITICAL"
    assert record.item.body.string_value == "Uncaught ValueError: no such order"
    assert record.attributes["exception.type"] == "ValueError"
    assert record.attributes["exception.message"] == "no such order"
    assert record.attributes["exception.stacktrace"] + "\n" == ended.err
    assert record.attributes["code.function.name"] == "pay"
    assert re.fullmatch(
        r"<string>:\d+ in pay - ValueError: no such order",
        record.attributes["otelbridge.traceback.minimal"],
    )


def test_the_hook_that_was_there_before_is_called(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import sys
    sys.excepthook = lambda kind, error, frames: print("mine:", error)
    {START}
    raise ValueError("x")
    """
    ended = both(program, otlp_receiver)
    assert (ended.code, ended.out, ended.err) == (1, "mine: x\n", "")
    the_error(otlp_receiver, "sys.excepthook")


def test_a_hook_set_later_that_forgets_us_hides_nothing(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import sys
    {START}
    sys.excepthook = lambda kind, error, frames: print("mine:", error)
    raise ValueError("x")
    """
    assert both(program, otlp_receiver).out == "mine: x\n"
    record = the_error(otlp_receiver, "sys.excepthook")
    assert record.item.severity_text == "CRITICAL"


def test_a_hook_that_fails_is_the_programs_own_affair(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import sys
    def broken(kind, error, frames):
        raise RuntimeError("broken hook")
    sys.excepthook = broken
    {START}
    raise ValueError("x")
    """
    without = run_program(textwrap.dedent(program).replace(START, "pass"))
    with_us = run_program(program, **sending(otlp_receiver))
    assert (with_us.code, with_us.out) == (without.code, without.out)
    assert "Error in sys.excepthook:" in with_us.err
    assert the_error(otlp_receiver, "sys.excepthook").attributes["exception.type"] == "ValueError"


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('bye')", 1),
        ("raise SystemExit(4)", 4),
        ("pass", 0),
    ],
)
def test_an_exit_is_no_error(ending: str, code: int, otlp_receiver: OTLPReceiver) -> None:
    ended = both(f"import sys\n{START}\n{ending}", otlp_receiver)
    assert ended.code == code
    assert otlp_receiver.logs == []


def test_an_interrupt_is_no_error(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import os, signal
    {START}
    os.kill(os.getpid(), signal.SIGINT)
    """
    ended = both(program, otlp_receiver)
    # Killed by the signal, so that a shell's loop ends too.
    assert ended.code == -signal.SIGINT
    assert ended.err.endswith("KeyboardInterrupt\n")
    assert otlp_receiver.logs == []


def test_in_a_thread(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import threading
    {START}
    {RAISE.replace(chr(10), chr(10) + "    ")}
    worker = threading.Thread(target=pay, name="worker-1")
    worker.start()
    worker.join()
    print("goes on")
    """
    ended = both(program, otlp_receiver)
    assert (ended.code, ended.out) == (0, "goes on\n")
    record = the_error(otlp_receiver, "threading.excepthook")
    assert record.item.severity_text == "ERROR"
    assert record.item.body.string_value == "Uncaught ValueError in thread worker-1: no such order"
    assert record.attributes["thread.name"] == "worker-1"


def test_threads_can_be_left_out(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import threading
    {START}
    worker = threading.Thread(target=lambda: 1 / 0, name="w")
    worker.start()
    worker.join()
    raise ValueError("x")
    """
    both(program, otlp_receiver, OTELBRIDGE_CATCH="main,asyncio")
    assert [record.scope for record in otlp_receiver.logs] == ["sys.excepthook"]


def test_a_thread_that_exits_is_no_error(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import sys, threading
    {START}
    worker = threading.Thread(target=sys.exit, args=(3,))
    worker.start()
    worker.join()
    """
    assert both(program, otlp_receiver).code == 0
    assert otlp_receiver.logs == []


def test_a_task_that_nobody_awaits(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import asyncio
    {START}
    async def fail():
        raise ValueError("lost")
    async def main():
        asyncio.create_task(fail())
        await asyncio.sleep(0.05)
    asyncio.run(main())
    """
    both(program, otlp_receiver)
    record = the_error(otlp_receiver, "asyncio")
    assert record.item.severity_text == "ERROR"
    assert record.attributes["exception.message"] == "lost"


def test_a_task_that_is_kept_to_the_end_and_never_awaited(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import asyncio
    {START}
    kept = []
    async def fail():
        raise ValueError("lost")
    async def main():
        kept.append(asyncio.create_task(fail(), name="import"))
        await asyncio.sleep(0.05)
    asyncio.run(main())
    print("end")
    """
    both(program, otlp_receiver)
    record = the_error(otlp_receiver, "asyncio")
    assert record.item.body.string_value == "Uncaught ValueError in task import: lost"


def test_the_programs_own_handler_of_a_loop_is_called_as_before(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = f"""
    import asyncio
    {START}
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: print("mine:", context["exception"]))
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.05)
    asyncio.run(main())
    """
    assert both(program, otlp_receiver).out == "mine: division by zero\n"
    assert the_error(otlp_receiver, "asyncio").attributes["exception.type"] == "ZeroDivisionError"


def test_an_awaited_task_that_fails_is_the_callers_error(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import asyncio
    {START}
    async def fail():
        raise ValueError("x")
    async def main():
        try:
            await asyncio.create_task(fail())
        except ValueError:
            print("caught")
        await asyncio.create_task(fail())
    asyncio.run(main())
    """
    assert both(program, otlp_receiver).out == "caught\n"
    [record] = otlp_receiver.logs
    assert record.scope == "sys.excepthook"


def test_in_a_finalizer(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    {START}
    class Basket:
        def __del__(self):
            raise ValueError("empty")
    Basket()
    print("goes on")
    """
    assert both(program, otlp_receiver).out == "goes on\n"
    record = the_error(otlp_receiver, "sys.unraisablehook")
    assert record.item.body.string_value == "Uncaught ValueError ignored in Basket.__del__: empty"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_in_a_process_of_multiprocessing(
    method: str, otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    script = tmp_path / "jobs.py"
    program = f"""
    import multiprocessing, os
    {START}
    def job():
        raise ValueError("no such order")
    if __name__ == "__main__":
        worker = multiprocessing.get_context("{method}").Process(target=job, name="job-1")
        worker.start()
        worker.join()
        print(worker.exitcode, worker.pid)
    """
    script.write_text(textwrap.dedent(program))
    ended = run_file(script, **sending(otlp_receiver))
    code, pid = ended.out.split()
    assert code == "1"
    script.write_text(textwrap.dedent(program).replace(START, "pass"))
    assert unaddressed(run_file(script).err) == unaddressed(ended.err)
    record = the_error(otlp_receiver, "multiprocessing")
    assert record.item.severity_text == "CRITICAL"
    assert record.item.body.string_value.startswith("Uncaught ValueError in process ")
    assert record.resource["process.pid"] == int(pid)


def run_file(script: Path, **environ: str) -> Ended:
    """Run a program that spawned children can import."""
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment(environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr, 0.0)


def test_in_a_forked_child(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import os
    {START}
    child = os.fork()
    if not child:
        raise ValueError("in the child")
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert both(program, otlp_receiver).out == "1\n"
    record = the_error(otlp_receiver, "sys.excepthook")
    assert record.attributes["exception.message"] == "in the child"


def test_in_a_future_whose_result_nobody_asks_for(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    from concurrent.futures import ThreadPoolExecutor
    {START}
    def fail(text):
        raise ValueError(text)
    kept = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(fail, "thrown away")
        kept.append(pool.submit(fail, "kept"))
        asked = pool.submit(fail, "asked for")
        try:
            asked.result()
        except ValueError as error:
            print(error)
        looked_at = pool.submit(fail, "looked at")
        print(looked_at.exception())
    """
    assert both(program, otlp_receiver).out == "asked for\nlooked at\n"
    lost = [log.attributes["exception.message"] for log in otlp_receiver.logs]
    assert sorted(lost) == ["kept", "thrown away"]
    assert {log.scope for log in otlp_receiver.logs} == {"concurrent.futures"}


def test_a_futures_error_that_ends_the_program_prints_as_before(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = f"""
    from concurrent.futures import ThreadPoolExecutor
    {START}
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: 1 / 0).result()
    """
    assert both(program, otlp_receiver).code == 1
    assert [record.scope for record in otlp_receiver.logs] == ["sys.excepthook"]


def test_the_error_belongs_to_the_span_in_which_it_was_raised(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    from opentelemetry import trace
    {START}
    tracer = trace.get_tracer("shop")
    with tracer.start_as_current_span("order"):
        with tracer.start_as_current_span("pay"):
            raise ValueError("x")
    """
    run_program(program, **sending(otlp_receiver))
    record = the_error(otlp_receiver, "sys.excepthook")
    spans = {span.item.name: span.item for span in otlp_receiver.traces}
    assert record.item.span_id == spans["pay"].span_id
    assert record.item.trace_id == spans["pay"].trace_id
    assert [event.name for event in spans["pay"].events] == ["exception"]


def test_a_span_that_is_current_gets_an_event(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    from opentelemetry import trace
    {START}
    class Basket:
        def __del__(self):
            raise ValueError("empty")
    with trace.get_tracer("shop").start_as_current_span("order"):
        Basket()
    """
    run_program(program, **sending(otlp_receiver))
    [span] = otlp_receiver.traces
    [event] = span.item.events
    assert event.name == "exception"
    assert the_error(otlp_receiver, "sys.unraisablehook").item.span_id == span.item.span_id


def test_a_span_that_ends_well_while_an_error_is_handled_is_not_its_span(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = f"""
    from opentelemetry import trace
    {START}
    tracer = trace.get_tracer("shop")
    try:
        raise ValueError("x")
    except ValueError:
        with tracer.start_as_current_span("roll back"):
            pass
        raise
    """
    run_program(program, **sending(otlp_receiver))
    assert the_error(otlp_receiver, "sys.excepthook").item.span_id == b""


@pytest.mark.parametrize(
    "failing",
    [
        "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError('no text')",
        """class Odd(Exception):
    def __getattribute__(self, name):
        if name in {'__cause__', '__context__', '__dict__'}:
            raise RuntimeError(name)
        return super().__getattribute__(name)""",
        "class Odd(Exception):\n    __slots__ = ()\n    __module__ = None",
        "class Odd(Exception):\n    def __setattr__(self, *_):\n        raise RuntimeError('no')",
    ],
    ids=["its text", "its attributes", "its module", "setting an attribute"],
)
def test_an_exception_that_fails_itself(failing: str, otlp_receiver: OTLPReceiver) -> None:
    both(f"{START}\n{failing}\nraise Odd('x')", otlp_receiver)
    record = the_error(otlp_receiver, "sys.excepthook")
    assert record.attributes["exception.type"].endswith("Odd")


def test_endless_recursion(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    {START}
    def down():
        return down()
    down()
    """
    assert both(program, otlp_receiver).code == 1
    record = the_error(otlp_receiver, "sys.excepthook")
    assert record.attributes["exception.type"] == "RecursionError"


def test_a_text_of_ten_megabytes(otlp_receiver: OTLPReceiver) -> None:
    both(f"{START}\nraise ValueError('x' * 10_000_000)", otlp_receiver)
    record = the_error(otlp_receiver, "sys.excepthook")
    # OTELBRIDGE_VALUE_MAX_CHARS, and a mark.
    assert 500_000 < len(record.attributes["exception.message"]) < 600_000


def test_a_crash_is_delivered_later_where_the_destination_is_away(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = f"{START}\nraise ValueError('kept')"
    ended = run_program(
        program, OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE, OTELBRIDGE_SHUTDOWN_TIMEOUT="2s"
    )
    assert ended.code == 1
    assert ended.seconds < 30
    # The next process of the service finds it.
    following = start_program(
        f"{START}\nimport logging, sys; logging.warning('on'); sys.stdin.readline()",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
    )
    record = otlp_receiver.log("Uncaught ValueError: kept")
    following.communicate("\n", timeout=60)
    assert record.attributes["otelbridge.uncaught"] is True


def test_a_destination_that_stalls_holds_up_no_end_for_long(otlp_receiver: OTLPReceiver) -> None:
    otlp_receiver.delay = 60.0
    program = f"""
    import logging
    {START}
    for number in range(20):
        logging.error("failed", exc_info=ValueError(number))
    raise ValueError("the last one")
    """
    ended = run_program(
        program,
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTELBRIDGE_SHUTDOWN_TIMEOUT="1s",
    )
    assert ended.code == 1
    assert ended.seconds < 40


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_every_error_of_several_workers_under_one_name(
    method: str, otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    script = tmp_path / "jobs.py"
    program = f"""
    import logging, multiprocessing
    {START}
    def job(number):
        for error in range(3):
            logging.error("failed", exc_info=KeyError(f"{{number}}.{{error}}"))
        raise ValueError(number)
    if __name__ == "__main__":
        context = multiprocessing.get_context("{method}")
        workers = [context.Process(target=job, args=(number,)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    """
    script.write_text(textwrap.dedent(program))
    ended = run_file(script, OTEL_SERVICE_NAME="jobs", **sending(otlp_receiver))
    assert ended.code == 0, ended.err
    messages = [log.attributes["exception.message"] for log in otlp_receiver.logs]
    logged = [repr(f"{worker}.{error}") for worker in range(4) for error in range(3)]
    assert sorted(messages) == sorted([*logged, *"0123"])
    assert {log.resource["service.name"] for log in otlp_receiver.logs} == {"jobs"}
    assert len({log.resource["process.pid"] for log in otlp_receiver.logs}) == 4


def test_switched_off_means_off(otlp_receiver: OTLPReceiver) -> None:
    program = f"""
    import sys, threading
    {START}
    print(sys.excepthook is sys.__excepthook__, threading.excepthook is threading.__excepthook__)
    """
    assert both(program.replace("print", "0 or print"), otlp_receiver, OTELBRIDGE_CATCH="none")
    ended = run_program(program, OTEL_SDK_DISABLED="true")
    assert ended.out == "True True\n"
