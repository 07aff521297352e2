"""What a page shows, held in its address: one time range, one query, the same names everywhere."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

from starlette.requests import Request

from otelbridge.search import QueryError, parse
from otelbridge.search.query import Or, Query
from otelbridge.store.protocol import TimeRange
from otelbridge.web.timerange import absolute, is_relative, parse_range

DEFAULT_RANGE = "15m"

# Where the browser says how far its clock is from UTC, in minutes east.
OFFSET_COOKIE = "utc_offset"

NANOSECONDS = 1_000_000_000

# A range as a drag writes it.
_EXACT_RANGE = re.compile(r"[\d-]+T[\d:.]+Z/[\d-]+T[\d:.]+Z")

# The last moment a store takes.
LATEST = 2**63 - 1
ALL_TIME = TimeRange(0, LATEST)


@dataclass(frozen=True)
class PageState:
    """The range and the query of one request.

    Attributes:
        query_text: KQL as typed; ``query`` is its tree, ``None`` for everything.
        range_text: as typed; ``within`` is what it means now. Where it cannot be read,
            ``range_error`` says why and ``within`` is the default range.
        utc_offset: the reader's clock, minutes east of UTC.
    """

    path: str
    query_text: str
    query: Query | None
    query_error: QueryError | None
    range_text: str
    within: TimeRange
    range_error: str | None
    utc_offset: int
    now: int

    @property
    def relative(self) -> bool:
        """The range moves with the clock (``15m``), so new records can fall into it."""
        return is_relative(self.range_text)

    @property
    def range_shown(self) -> str:
        """The range as its box shows it: a chosen one by the reader's clock, without fractions."""
        if self.range_error is not None or not _EXACT_RANGE.fullmatch(self.range_text):
            return self.range_text
        zone = timezone(timedelta(minutes=self.utc_offset))
        start = datetime.fromtimestamp(self.within.start // NANOSECONDS, zone)
        end = datetime.fromtimestamp(self.within.end // NANOSECONDS, zone)
        until = f"{end:%H:%M:%S}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M:%S}"
        return f"{start:%Y-%m-%d %H:%M:%S} to {until}"

    @property
    def failed(self) -> bool:
        return self.query_error is not None or self.range_error is not None

    @property
    def joined(self) -> str:
        """The query's text, ready to have ``and ...`` written behind it."""
        text = self.query_text.strip()
        return f"({text})" if isinstance(self.query, Or) else text

    def address(self, path: str | None = None, **changes: str | int | None) -> str:
        """Write the address of a view with this range and query.

        Args:
            path: the view, this one by default.
            changes: parameters to add or replace; ``None`` or ``""`` takes one away.
        """
        chosen: dict[str, str | int | None] = {
            "query": self.query_text,
            "range": None if self.range_text == DEFAULT_RANGE else self.range_text,
        }
        chosen.update(changes)
        pairs = {name: value for name, value in chosen.items() if value not in (None, "")}
        path = path or self.path
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def around(self, moment: int, seconds: float) -> str:
        """Write the range of ``seconds`` on either side of a moment (nanoseconds)."""
        reach = int(seconds * NANOSECONDS)
        return absolute(max(0, moment - reach), min(LATEST, moment + reach))


def read_state(request: Request, *, path: str | None = None) -> PageState:
    """Read the range and the query of a request, keeping what is wrong with them."""
    return make_state(
        request.query_params,
        path=path or request.url.path,
        utc_offset=read_offset(request.cookies.get(OFFSET_COOKIE)),
        now=time.time_ns(),
    )


def make_state(
    params: Mapping[str, str], *, path: str, utc_offset: int = 0, now: int | None = None
) -> PageState:
    """Read the range and the query from an address's parameters.

    Args:
        now: nanoseconds since the epoch; the clock by default.
    """
    now = time.time_ns() if now is None else now
    query_text = params.get("query", "").strip()
    range_text = params.get("range", "").strip() or DEFAULT_RANGE
    query: Query | None = None
    query_error: QueryError | None = None
    range_error: str | None = None
    try:
        query = parse(query_text)
    except QueryError as error:
        query_error = error
    try:
        within = parse_range(range_text, now, utc_offset)
    except ValueError as error:
        range_error = str(error)
        within = parse_range(DEFAULT_RANGE, now, utc_offset)
    return PageState(
        path=path,
        query_text=query_text,
        query=query,
        query_error=query_error,
        range_text=range_text,
        within=within,
        range_error=range_error,
        utc_offset=utc_offset,
        now=now,
    )


def read_offset(text: str | None) -> int:
    """Read the cookie that says how far the reader's clock is from UTC; 0 where it is nonsense."""
    try:
        offset = int(text or 0)
    except ValueError:
        return 0
    return offset if abs(offset) <= 14 * 60 else 0


def read_number(request: Request, name: str) -> int | None:
    """Read a whole, non-negative number from the address, ``None`` where it is not one."""
    return number_of(request.query_params.get(name, ""))


def number_of(text: str) -> int | None:
    """The whole, non-negative number of at most 63 bits that a text is, as ids are."""
    # str.isdigit also takes digits that int() does not.
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    number = int(text)
    return number if number < 2**63 else None
