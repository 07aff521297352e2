"""What a program prints, recorded, while its streams stay what they are."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import otelbridge
from otelbridge.records.streams import capture_output, release_output


class Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def collector():
    handler = Collector()
    logging.root.addHandler(handler)
    level = logging.root.level
    logging.root.setLevel(logging.NOTSET)
    yield handler
    logging.root.removeHandler(handler)
    logging.root.setLevel(level)


class Streams:
    """Real text files in the place of stdout and stderr, captured for the time of a ``with``."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch

    def __enter__(self) -> tuple[io.TextIOWrapper, io.TextIOWrapper]:
        self.files = tuple(
            (self.folder / name).open("w+", encoding="utf-8") for name in ("stdout", "stderr")
        )
        for file, name in zip(self.files, ("stdout", "stderr"), strict=True):
            self.monkeypatch.setattr(sys, name, file)
        capture_output()
        return self.files

    def __exit__(self, *exc_info: object) -> None:
        release_output()
        self.monkeypatch.undo()
        for file in self.files:
            file.close()


@pytest.fixture
def streams(tmp_path, monkeypatch):
    return Streams(tmp_path, monkeypatch)


def content(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def test_every_printed_line_is_written_and_recorded(streams, collector):
    with streams as (out, err):
        print("hello", 7)
        print("two\nlines")
        print("trouble", file=sys.stderr)

        assert content(out) == "hello 7\ntwo\nlines\n"
        assert content(err) == "trouble\n"
        assert [(r.name, r.levelname, r.getMessage()) for r in collector.records] == [
            ("stdout", "INFO", "hello 7"),
            ("stdout", "INFO", "two"),
            ("stdout", "INFO", "lines"),
            ("stderr", "WARNING", "trouble"),
        ]


def test_the_record_names_the_line_of_code_that_printed(streams, collector):
    with streams:
        print("here")

        assert collector.records[0].pathname == __file__
        assert (
            collector.records[0].funcName == "test_the_record_names_the_line_of_code_that_printed"
        )


def test_the_stream_is_the_object_it_was(streams):
    with streams as (out, _):
        assert sys.stdout is out
        assert type(sys.stdout) is io.TextIOWrapper
        assert sys.stdout.fileno() == out.fileno()
        assert sys.stdout.encoding == "utf-8"
        assert sys.stdout.isatty() is False
        assert sys.stdout.buffer is out.buffer
        assert sys.stdout.write("four") == 4
        with pytest.raises(TypeError):
            sys.stdout.write(b"bytes")


def test_a_subprocess_can_write_to_it(streams):
    with streams as (out, _):
        subprocess.run([sys.executable, "-c", "print('child')"], stdout=sys.stdout, check=True)

        assert content(out) == "child\n"


def test_writelines_is_recorded_too(streams, collector):
    with streams:
        sys.stdout.writelines(["a\n", "b", "c\n"])

        assert collector.messages == ["a", "bc"]


def test_a_line_written_in_pieces_is_one_record(streams, collector):
    with streams:
        print("a", end="")
        print("b", end="")
        assert collector.messages == []
        print()

        assert collector.messages == ["ab"]


def test_an_unfinished_line_is_recorded_on_release(streams, collector):
    with streams as (out, _):
        print("no end", end="")
        release_output()
        print("not recorded")

        assert collector.messages == ["no end"]
        assert content(out) == "no endnot recorded\n"


def test_blank_lines_and_colours_are_not_recorded(streams, collector):
    with streams as (out, _):
        print("\n  \n\x1b[1;31mred\x1b[0m")

        assert collector.messages == ["red"]
        assert content(out) == "\n  \n\x1b[1;31mred\x1b[0m\n"


def test_of_a_progress_bar_its_last_state_is_recorded(streams, collector):
    with streams:
        for percent in range(0, 101, 10):
            print(f"\r{percent}%", end="")
        print()
        print("windows\r")

        assert collector.messages == ["100%", "windows"]


def test_a_line_that_never_ends_is_recorded_in_pieces(streams, collector):
    with streams:
        for _ in range(200):
            print("x" * 1000, end="")

        assert len(collector.messages) == 3
        assert all(len(message) <= 70_000 for message in collector.messages)


def test_threads_do_not_mix_their_lines(streams, collector):
    with streams:
        barrier = threading.Barrier(4)

        def work(name: str) -> None:
            barrier.wait()
            for number in range(200):
                print(name, number, "x" * 20)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        expected = {f"{name} {number} {'x' * 20}" for name in "abcd" for number in range(200)}
        assert len(collector.messages) == 800
        assert set(collector.messages) == expected


def test_a_console_handler_is_not_recorded_and_does_not_repeat_what_was_printed(streams, collector):
    with streams as (out, err):
        for handler in (logging.StreamHandler(sys.stderr), otelbridge.ConsoleHandler(sys.stdout)):
            logging.root.addHandler(handler)
            handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        try:
            print("printed")
            print("to stderr", file=sys.stderr)
            logging.getLogger("shop").info("logged")
        finally:
            del logging.root.handlers[-2:]

        assert collector.messages == ["printed", "to stderr", "logged"]
        assert content(out) == "printed\nINFO logged\n"
        assert content(err) == "to stderr\nINFO logged\n"


def test_a_handler_that_prints_or_fails_does_not_recurse(streams, collector):
    with streams as (out, err):

        class Noisy(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                print("noise")
                raise RuntimeError("broken handler")

            def handle(self, record: logging.LogRecord) -> bool:
                try:
                    self.emit(record)
                except RuntimeError:
                    self.handleError(record)
                return True

        logging.root.addHandler(Noisy())
        try:
            print("printed")
        finally:
            del logging.root.handlers[-1:]

        assert collector.messages == ["printed"]
        assert content(out) == "printed\nnoise\n"
        assert "RuntimeError: broken handler" in content(err)


def test_capturing_twice_records_once(streams, collector):
    with streams:
        capture_output()
        print("once")
        release_output()
        print("never")

        assert collector.messages == ["once"]


def test_one_stream_can_be_left_alone_and_levels_chosen(monkeypatch, collector):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    capture_output(stdout=None, stderr=logging.ERROR)
    print("out")
    print("err", file=sys.stderr)
    release_output()

    assert [(r.levelname, r.getMessage()) for r in collector.records] == [("ERROR", "err")]


def test_what_the_program_redirects_is_not_recorded(streams, collector):
    with streams:
        with contextlib.redirect_stdout(io.StringIO()) as elsewhere:
            print("redirected")

        assert collector.messages == []
        assert elsewhere.getvalue() == "redirected\n"


def test_a_stream_that_fails_fails_as_before_and_nothing_is_recorded(monkeypatch, collector):
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Broken())
    capture_output(stderr=None)
    with pytest.raises(BrokenPipeError):
        print("lost")
    release_output()

    assert collector.messages == []


def test_a_stream_that_cannot_be_captured_is_left_as_it_is(monkeypatch, collector):
    class Fixed:
        __slots__ = ()

        def write(self, text: str) -> int:
            return len(text)

    monkeypatch.setattr(sys, "stdout", Fixed())
    capture_output(stderr=None)
    print("works")
    release_output()

    assert collector.messages == ["Fixed cannot be captured: its write cannot be replaced"]


def test_no_stdout_at_all_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    capture_output()
    release_output()

    assert sys.stdout is None


def test_a_forked_child_does_not_finish_its_parents_line(streams, collector):
    with streams as (out, _):
        print("parent", end="")
        out.flush()
        child = os.fork()
        if child == 0:
            release_output()
            # Whatever else of this process has a word to say after a fork is not the line.
            os._exit(sum(record.name == "stdout" for record in collector.records))
        status = os.waitpid(child, 0)[1]

        assert os.waitstatus_to_exitcode(status) == 0


def test_an_unfinished_line_and_a_crash_are_recorded_at_the_end_of_the_program(tmp_path):
    log = tmp_path / "log"
    program = textwrap.dedent(f"""
        import logging, otelbridge
        logging.basicConfig(filename={str(log)!r}, level=0, format="%(name)s|%(message)s")
        otelbridge.capture_output()
        print("unfinished", end="")
        raise SystemError("the end")
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stdout == "unfinished"
    assert done.stderr.startswith("Traceback")
    recorded = log.read_text().splitlines()
    assert "stdout|unfinished" in recorded
    assert "stderr|SystemError: the end" in recorded
