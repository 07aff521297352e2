"""The logger ``server``: the same lines on the console and in ``log/server.log``, a file a day."""

import logging
import sys

import otelbridge

formatter = logging.Formatter("%(asctime)s %(levelname)-8s %(name)-10s %(message)s")

console = logging.StreamHandler(sys.stderr)
console.setFormatter(formatter)

file = otelbridge.DailyFileHandler("log/server.log")
file.setFormatter(formatter)

logger = logging.getLogger("server")
logger.setLevel(logging.DEBUG)
logger.addHandler(console)
logger.addHandler(file)
