"""What is behind an alarm: the address of the page's view that shows it."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from urllib.parse import quote, urlencode

from otelbridge.alarms.conditions import group_behind
from otelbridge.alarms.rules import Rule
from otelbridge.alarms.states import State
from otelbridge.error_groups import ERROR_RECORDS
from otelbridge.search import to_text
from otelbridge.setting_values import DURATION_UNITS, in_units

_ERRORS = to_text(ERROR_RECORDS)


def evidence(rule: Rule, state: State, *, lasting: bool = False) -> tuple[str, str]:
    """Say where the records, the group, the project or the curves behind an alarm are.

    The query is the rule's own over the rule's own time: what is counted is what is listed.

    Args:
        rule: what fired.
        state: for whom it did.
        lasting: the time is that of the firing, for a link that is kept; otherwise it ends now.

    Returns:
        The view's name, and its address without the host.
    """
    service = f"service.name: {_quoted(state.project)}" if state.project else ""
    if rule.when == "new-error":
        return "group", f"/errors/{quote(group_behind(state.subject), safe='')}"
    if rule.when in {"silent", "crashed"}:
        return "project", f"/projects/{quote(state.project, safe='')}"
    chosen = {"range": _around(rule, state) if lasting else _last(rule.over)}
    if rule.when in {"cpu", "memory"}:
        return "curves", f"/metrics?{urlencode({**chosen, 'service': state.project})}"
    if rule.when in {"error-rate", "latency"}:
        failed = "status.code: error" if rule.when == "error-rate" else ""
        return "requests", f"/traces?{urlencode({'query': _all(service, failed), **chosen})}"
    if rule.when == "log":
        query = _all(rule.query, _services(rule))
    else:
        query = _all(_ERRORS, service, rule.query)
    return "records", f"/logs?{urlencode({'query': query, **chosen})}"


def _all(*parts: str) -> str:
    found = [part for part in parts if part]
    if len(found) == 1:
        return found[0]
    return " and ".join(
        f"({part})" if re.search(r"\bor\b", part, re.IGNORECASE) else part for part in found
    )


def _services(rule: Rule) -> str:
    """The services of a rule as its own query has them."""
    if rule.services == ("*",):
        return ""
    names = [_pattern(service) for service in rule.services]
    return f"service.name: {names[0] if len(names) == 1 else '(' + ' or '.join(names) + ')'}"


def _pattern(service: str) -> str:
    return service if re.fullmatch(r"[\w.*-]+", service) else _quoted(service)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _last(seconds: float) -> str:
    return in_units(seconds, DURATION_UNITS) or f"{seconds:g}s"


def _around(rule: Rule, state: State) -> str:
    end = state.fired or state.since
    start = min(state.since, end) - rule.over
    return "/".join(
        datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        for moment in (start, end + 1)
    )
