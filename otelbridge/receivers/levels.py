"""Levels as people write them in log lines, to OpenTelemetry's severity numbers.

Follows the logs data model, "Appendix B: severity number example mappings".
"""

from __future__ import annotations

import re
from typing import Any, Final

from otelbridge.schema import SEVERITY_NUMBERS, severity_name

# Syslog's severities, 0 to 7 (RFC 5424, 6.2.1).
SYSLOG: Final = (21, 19, 18, 17, 13, 10, 9, 5)

_NAMES: Final = SEVERITY_NUMBERS | {
    "VERBOSE": 1,
    "INFORMATION": 9,
    "INFORMATIONAL": 9,
    "NOTICE": 10,
    "WRN": 13,
    "ERR": 17,
    "CRIT": 18,
    "ALERT": 19,
    "EMERG": 21,
    "EMERGENCY": 21,
    "PANIC": 21,
}
# Python's numbers (DEBUG is 10), and those of bunyan and pino (debug is 20).
_PYTHON: Final = {10: 5, 20: 9, 30: 13, 40: 17, 50: 21}
_BUNYAN: Final = {10: 1, 20: 5, 30: 9, 40: 13, 50: 17, 60: 21}

# How Python names a level that has no name.
_UNNAMED = re.compile(r"Level (\d{1,3})")


def parse_level(value: Any, *, bunyan: bool = False) -> tuple[int, str] | None:
    """Read a level.

    Args:
        value: a name in any case, a syslog number, or a logging library's number.
        bunyan: a number is one of bunyan's or pino's.

    Returns:
        the severity number (0 for a name nobody knows) and its text; ``None`` if it is no level.
    """
    if isinstance(value, str) and value:
        number = _NAMES.get(value.strip().upper())
        if number is not None:
            return number, value
        unnamed = _UNNAMED.fullmatch(value)
        if unnamed:
            level = int(unnamed[1])
            return min(24, 1 + level // 10 * 4 + level % 10 * 4 // 10), value
        if not value.strip().isdecimal() or len(value) > 3:
            return 0, value
        value = int(value)
    if type(value) is not int:
        return None
    numbers = _BUNYAN if bunyan else _PYTHON
    number = SYSLOG[value] if 0 <= value <= 7 else numbers.get(value, 0)
    return number, severity_name(number) or str(value)
