"""What is bound in a request is on all that the request logs, and on nothing of the next one."""

from __future__ import annotations

from otlp_receiver import OTLPReceiver
from programs import finish

FLASK = """
import logging
import otelbridge
from flask import Flask, request, stream_with_context

app = Flask("shop")
otelbridge.instrument(app, request_log=False)
log = logging.getLogger("shop")

@app.before_request
def who():
    if "user" in request.args:
        otelbridge.bind_fields(user=request.args["user"])

@app.get("/")
def index():
    log.warning("in a view")
    return "ok"

@app.get("/stream")
def stream():
    def parts():
        log.warning("in a stream")
        yield "part"
    return stream_with_context(parts())

@app.get("/fail")
def fail():
    raise LookupError("no box")

@app.after_request
def after(response):
    log.warning("after")
    return response

client = app.test_client()
for path in ("/?user=alice", "/", "/stream?user=bob", "/fail?user=eve", "/"):
    client.get(path).close()
log.warning("outside")
"""
FASTAPI = """
import asyncio, logging, warnings
import otelbridge
from fastapi import BackgroundTasks, Depends, FastAPI, Request

app = FastAPI()
otelbridge.instrument(app, request_log=False)
log = logging.getLogger("shop")

async def who(request: Request):
    if "user" in request.query_params:
        otelbridge.bind_fields(user=request.query_params["user"])

@app.get("/", dependencies=[Depends(who)])
async def index(tasks: BackgroundTasks):
    await asyncio.gather(*(part(number) for number in range(2)))
    tasks.add_task(log.warning, "in the background")
    log.warning("in a view")

@app.get("/thread", dependencies=[Depends(who)])
def thread():
    log.warning("in a thread")

@app.get("/fail", dependencies=[Depends(who)])
async def fail():
    raise LookupError("no box")

async def part(number):
    otelbridge.bind_fields(part=number)
    await asyncio.sleep(0)
    log.warning("part")

warnings.simplefilter("ignore")
from fastapi.testclient import TestClient
client = TestClient(app, raise_server_exceptions=False)
for path in ("/?user=alice", "/", "/thread?user=bob", "/thread", "/fail?user=eve"):
    client.get(path)
"""


def environ_of(receiver: OTLPReceiver) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http,
        "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",  # on a busy machine
    }


def logged(receiver: OTLPReceiver) -> list[tuple]:
    names = ("user", "part")
    return sorted(
        (
            log.item.body.string_value.partition(" on ")[0],
            *(str(log.attributes.get(name)) for name in names if name in log.attributes),
        )
        for log in receiver.logs
        if log.scope != "httpx"
    )


def test_flask(otlp_receiver: OTLPReceiver) -> None:
    finish(FLASK, 150, **environ_of(otlp_receiver))
    assert logged(otlp_receiver) == sorted(
        [
            ("in a view", "alice"), ("after", "alice"),
            ("in a view",), ("after",),
            ("after", "bob"), ("in a stream", "bob"),
            ("Exception", "eve"), ("after", "eve"),
            ("in a view",), ("after",),
            ("outside",),
        ]
    )  # fmt: skip
    assert sorted(str(span.attributes.get("user")) for span in otlp_receiver.traces) == [
        "None", "None", "alice", "bob", "eve",
    ]  # fmt: skip


def test_fastapi(otlp_receiver: OTLPReceiver) -> None:
    finish(FASTAPI, 150, **environ_of(otlp_receiver))
    arrived = logged(otlp_receiver)
    assert arrived == sorted(
        [
            ("Exception", "eve"),
            ("in a view", "alice"), ("in the background", "alice"),
            ("part", "alice", "0"), ("part", "alice", "1"),
            ("in a view",), ("in the background",), ("part", "0"), ("part", "1"),
            ("in a thread", "bob"), ("in a thread",),
        ]
    )  # fmt: skip
    users = [span.attributes.get("user") for span in otlp_receiver.traces]
    assert {"alice", "bob", "eve", None} == set(users)
