"""Two hundred records with everything that a logging call can carry."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import logging
import math
import pathlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace import TracerProvider

COUNT = 200
LARGE = 300_000


class _Color(enum.Enum):
    RED = "red"


@dataclass
class _Order:
    number: int
    lines: list[str]


class _Plain:
    def __str__(self) -> str:
        return "a plain object"


class _Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


_CIRCLE: list[Any] = [1]
_CIRCLE.append(_CIRCLE)

VALUES: dict[str, Any] = {
    "text": "words",
    "empty_text": "",
    "cyrillic": "Привет, мир",
    "many_scripts": "世界 — مرحبا — 😀👩‍🚀",
    "surrogate": "\udc80",
    "control": "\x00\x1b[31m\t\n",
    "whole": 500,
    "zero": 0,
    "negative": -1,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "beyond": 2**64,
    "fraction": 0.1,
    "whole_fraction": 2.0,
    "tiny": 5e-324,
    "huge": 1.7e308,
    "not_a_number": math.nan,
    "infinite": -math.inf,
    "yes": True,
    "no": False,
    "nothing": None,
    "list": [1, "two", 3.5, None, True],
    "empty_list": [],
    "tuple": (1, (2, 3)),
    "one_of_set": {7},
    "mapping": {"a": {"b": {"c": 1}}, "list": [{"d": 2}]},
    "empty_mapping": {},
    "keys": {1: "one", None: "none", False: "false"},
    "bytes": b"text",
    "not_text": b"\xff\x00",
    "decimal": decimal.Decimal("10.50"),
    "moment": datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc),
    "day": datetime.date(2026, 3, 1),
    "duration": datetime.timedelta(seconds=90),
    "uuid": uuid.UUID(int=7),
    "path": pathlib.PurePosixPath("/srv/app"),
    "address": ipaddress.ip_address("192.0.2.1"),
    "enum": _Color.RED,
    "dataclass": _Order(7, ["a", "b"]),
    "object": _Plain(),
    "unprintable": _Silent(),
    "class": _Order,
    "exception": ValueError("no money"),
    "circle": _CIRCLE,
    "dotted.name": "x",
    "ключ": "non-ASCII key",
    "status": 402,
    "user": "алиса",
    "code": 17,
    "error_code": "E17",
}

LEVELS = (10, 20, 30, 40, 50, 1, 15, 25, 35, 45)


def _fail(kind: int) -> None:
    try:
        try:
            raise KeyError("ключ")
        except KeyError as error:
            if kind == 0:
                raise ValueError("no money") from error
            raise
    except ValueError:
        raise
    except KeyError:
        raise RuntimeError("while handling") from None


def make_records() -> list[logging.LogRecord]:
    """Log :data:`COUNT` records and return them, so that each can be sent by every road."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    tracer = TracerProvider().get_tracer("tests")
    loggers = [logging.Logger(name) for name in ("shop.orders", "shop.payments", "магазин", "")]
    for logger in loggers:
        logger.addHandler(Keep(level=0))
    for number, (level, extra) in enumerate(_calls()):
        logger = loggers[number % len(loggers)]
        if number % 7 == 3:
            try:
                _fail(number % 2)
            except Exception:
                logger.exception("record %d failed: %s", number, "почему", extra=extra)
        elif number % 11 == 5:
            logger.log(level, "record %d has its stack", number, stack_info=True, extra=extra)
        else:
            logger.log(
                level, "record %(number)d of %(of)s", {"number": number, "of": COUNT}, extra=extra
            )
    assert len(records) == COUNT
    del tracer
    return records


def _calls() -> Iterator[tuple[int, dict[str, Any]]]:
    values = list(VALUES.items())
    for number in range(COUNT):
        level = LEVELS[number % len(LEVELS)]
        extra: dict[str, Any] = {"number": number}
        if number < len(values):
            extra |= dict([values[number]])
        elif number % 50 == 0:
            extra["large"] = ("ж" if number % 100 else "x") * LARGE
        else:
            extra |= dict(values[number % len(values) :: 9])
        yield level, extra
