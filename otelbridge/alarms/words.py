"""A rule in words, for a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from otelbridge.alarms.conditions import size_in_words, time_in_words
from otelbridge.alarms.rules import Rule


def condition(rule: Rule) -> str:
    """Say in one sentence when a rule fires, without its end: no full stop."""
    parts = [_CONDITIONS[rule.when](rule)]
    if rule.query and rule.when != "log":
        parts.append(f"among records of {rule.query}")
    if rule.services != ("*",):
        parts.append(f"in {' or '.join(rule.services)}")
    if rule.hold:
        parts.append(f"for {time_in_words(rule.hold)}")
    return ", ".join(parts)


def _over(rule: Rule) -> str:
    return f"within {time_in_words(rule.over)}"


def _at_least(rule: Rule, what: str) -> str:
    if rule.count == 1:
        return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
    return f"at least {rule.count:,} {what}s"


_CONDITIONS: Final[Mapping[str, Callable[[Rule], str]]] = {
    "error": lambda rule: f"{_at_least(rule, 'error')} {_over(rule)}",
    "new-error": lambda rule: "an error that was not there before, or is back",
    "error-rate": lambda rule: (
        f"more than {rule.above * 100:.3g}% of requests fail {_over(rule)}" + _enough(rule)
    ),
    "log": lambda rule: f"{_at_least(rule, 'record')} of {rule.query} {_over(rule)}",
    "silent": lambda rule: f"nothing heard for {time_in_words(rule.after)}, and no end announced",
    "crashed": lambda rule: "a process ends by an error",
    "cpu": lambda rule: (
        f"a process uses more than {rule.above * 100:.3g}% of a processor on average {_over(rule)}"
    ),
    "memory": lambda rule: (
        f"a process uses more than {size_in_words(rule.above)} of memory on average {_over(rule)}"
    ),
    "latency": lambda rule: (
        f"p{rule.percentile} of requests is above "
        f"{time_in_words(rule.above)} {_over(rule)}" + _enough(rule)
    ),
}


def _enough(rule: Rule) -> str:
    return f" (of {rule.count:,} or more)" if rule.count > 1 else ""
