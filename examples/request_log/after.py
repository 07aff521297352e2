"""The same app with one line: the same two log lines, and a trace that ties them together.

The secrets of a query are not written, and a request that ends in an error has its two lines too.
"""

import logging

from flask import Flask

import otelbridge

app = Flask(__name__)
app.logger.setLevel(logging.INFO)
handler = logging.FileHandler("app.log")
handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
app.logger.addHandler(handler)

otelbridge.instrument(app)


@app.get("/ok")
def ok():
    app.logger.info("working")
    return "ok"


@app.get("/boom")
def boom():
    raise RuntimeError("boom")
