"""A Flask app that logs its requests by hand, as many do."""

import logging

from flask import Flask, request

app = Flask(__name__)
app.logger.setLevel(logging.INFO)
handler = logging.FileHandler("app.log")
handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s"))
app.logger.addHandler(handler)


@app.before_request
def log_request():
    app.logger.info("Request %s %s", request.method, request.url)


@app.after_request
def log_response(response):
    app.logger.info("Response %s", response.status)
    return response


@app.get("/ok")
def ok():
    app.logger.info("working")
    return "ok"


@app.get("/boom")
def boom():
    raise RuntimeError("boom")
