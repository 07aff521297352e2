"""The app that every server model is tried with: request n logs the line ``handling n``."""

from __future__ import annotations

import os

from flask import Flask

import otelbridge

app = Flask("numbered")
otelbridge.instrument(app)


@app.get("/number/<int:number>")
def handle(number: int) -> dict[str, int]:
    app.logger.info("handling %d", number, extra={"number": number, "pid": os.getpid()})
    return {"number": number, "pid": os.getpid()}


@app.get("/pid")
def pid() -> dict[str, int]:
    """Answer without a number: to see that the server is up."""
    return {"pid": os.getpid()}
