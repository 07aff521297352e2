"""The logger ``client``: the same lines on the console and in ``log/client.log``."""

import logging
import sys

import otelbridge

formatter = logging.Formatter("%(asctime)s %(levelname)-8s %(name)-10s %(message)s")

console = logging.StreamHandler(sys.stderr)
console.setFormatter(formatter)

file = otelbridge.FileHandler("log/client.log")
file.setFormatter(formatter)

logger = logging.getLogger("client")
logger.setLevel(logging.DEBUG)
logger.addHandler(console)
logger.addHandler(file)
