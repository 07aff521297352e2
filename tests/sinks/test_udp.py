"""The UDP handler: one record, one datagram, one JSON object, and all of it counted."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import otelbridge
from otelbridge.schema import (
    EVENT_SEQUENCE,
    PART_COUNT,
    PART_DATA,
    PART_ID,
    PART_NUMBER,
    SERVICE_NAME,
)
from otelbridge.sinks import resolver
from otelbridge.sinks.parts import split_line


class Receiver:
    """A UDP socket on a port of its own."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**21)
        self.socket.bind((host, 0))
        self.socket.settimeout(60)
        self.address = (host, self.socket.getsockname()[1])

    def text(self) -> str:
        return self.socket.recv(65_536).decode()

    def line(self) -> dict:
        return json.loads(self.text())

    def lines(self, count: int) -> list[dict]:
        return [self.line() for _ in range(count)]

    def is_empty(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(65_536)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(60)
        return False


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.socket.close()


@pytest.fixture
def make_handler(receiver):
    made = []

    def make(address=None, **options) -> otelbridge.UDPHandler:
        made.append(otelbridge.UDPHandler(address or receiver.address, **options))
        return made[-1]

    yield make
    for handler in made:
        handler.close()


def make_logger(*handlers: logging.Handler) -> logging.Logger:
    logger = logging.Logger("shop", logging.DEBUG)
    for handler in handlers:
        logger.addHandler(handler)
    return logger


def join(parts: list[dict]) -> str:
    return "".join(part[PART_DATA] for part in sorted(parts, key=lambda part: part[PART_NUMBER]))


def test_one_record_is_one_datagram_that_is_one_json_object(receiver, make_handler):
    handler = make_handler()
    logger = make_logger(handler)

    logger.warning("low stock", extra={"status": "critical", "user": 7, "error_code": "E1"})

    line = receiver.line()
    assert line["message"] == "low stock"
    assert line["log.level"] == "WARNING"
    assert (line["status"], line["user"], line["error_code"]) == ("critical", 7, "E1")
    assert (handler.sent, handler.dropped) == (1, 0)
    assert receiver.is_empty()


def test_datagrams_are_numbered_from_one(receiver, make_handler):
    logger = make_logger(make_handler())
    for _ in range(5):
        logger.info("x")

    assert [line[EVENT_SEQUENCE] for line in receiver.lines(5)] == [1, 2, 3, 4, 5]


def test_two_handlers_to_one_destination_are_one_sender(receiver, make_handler):
    logger = make_logger(make_handler(), make_handler())
    logger.info("a")
    logger.info("b")

    assert [line[EVENT_SEQUENCE] for line in receiver.lines(4)] == [1, 2, 3, 4]


def test_an_extra_key_named_like_the_sequence_is_kept_beside_it(receiver, make_handler):
    make_logger(make_handler()).info("x", extra={EVENT_SEQUENCE: "mine"})

    line = receiver.line()
    assert (line[EVENT_SEQUENCE], line[f"extra.{EVENT_SEQUENCE}"]) == (1, "mine")


def test_a_line_longer_than_a_datagram_is_sent_in_numbered_parts(receiver, make_handler):
    handler = make_handler(max_bytes=512)
    logger = make_logger(handler)
    handler.formatter = otelbridge.JsonFormatter(service_name="shop", service_node_name="node-1")

    logger.info('é\\"\n' * 500)
    handler.max_bytes = 65_507
    logger.info("short")

    received = [receiver.text() for _ in range(handler.sent)]
    *parts, last = map(json.loads, received)
    assert all(len(text.encode()) <= 512 for text in received[:-1])
    assert [part[EVENT_SEQUENCE] for part in parts] == list(range(1, len(parts) + 1))
    assert {part[PART_COUNT] for part in parts} == {len(parts)}
    assert len({part[PART_ID] for part in parts}) == 1
    assert {part["service.node.name"] for part in parts} == {"node-1"}
    line = json.loads(join(parts))
    assert line["message"] == 'é\\"\n' * 500
    assert EVENT_SEQUENCE not in line
    assert last[EVENT_SEQUENCE] == len(parts) + 1
    assert last["message"] == "short"


def test_a_megabyte_arrives_whole(receiver, make_handler):
    handler = make_handler(max_bytes=65_507)
    handler.formatter = otelbridge.JsonFormatter(max_chars=2**21)

    make_logger(handler).info("x" * 2**20)

    parts = receiver.lines(handler.sent)
    assert handler.dropped == 0
    assert json.loads(join(parts))["message"] == "x" * 2**20


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(1, 300),
    st.integers(512, 2000),
    st.dictionaries(st.sampled_from([SERVICE_NAME, "host.name"]), st.text(max_size=200)),
)
def test_parts_are_small_enough_and_joined_are_the_line_again(text, times, max_bytes, fields):
    line = text * times

    parts = split_line(line, max_bytes, fields)

    assert join(parts) == line
    assert [part[PART_NUMBER] for part in parts] == list(range(1, len(parts) + 1))
    for part in parts:
        part[EVENT_SEQUENCE] = 2**40
        sent = json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(sent) <= max_bytes


def test_splitting_takes_time_in_line_with_length():
    line = '"\\é😀x' * 400_000
    started = time.thread_time()
    parts = split_line(line, 512, {})

    assert time.thread_time() - started < 10
    assert join(parts) == line


def test_another_json_formatters_line_is_numbered_too(receiver, make_handler):
    handler = make_handler()
    handler.setFormatter(logging.Formatter('{"level": "%(levelname)s", "text": "%(message)s" }\n'))

    make_logger(handler).info("hello")

    assert receiver.line() == {"level": "INFO", "text": "hello", EVENT_SEQUENCE: 1}


@pytest.mark.parametrize("line", ["привет", "{привет}", "{}", "[1]", '{"event.sequence": 5}'])
def test_what_is_no_object_or_numbered_already_is_sent_as_it_is(receiver, make_handler, line):
    handler = make_handler()
    handler.setFormatter(logging.Formatter("%(message)s"))

    make_logger(handler).info(line)

    assert receiver.text() == line


def test_a_long_plain_line_is_sent_in_parts(receiver, make_handler):
    handler = make_handler(max_bytes=512)
    handler.setFormatter(logging.Formatter("%(message)s"))

    make_logger(handler).info("ж" * 1000)

    assert join(receiver.lines(handler.sent)) == "ж" * 1000


class Bad:
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


@pytest.mark.parametrize("formatter", [None, logging.Formatter("%(message)s")])
@pytest.mark.parametrize("call", [("user %s", Bad()), ("%d", "seven"), ("too", "many")])
def test_a_call_that_cannot_be_formatted_arrives_with_a_mark(
    receiver, make_handler, capsys, formatter, call
):
    handler = make_handler()
    if formatter is not None:
        handler.setFormatter(formatter)

    make_logger(handler).info(*call)

    assert "…[" in receiver.text()
    assert capsys.readouterr().err == ""


def test_a_formatter_that_always_fails_loses_no_record(receiver, make_handler):
    class Broken(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            raise RuntimeError

    handler = make_handler()
    handler.setFormatter(Broken())
    try:
        raise ValueError("bad input")
    except ValueError:
        make_logger(handler).exception("failed")

    text = receiver.text()
    assert text.startswith("ERROR shop failed …[formatter failed: RuntimeError]\nTraceback")
    assert text.endswith("ValueError: bad input")


def test_ipv6(make_handler):
    receiver = Receiver("::1")
    make_logger(make_handler(receiver.address)).info("over six")

    assert receiver.line()["message"] == "over six"
    receiver.socket.close()


def test_an_address_may_be_text(receiver, make_handler):
    host, port = receiver.address
    make_logger(make_handler(f"{host}:{port}")).info("x")

    assert receiver.line()["message"] == "x"


def test_what_was_logged_before_a_name_is_known_is_sent_after(receiver, make_handler, monkeypatch):
    known = threading.Event()
    look_up = socket.getaddrinfo

    def slow(host, *args, **options):
        # A look-up that allows numbers only refuses a name at once.
        if host == "bridge" and not options["flags"]:
            known.wait(60)
            host = "127.0.0.1"
        return look_up(host, *args, **options)

    monkeypatch.setattr(resolver.socket, "getaddrinfo", slow)
    handler = make_handler(("bridge", receiver.address[1]))
    started = time.monotonic()
    for number in range(3):
        make_logger(handler).info("%d", number)
    assert time.monotonic() - started < 20
    assert handler.sent == 0

    known.set()

    assert [line["message"] for line in receiver.lines(3)] == ["0", "1", "2"]


def test_closing_sends_what_still_waits_for_the_name(receiver, make_handler):
    handler = make_handler(("localhost", receiver.address[1]))
    make_logger(handler).info("last words")
    handler.close()

    assert receiver.line()["message"] == "last words"


def test_a_name_nobody_knows_delays_nothing_raises_nothing_and_is_counted(
    make_handler, monkeypatch, capsys
):
    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(resolver.socket, "getaddrinfo", unknown)
    handler = make_handler(("nowhere.invalid", 4320))
    make_logger(handler).info("x")
    make_logger(handler).info("y")
    handler.close()

    assert (handler.sent, handler.dropped) == (0, 2)
    assert capsys.readouterr().err == ""


def test_what_waits_for_a_name_is_bounded(make_handler, monkeypatch):
    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(resolver.socket, "getaddrinfo", unknown)
    handler = make_handler(("nowhere.invalid", 4320), max_bytes=65_507)
    for _ in range(100):
        make_logger(handler).info("x" * 60_000)

    assert 80 <= handler.dropped < 100
    handler.close()
    assert handler.dropped == 100


@pytest.mark.parametrize("address", [("127.0.0.1", 9), ("255.255.255.255", 9), ("::ffff:0:0", 9)])
def test_an_address_nobody_answers_at_raises_nothing_and_is_counted(make_handler, capsys, address):
    handler = make_handler(address)
    for _ in range(3):
        make_logger(handler).info("x")

    assert handler.sent + handler.dropped == 3
    assert capsys.readouterr().err == ""


def test_a_full_socket_buffer_drops_and_does_not_block(make_handler, monkeypatch):
    class Full(socket.socket):
        def sendto(self, *args):
            raise BlockingIOError

    monkeypatch.setattr("otelbridge.sinks.udp_sender.socket.socket", Full)
    handler = make_handler()
    make_logger(handler).info("x")

    assert (handler.sent, handler.dropped) == (0, 1)


@pytest.mark.parametrize("max_bytes", [0, 511, 65_508])
def test_a_size_that_is_not_allowed_is_refused(max_bytes):
    with pytest.raises(ValueError, match=f"max_bytes is {max_bytes}; allowed: from 512 to 65507"):
        otelbridge.UDPHandler(max_bytes=max_bytes)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ValueError, match="allowed: host:port"):
        otelbridge.UDPHandler("somewhere")


def test_a_forked_child_has_a_sequence_a_socket_and_counts_of_its_own(receiver, make_handler):
    handler = make_handler()
    logger = make_logger(handler)
    logger.info("parent")
    parent = receiver.line()
    child = os.fork()
    if child == 0:
        logger.info("child")
        logger.info("child")
        os._exit(handler.sent)
    status = os.waitpid(child, 0)[1]
    logger.info("parent")

    childs, again = receiver.lines(2), receiver.line()
    assert os.waitstatus_to_exitcode(status) == 2
    assert [line[EVENT_SEQUENCE] for line in [parent, *childs, again]] == [1, 1, 2, 2]
    assert {line["process.pid"] for line in childs} == {child}
    assert parent["process.pid"] == again["process.pid"] == os.getpid()
    assert handler.sent == 2


def test_threads_each_send_everything(receiver, make_handler):
    handler = make_handler()
    logger = make_logger(handler)
    threads = [
        threading.Thread(target=lambda: [logger.info("x") for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [line[EVENT_SEQUENCE] for line in receiver.lines(200)] == list(range(1, 201))


def test_works_from_dict_config_as_the_only_part_of_the_package(receiver):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "udp": {"class": "otelbridge.UDPHandler", "address": list(receiver.address)}
            },
            "loggers": {"test.udp": {"handlers": ["udp"], "level": "DEBUG", "propagate": False}},
        }
    )
    logger = logging.getLogger("test.udp")
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(logger, level)("this is %s", level)
    logger.handlers[0].close()

    levels = [line["log.level"] for line in receiver.lines(5)]
    assert levels == ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
