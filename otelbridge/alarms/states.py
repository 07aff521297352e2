"""Which alarms wait, fire and are over: one firing, one message, however often it is looked at.

Nothing here reads a clock or a store; a state is plain data, so that a restart changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from otelbridge.alarms.conditions import Finding
from otelbridge.alarms.rules import KINDS, Rule

# An alarm that comes and goes within this time is one alarm.
SETTLE: Final = 60.0
# What is told once and has no end is forgotten when it was not seen for so long.
REMEMBER: Final = 30 * 86400.0


@dataclass(slots=True, kw_only=True)
class State:
    """A rule and a subject it holds for, or held for.

    Attributes:
        since: when it began to hold.
        seen: when it last did.
        fired: when it fired; ``None`` while it waits to.
        clear: since when it does not hold any more; ``None`` while it does.
        told: whether the message about the firing was handed over.
        title: what the matter was.
        firing: the firing's own id; its message's too, so that no restart tells it twice.
    """

    rule: str
    subject: str
    since: float
    seen: float
    fired: float | None = None
    clear: float | None = None
    told: bool = False
    title: str = ""
    project: str = ""
    firing: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def phase(self) -> Literal["waiting", "firing"]:
        return "waiting" if self.fired is None else "firing"


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm fired, or is over."""

    what: Literal["fired", "resolved"]
    state: State
    finding: Finding | None = None


States = dict[tuple[str, str], State]


def advance(
    states: States, rule: Rule, findings: Iterable[Finding], now: float, *, quietly: bool = False
) -> list[Change]:
    """Bring the states of a rule to what was found now.

    Args:
        states: of all rules, by rule and subject; those of this rule are changed.
        rule: the rule.
        findings: for whom it holds now.
        now: seconds since the epoch.
        quietly: take what is found as known; what a rule for new things begins with.

    Returns:
        What is to be told.
    """
    instant = KINDS[rule.when].instant
    changes: list[Change] = []
    holding = {finding.subject: finding for finding in findings}
    for subject, finding in holding.items():
        state = states.get((rule.name, subject))
        if state is None:
            state = State(rule=rule.name, subject=subject, since=now, seen=now)
            states[rule.name, subject] = state
        state.seen = now
        state.clear = None
        state.title = finding.title
        state.project = finding.project
        if state.fired is None and (instant or now - state.since >= rule.hold):
            state.fired = now
            if quietly:
                state.told = True
            else:
                changes.append(Change("fired", state, finding))
    for key, state in list(states.items()):
        if state.rule != rule.name or state.subject in holding:
            continue
        if state.fired is None:
            del states[key]
        elif instant:
            if now - state.seen > REMEMBER:
                del states[key]
        else:
            if state.clear is None:
                state.clear = now
            if now - state.clear >= max(rule.hold, SETTLE):
                del states[key]
                changes.append(Change("resolved", state))
    return changes


def without_rules(states: States, rules: Iterable[Rule]) -> States:
    """Keep the states of rules that are still there and of the same kind of thing."""
    names = {rule.name for rule in rules}
    return {key: state for key, state in states.items() if state.rule in names}


def to_data(states: States) -> list[dict[str, Any]]:
    """Give states as plain data; :func:`from_data` reads them back."""
    return [asdict(state) for state in states.values()]


def from_data(data: Iterable[Mapping[str, Any]]) -> States:
    """Read states that :func:`to_data` gave; what it does not know, it leaves out."""
    known = set(State.__dataclass_fields__)
    states: States = {}
    for one in data:
        values = {name: value for name, value in one.items() if name in known}
        if {"rule", "subject", "since", "seen"} <= values.keys():
            state = State(**values)
            states[state.rule, state.subject] = state
    return states
