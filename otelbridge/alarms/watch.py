"""Looking at every rule now and then, and telling what changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from otelbridge.alarms.book import Book
from otelbridge.alarms.conditions import Finding, find
from otelbridge.alarms.evidence import evidence
from otelbridge.alarms.rules import KINDS, Rule
from otelbridge.alarms.states import Change, State, States, advance, without_rules
from otelbridge.channels.courier import Courier
from otelbridge.channels.message import Message
from otelbridge.error_states import ErrorStates
from otelbridge.projects import Project
from otelbridge.store.protocol import Store, StoreError

_logger = logging.getLogger("otelbridge.alarms")

# What was there before a rule for new errors was made is not new.
_BASELINE_SECONDS: Final = 7 * 86400.0
# The subject of the state that says so.
_BASELINE: Final = "\0baseline"


class Watch:
    """Watches over a store by rules.

    Args:
        rules: what to watch.
        store: where records are; reading it blocks, so :meth:`look` belongs on a thread.
        courier: carries what is to be told.
        book: keeps states over a restart.
        page: the address of the page, for links; none without it.
        projects: gives the projects as the page shows them.
        error_states: what people said of groups of errors; without it none is resolved.
        now: the clock, in seconds since the epoch.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        store: Store,
        courier: Courier,
        book: Book,
        *,
        page: str = "",
        projects: Callable[[], list[Project]] | None = None,
        error_states: ErrorStates | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.rules = tuple(rules)
        self.problems: dict[str, str] = {}
        self._store = store
        self._courier = courier
        self._book = book
        self._page = page.rstrip("/")
        self._projects = projects
        self._error_states = error_states
        self._now = now
        self._states: States = without_rules(book.load(), self.rules)
        self._tell_untold()

    def states(self) -> list[State]:
        """List the alarms that wait or fire, those that fire first."""
        shown = [
            state
            for state in self._states.copy().values()
            if state.subject != _BASELINE and not self._is_over(state)
        ]
        return sorted(shown, key=lambda state: (state.fired is None, -(state.fired or state.since)))

    def change_rules(self, rules: Sequence[Rule]) -> None:
        """Watch by other rules from now on; states of rules that stay are kept."""
        kinds = {rule.name: rule.when for rule in self.rules}
        self.rules = tuple(rules)
        # A rule of another kind has only its name from the one before.
        same = [rule for rule in self.rules if kinds.get(rule.name, rule.when) == rule.when]
        self._states = without_rules(self._states, same)
        self.problems = {
            name: text
            for name, text in self.problems.items()
            if any(rule.name == name for rule in self.rules)
        }

    def change_courier(self, courier: Courier) -> None:
        """Hand what is told to another courier from now on."""
        self._courier = courier

    def newest(self, rule: str) -> State | None:
        """Give what a rule told last, over or not."""
        baseline = self._states.get((rule, _BASELINE))
        # What was there before the rule was made was never told.
        before = (baseline.fired or 0.0) if baseline is not None else 0.0
        told = [
            state
            for state in self._states.copy().values()
            if state.rule == rule and (state.fired or 0.0) > before
        ]
        return max(told, key=lambda state: state.fired or 0.0, default=None)

    def look(self) -> list[Change]:
        """Look at every rule once, and hand over what is to be told.

        Returns:
            What changed. A rule that cannot be looked at now keeps its states; why is in
            ``problems``.
        """
        now = self._now()
        changes: list[Change] = []
        for rule in self.rules:
            changes += self._look_at(rule, now)
        # Kept before it is told, and noted after: a kill between tells it again with the same id,
        # which the outbox knows.
        self._save()
        for change in changes:
            self._tell(change)
        if changes:
            self._save()
        return changes

    def _look_at(self, rule: Rule, now: float) -> list[Change]:
        try:
            changes: list[Change] = []
            if rule.when == "new-error" and (rule.name, _BASELINE) not in self._states:
                # What was there before the rule was made is not new.
                wide = _with_window(rule, _BASELINE_SECONDS)
                advance(
                    self._states,
                    rule,
                    self._find(wide, now),
                    now,
                    quietly=True,
                )
                self._states[rule.name, _BASELINE] = State(
                    rule=rule.name, subject=_BASELINE, since=now, seen=now, fired=now, told=True
                )
            else:
                if baseline := self._states.get((rule.name, _BASELINE)):
                    baseline.seen = now
                changes = advance(self._states, rule, self._find(rule, now), now)
        except StoreError as error:
            self._problem(rule, str(error))
            return []
        except Exception as error:
            # One rule that cannot be looked at must not stop the others.
            _logger.exception("alarm %s could not be looked at", rule.name)
            self._problem(rule, f"{type(error).__name__}: {error}")
            return []
        self.problems.pop(rule.name, None)
        return changes

    def _find(self, rule: Rule, now: float) -> list[Finding]:
        return find(rule, self._store, now, self._projects, self._error_states)

    def _problem(self, rule: Rule, text: str) -> None:
        self.problems[rule.name] = text

    def _tell(self, change: Change) -> None:
        rule = next(rule for rule in self.rules if rule.name == change.state.rule)
        if change.what == "resolved" and not (rule.resolved and change.state.told):
            return
        known = {one.name for one in self._courier.destinations}
        to = [name for name in rule.to if name in known]
        # Where none of its destinations is in use, nobody is told; by no name, all are.
        if to or not rule.to:
            self._courier.post(self._message(rule, change), to or None)
        change.state.told = True

    def _tell_untold(self) -> None:
        """Tell what fired just before the bridge was killed."""
        for state in self._states.values():
            if state.fired is not None and not state.told:
                self._tell(Change("fired", state))

    def _message(self, rule: Rule, change: Change) -> Message:
        state, finding = change.state, change.finding
        link = ""
        if self._page:
            link = self._page + evidence(rule, state, lasting=True)[1]
        if change.what == "resolved":
            lasted = round((state.clear or self._now()) - (state.fired or state.since))
            return Message(
                id=f"{state.firing}-resolved",
                title=f"resolved: {state.title or rule.name}",
                text=f"alarm: {rule.name}\nlasted {_minutes(lasted)}",
                severity="info",
                authors=rule.authors,
                key=f"{state.firing} resolved",
                link=link or None,
                time=self._now(),
            )
        text = finding.text if finding is not None else ""
        return Message(
            id=state.firing,
            title=state.title or rule.name,
            text="\n\n".join(part for part in (text, f"alarm: {rule.name}") if part),
            tracebacks=dict(finding.tracebacks) if finding is not None else {},
            severity=rule.severity,
            authors=rule.authors,
            key=state.firing,
            link=link or None,
            time=state.fired or self._now(),
        )

    def _is_over(self, state: State) -> bool:
        rule = next((rule for rule in self.rules if rule.name == state.rule), None)
        # What is told once and has no end is not an alarm that is on.
        return rule is None or (KINDS[rule.when].instant and state.fired is not None)

    def _save(self) -> None:
        try:
            self._book.save(self._states)
        except OSError as error:
            if "states" not in self.problems:
                _logger.warning("states of alarms cannot be kept: %s", error.strerror or error)
            self.problems["states"] = f"cannot be kept: {error.strerror or error}"
        else:
            self.problems.pop("states", None)


def _with_window(rule: Rule, seconds: float) -> Rule:
    return replace(rule, over=seconds)


def _minutes(seconds: int) -> str:
    minutes, seconds = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
