"""Alarms: rules over what the store holds, told to people through channels."""

from otelbridge.alarms.book import Book, FileBook
from otelbridge.alarms.conditions import Finding, find
from otelbridge.alarms.rules import KINDS, Rule, RuleError, Rules, make_rule, make_rules, read_rules
from otelbridge.alarms.states import Change, State
from otelbridge.alarms.watch import Watch

__all__ = [
    "KINDS",
    "Book",
    "Change",
    "FileBook",
    "Finding",
    "Rule",
    "RuleError",
    "Rules",
    "State",
    "Watch",
    "find",
    "make_rule",
    "make_rules",
    "read_rules",
]
