"""What each kind of rule finds in the store: for whom it holds now, and in which words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

from otelbridge import schema
from otelbridge.alarms.rules import Rule
from otelbridge.error_groups import ERROR_RECORDS
from otelbridge.error_states import ErrorStates
from otelbridge.model import LogRecord
from otelbridge.projects import Process, Project, ProjectKey, read_projects
from otelbridge.search import parse
from otelbridge.search.query import And, Match, Or, Query
from otelbridge.setting_values import DURATION_UNITS, SIZE_UNITS, in_units
from otelbridge.store.protocol import MetricSeries, ServiceSummary, Store, TimeRange

_SECOND: Final = 10**9
# What announces nothing and was not heard for longer is forgotten.
_LOOK_BACK: Final = 86400.0
_MOST_NEW: Final = 500
# Between a group and when it was resolved, where it came back.
_RETURNED: Final = "\0resolved "


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule holds for a subject.

    Attributes:
        subject: whom or what: a service, one of its processes, an error.
        title: what is the matter, on one line.
        text: more of it.
        tracebacks: by form, where an error is told.
        project: the service.
    """

    subject: str
    title: str
    text: str = ""
    tracebacks: Mapping[str, str] = field(default_factory=dict)
    project: str = ""


def find(
    rule: Rule,
    store: Store,
    now: float,
    projects: Callable[[], list[Project]] | None = None,
    error_states: ErrorStates | None = None,
) -> list[Finding]:
    """Say for whom a rule holds.

    Args:
        rule: the rule.
        store: where records are; this call reads it and blocks.
        now: seconds since the epoch.
        projects: gives the projects as the page shows them; by default they are read from the
            store.
        error_states: what people said of groups of errors.

    Raises:
        StoreError: the store cannot be read now.
    """
    if rule.when in _OF_PROJECTS:
        found = read_projects(store, now) if projects is None else projects()
        return list(_OF_PROJECTS[rule.when](rule, store, now, found))
    if rule.when == "new-error":
        return list(_new_errors(rule, store, now, error_states))
    return list(_FINDERS[rule.when](rule, store, now))


def _errors(rule: Rule, store: Store, now: float) -> Iterator[Finding]:
    for service in _services(rule, store, now, rule.over):
        if service.error_logs < rule.count and not rule.query:
            continue
        query = _all(ERROR_RECORDS, Match("service.name", service.name, quoted=True), _own(rule))
        count = service.error_logs
        if rule.query:
            count = store.count_logs(query, _last(now, rule.over))
        if count < rule.count or not count:
            continue
        newest = store.logs(query, _last(now, rule.over), limit=1)
        told = f"{_number(count, 'error')} in {time_in_words(rule.over)}"
        yield Finding(
            subject=service.name,
            title=f"{service.name}: {told}",
            text=_message(newest[0].record) if newest else "",
            tracebacks=_tracebacks(newest[0].record) if newest else {},
            project=service.name,
        )


def _new_errors(
    rule: Rule, store: Store, now: float, states: ErrorStates | None
) -> Iterator[Finding]:
    within = _last(now, rule.over)
    for group in store.error_groups(_own(rule), within, limit=_MOST_NEW, steps=1):
        # Where one error is several services', the rule is about it if it is about one of them.
        services = [name for name, _ in group.services or [("", 0)] if rule.about(name)]
        newest = store.log(group.sample) if services else None
        if newest is None:
            continue
        record = newest.record
        own = str(record.resource.get("service.name", ""))
        service = own if own in services else services[0]
        what = ": ".join(part for part in (group.type, group.message or _message(record)) if part)
        seen = f"seen {_number(group.count, 'time')} in {time_in_words(rule.over)}"
        resolved = states.reopened(group) if states is not None else None
        if resolved is not None:
            moment = datetime.fromtimestamp(resolved // _SECOND, timezone.utc)
            seen += f"; it was resolved on {moment:%Y-%m-%d at %H:%M} UTC"
        yield Finding(
            # Each time that it comes back is told once.
            subject=group.fingerprint + (f"{_RETURNED}{resolved}" if resolved is not None else ""),
            title=f"{service}: {'new' if resolved is None else 'reopened'} error {what}",
            text=f"{_message(record)}\n\n{seen}",
            tracebacks=_tracebacks(record),
            project=service,
        )


def group_behind(subject: str) -> str:
    """Name the group of errors that a finding of ``new-error`` is about."""
    return subject.partition(_RETURNED)[0]


def _error_rate(rule: Rule, store: Store, now: float) -> Iterator[Finding]:
    for service in _services(rule, store, now, rule.over):
        if service.requests < max(rule.count, 1):
            continue
        rate = service.errors / service.requests
        if rate > rule.above:
            yield Finding(
                subject=service.name,
                title=f"{service.name}: {rate:.1%} of requests fail (above {rule.above:.1%})",
                text=f"{service.errors:,} of {service.requests:,} in {time_in_words(rule.over)}",
                project=service.name,
            )


def _latency(rule: Rule, store: Store, now: float) -> Iterator[Finding]:
    for service in _services(rule, store, now, rule.over):
        value = {50: service.p50, 95: service.p95, 99: service.p99}[rule.percentile]
        if value is None or service.requests < max(rule.count, 1):
            continue
        if value / _SECOND > rule.above:
            yield Finding(
                subject=service.name,
                title=f"{service.name}: p{rule.percentile} is {time_in_words(value / _SECOND)} "
                f"(above {time_in_words(rule.above)})",
                text=f"{service.requests:,} requests in {time_in_words(rule.over)}",
                project=service.name,
            )


def _log(rule: Rule, store: Store, now: float) -> Iterator[Finding]:
    query = _own(rule)
    if rule.services != ("*",):
        patterns = [Match("service.name", pattern) for pattern in rule.services]
        query = _all(query, patterns[0] if len(patterns) == 1 else Or(tuple(patterns)))
    within = _last(now, rule.over)
    count = store.count_logs(query, within)
    if count < rule.count:
        return
    newest = store.logs(query, within, limit=1)
    record = newest[0].record if newest else None
    yield Finding(
        subject="",
        title=f"{_number(count, 'record')} in {time_in_words(rule.over)}: {rule.query}",
        text=_message(record) if record is not None else "",
        tracebacks=_tracebacks(record) if record is not None else {},
        project=str(record.resource.get("service.name", "")) if record is not None else "",
    )


def _silent(rule: Rule, store: Store, now: float, projects: list[Project]) -> Iterator[Finding]:
    for project in projects:
        if not rule.about(project.key.name) or project.status != "silent":
            continue
        if project.quiet > rule.after:
            yield _silence(project.key.name, _subject(project.key), project.quiet)
    # Those that announce nothing are known by what they send.
    announced = {project.key.name for project in projects}
    for service in _services(rule, store, now, max(_LOOK_BACK, rule.after * 2)):
        quiet = now - service.last_seen / _SECOND
        if service.name not in announced and quiet > rule.after:
            yield _silence(service.name, service.name, quiet)


def _silence(name: str, subject: str, quiet: float) -> Finding:
    return Finding(
        subject=subject,
        title=f"{name}: nothing heard for {time_in_words(quiet)}",
        text="It did not say that it was to end.",
        project=name,
    )


def _crashed(rule: Rule, store: Store, now: float, projects: list[Project]) -> Iterator[Finding]:
    for project in projects:
        if not rule.about(project.key.name):
            continue
        for one in project.standings:
            process = one.process
            if one.status != "crashed" or process.arrived / _SECOND < now - rule.over:
                continue
            error = process.last_error
            last = ": ".join(filter(None, (error.type, error.message))) if error else ""
            yield Finding(
                subject=process.instance,
                title=f"{project.key.name}: {_end(process)}",
                text=f"last error: {last}" if last else "",
                project=project.key.name,
            )


def _end(process: Process) -> str:
    how = process.outcome or "crashed"
    if process.signal:
        how += f" by {process.signal}"
    elif process.exit_code is not None:
        how += f", exit code {process.exit_code}"
    return f"process {process.pid or process.instance} has ended: {how}"


def _subject(key: ProjectKey) -> str:
    return " ".join(part for part in key if part)


def _cpu(rule: Rule, store: Store, now: float) -> Iterator[Finding]:
    means = _means("process.cpu.utilization", rule, store, now)
    return _above(rule, means, "processor", "{:.0%}".format)


def _memory(rule: Rule, store: Store, now: float) -> Iterator[Finding]:
    means = _means("process.memory.usage", rule, store, now)
    return _above(rule, means, "memory", size_in_words)


def _above(
    rule: Rule, means: Mapping[tuple[str, str], float], what: str, write: Callable[[float], str]
) -> Iterator[Finding]:
    """Find the processes whose mean is above the rule's limit."""
    for (service, instance), value in means.items():
        if value > rule.above:
            yield Finding(
                subject=f"{service} {instance}".strip(),
                title=f"{service}: {what} {write(value)} (above {write(rule.above)})",
                text=f"mean over {time_in_words(rule.over)}; process {instance}",
                project=service,
            )


_FINDERS: Final[Mapping[str, Callable[[Rule, Store, float], Iterator[Finding]]]] = {
    "error": _errors,
    "error-rate": _error_rate,
    "log": _log,
    "cpu": _cpu,
    "memory": _memory,
    "latency": _latency,
}


_OF_PROJECTS: Final[
    Mapping[str, Callable[[Rule, Store, float, list[Project]], Iterator[Finding]]]
] = {"silent": _silent, "crashed": _crashed}


# --- reading the store ----------------------------------------------------------------------------


def _last(now: float, seconds: float) -> TimeRange:
    # A little into the future: clocks of senders are not this one.
    return TimeRange(int((now - seconds) * _SECOND), int((now + 60) * _SECOND))


def _services(rule: Rule, store: Store, now: float, seconds: float) -> list[ServiceSummary]:
    return [one for one in store.services(_last(now, seconds), steps=1) if rule.about(one.name)]


def _own(rule: Rule) -> Query | None:
    return parse(rule.query)


def _all(*queries: Query | None) -> Query:
    found = tuple(query for query in queries if query is not None)
    return found[0] if len(found) == 1 else And(found)


def _means(name: str, rule: Rule, store: Store, now: float) -> dict[tuple[str, str], float]:
    """Mean of a metric over the rule's time by process; its series (by state, ...) added up."""
    found: defaultdict[tuple[str, str], float] = defaultdict(float)
    for series in store.metrics(name, _last(now, rule.over), points=60):
        value = _mean(series)
        if value is not None and rule.about(series.service):
            found[series.service, series.instance] += value
    return dict(found)


def _mean(series: MetricSeries) -> float | None:
    values = [value for value in series.means if value is not None]
    return sum(values) / len(values) if values else None


# --- words ----------------------------------------------------------------------------------------


def _message(record: LogRecord) -> str:
    return record.body if isinstance(record.body, str) else str(record.body)


def _tracebacks(record: LogRecord) -> dict[str, str]:
    forms: dict[str, Any] = {
        "full": record.attributes.get("exception.stacktrace"),
        "clean": record.attributes.get(schema.TRACEBACK_CLEAN),
        "minimal": record.attributes.get(schema.TRACEBACK_MINIMAL),
    }
    return {form: str(text) for form, text in forms.items() if text}


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def time_in_words(seconds: float) -> str:
    """Write a duration as rules do: ``5m``, ``800 ms``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    if seconds >= 7200 and seconds % 3600:
        return f"{seconds / 3600:.1f}h"
    # To the minute, where seconds mean nothing any more.
    whole = round(seconds / 60) * 60 if seconds >= 120 else round(seconds)
    return in_units(whole, DURATION_UNITS) or f"{seconds:.0f}s"


def size_in_words(size: float) -> str:
    """Write a number of bytes as rules do: ``512MB``."""
    whole = in_units(round(size), SIZE_UNITS, "B")
    if whole and len(whole) < 7:
        return whole
    for unit in ("T", "G", "M", "K"):
        if size >= SIZE_UNITS[unit]:
            return f"{size / SIZE_UNITS[unit]:.1f}{unit}B"
    return f"{size:.0f}B"
