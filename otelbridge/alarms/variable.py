"""Rules in an environment variable: ``new-error; error-rate above=5% over=5m to=ops``."""

from __future__ import annotations

import shlex
from typing import Any

from otelbridge.alarms.rules import Rule, RuleError, make_rule


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Read rules with semicolons between them.

    Each is what it watches and ``key=value`` pairs, with the keys of a file of rules. Values with
    spaces stand in quotes. Without ``name=...`` a rule is called by its own text.

    Raises:
        RuleError: naming the rule, the key and what is allowed.
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise RuleError(f"{str(error).lower()}; quotes come in pairs") from None
    rules: list[Rule] = []
    for one in _parts(words):
        rule = make_rule(_table(one))
        if any(rule.name == other.name for other in rules):
            raise RuleError(f"two alarms are called {rule.name!r}; give one a name=...")
        rules.append(rule)
    return tuple(rules)


def _parts(words: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word.strip(";"):
            parts[-1].append(word)
        else:
            parts.append([])
    return [part for part in parts if part]


def _table(words: list[str]) -> dict[str, Any]:
    when, *pairs = words
    table: dict[str, Any] = {"name": " ".join(words), "when": when}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise RuleError(f"{when}: {pair!r} is not key=value")
        table[key] = value
    if table.get("resolved") in {"true", "false"}:
        table["resolved"] = table["resolved"] == "true"
    return table
