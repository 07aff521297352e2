"""Whatever the program logs or does, our part of it neither raises, blocks nor answers itself."""

from __future__ import annotations

import pytest
from otlp_receiver import OTLPReceiver
from programs import finish

START = """
import gc, logging, os, signal, sys, threading, time
import otelbridge
handle = otelbridge.instrument(service_name="safety")
logger = logging.getLogger("safety")
"""

HOSTILE = '''
class Hostile:
    """Raises at whatever is done with it."""
    def __getattr__(self, name):
        raise RuntimeError(f"no {name}")
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __len__ = __iter__ = __hash__ = __bool__ = __eq__ = __getitem__ = __str__
    __format__ = __int__ = __float__ = __index__ = __str__

class Bottomless:
    def __repr__(self):
        return repr(self)

class HostileError(Exception):
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __str__

def calls():
    yield lambda: logger.warning("%s", Hostile())
    yield lambda: logger.warning(Hostile())
    yield lambda: logger.warning("%d", "text", extra={"a": Hostile()})
    yield lambda: logger.warning("x", extra={"a": [Hostile(), {"b": Hostile()}]})
    yield lambda: logger.warning("x", extra={"a": Bottomless()})
    yield lambda: logger.warning("x", extra={"": 1, "log.record.uid": Hostile()})
    yield lambda: logger.warning("x", extra={"n": 2**300, "bytes": b"\\\\xff", "s": "\\ud800"})
    def failing():
        try:
            raise HostileError(Hostile())
        except HostileError:
            logger.exception("failed")
    yield failing
    def odd():
        record = logging.makeLogRecord({"msg": None, "args": {"a": 1}, "created": "soon",
                                        "levelno": 30, "exc_info": (1, 2, 3)})
        logging.getLogger("odd").handle(record)
    yield odd
'''


def test_nothing_that_is_logged_raises_and_trouble_is_told_once(
    otlp_receiver: OTLPReceiver,
) -> None:
    ended = finish(
        f"""{START}{HOSTILE}
logging.raiseExceptions = True
logging.lastResort = None  # the program's own output is not what is tried
logger.addHandler(logging.NullHandler())
logging.getLogger().addHandler(logging.NullHandler())
for _ in range(50):
    for call in calls():
        call()
logger.warning("the last")
assert handle.flush(20)
logs = [counts for counts in handle.delivery() if counts.signal == "logs"]
print(sum(counts.lost for counts in logs), sum(counts.accepted for counts in logs))
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
    )
    otlp_receiver.log("the last")
    lost, accepted = map(int, ended.out.split())
    assert accepted == len(otlp_receiver.logs) + lost
    assert accepted == 50 * 9 + 1
    assert ended.err.count("Traceback") <= 1, ended.err


def test_a_signal_handler_and_a_destructor_may_log_at_any_moment(
    otlp_receiver: OTLPReceiver,
) -> None:
    ended = finish(
        f"""{START}
died = 0
class Dying:
    def __del__(self):
        global died
        died += 1
        logger.warning("destructor")
def on_signal(*_):
    logger.warning("signal")
signal.signal(signal.SIGALRM, on_signal)
signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
gc.set_threshold(50)
for number in range(4000):
    dying = Dying()
    dying.itself = dying  # only the collector ends it
    logger.warning("main")
signal.setitimer(signal.ITIMER_REAL, 0)
dying = None
while died < 4000:
    gc.collect()  # does nothing while another thread is at it
assert handle.flush(30)
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
    )
    assert "Traceback" not in ended.err
    bodies = [log.item.body.string_value for log in otlp_receiver.logs]
    assert bodies.count("main") == 4000
    assert bodies.count("destructor") == 4000
    assert bodies.count("signal") > 10


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf", "http/json"])
def test_sending_does_not_log_what_is_then_sent(protocol: str, otlp_receiver: OTLPReceiver) -> None:
    finish(
        f"""{START}
logging.getLogger().setLevel(1)
for name in ("urllib3", "requests", "grpc", "opentelemetry", "otelbridge"):
    logging.getLogger(name).setLevel(1)
logger.warning("one")
assert handle.flush(20)
time.sleep(1.0)
assert handle.flush(20)
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.endpoint(protocol),
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
    )
    assert [log.item.body.string_value for log in otlp_receiver.logs] == ["one"]
    assert otlp_receiver.traces == []


def test_a_destination_that_hangs_holds_up_no_caller(otlp_receiver: OTLPReceiver) -> None:
    otlp_receiver.delay = 30.0
    ended = finish(
        f"""{START}
slowest = 0.0
end = time.monotonic() + 3
while time.monotonic() < end:
    started = time.perf_counter()
    logger.warning("x")
    slowest = max(slowest, time.perf_counter() - started)
    time.sleep(0.001)
print(slowest)
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTELBRIDGE_SHUTDOWN_TIMEOUT="1s",
    )
    # Of a busy machine; the destination would have held it up for ten.
    assert float(ended.out) < 5.0
