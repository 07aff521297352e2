"""Errors that are not sent, because the program or its operator said so; counted all the same."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, TypeAlias

from otelbridge.records.message import message_text
from otelbridge.records.tracebacks import is_group, members
from otelbridge.records.values import text_of, type_name

What: TypeAlias = "type[BaseException] | str | re.Pattern[str]"

# So much of a message is searched: a regular expression of the user's may be slow.
_MAX_CHARS: Final = 10_000

_LOGGER: Final = "logger:"


class Rule(NamedTuple):
    """One thing that is excluded.

    Attributes:
        text: as it was written, for counting.
        matches: tells by the exception, if there is one, and the message.
        logger: only what this logger, or one below it, logs; empty for every logger.
    """

    text: str
    matches: Callable[[BaseException | None, str], bool]
    logger: str = ""


class Exclusions:
    """What a process excludes.

    Attributes:
        counted: how many errors each rule kept from being sent.
    """

    def __init__(self) -> None:
        """Exclude nothing yet."""
        self.counted: dict[str, int] = {}
        self._rules: dict[tuple[str, str], Rule] = {}

    def exclude(self, *what: What, logger: str = "") -> None:
        """Do not send errors that are one of these.

        The program's own logs and what it prints stay as they are. What is excluded is counted.

        Args:
            what: a class, with all that derive from it; a text: the name of a class
                (``"ValueError"``, ``"shop.orders.Declined"``), again with all that derive from
                it, or whole words of the message (``"502 Bad Gateway"``); or a compiled regular
                expression, which is searched for in ``Type: message``.
            logger: only errors that this logger, or one below it, logs; with nothing else, all of
                them. The loggers of uncaught errors are ``sys.excepthook`` and so on.

        Raises:
            TypeError: for anything else.
        """
        if not what and logger:
            self._add(Rule(f"{_LOGGER}{logger}", lambda *_: True, logger))
        for each in what:
            self._add(_rule(each, logger))

    def read(self, given: str | Iterable[Any] | None) -> None:
        """Exclude what a setting lists.

        Args:
            given: a list of what :meth:`exclude` takes, or a text with semicolons or line ends
                between its entries: ``ValueError; 502 Bad Gateway; /timed? out/; logger:noisy``.

        Raises:
            ValueError: a regular expression is none.
        """
        if not isinstance(given, str):
            for each in given or ():
                self.exclude(each)
            return
        for entry in filter(None, map(str.strip, re.split(r"[;\n]", given))):
            if entry.startswith(_LOGGER):
                self.exclude(logger=entry[len(_LOGGER) :].strip())
            elif len(entry) > 2 and entry[0] == entry[-1] == "/":
                try:
                    self.exclude(re.compile(entry[1:-1]))
                except re.error as error:
                    raise ValueError(f"{entry} is no regular expression: {error}") from None
            else:
                self.exclude(entry)

    def excludes(self, record: logging.LogRecord) -> bool:
        """Tell whether a record of an error is excluded, and count it if it is."""
        if not self._rules:
            return False
        carried: Any = record.exc_info
        exception = carried[1] if isinstance(carried, tuple) else carried
        if not isinstance(exception, BaseException):
            exception = None
        message = message_text(record, _MAX_CHARS)
        for rule in tuple(self._rules.values()):
            if rule.logger and not f"{record.name}.".startswith(f"{rule.logger}."):
                continue
            if self._applies(rule, exception, message):
                self.counted[rule.text] = self.counted.get(rule.text, 0) + 1
                return True
        return False

    def _applies(self, rule: Rule, exception: BaseException | None, message: str) -> bool:
        try:
            if rule.matches(exception, message):
                return True
            if exception is None or not is_group(exception):
                return False
            # A group of nothing but excluded errors is excluded too.
            inner = members(exception)
            return bool(inner) and all(self._applies(rule, member, "") for member in inner)
        except Exception:
            # An exception's own attributes may raise; it is then sent rather than lost.
            return False

    def _add(self, rule: Rule) -> None:
        self._rules[rule.text, rule.logger] = rule


def _rule(what: Any, logger: str) -> Rule:
    if isinstance(what, type) and issubclass(what, BaseException):
        kind: type[BaseException] = what
        return Rule(type_name(kind), lambda exception, _: isinstance(exception, kind), logger)
    if isinstance(what, re.Pattern):
        pattern: re.Pattern[str] = what
        return Rule(
            f"/{pattern.pattern}/",
            lambda exception, message: (
                pattern.search(_line(exception) or message) is not None
                or pattern.search(message) is not None
            ),
            logger,
        )
    if isinstance(what, str) and what.strip():
        text = what.strip()
        return Rule(
            text,
            lambda exception, message: (
                _is_named(exception, text)
                or _has_words(_text(exception), text)
                or _has_words(message, text)
            ),
            logger,
        )
    raise TypeError(
        f"exclude() takes classes of exceptions, texts and compiled regular expressions,"
        f" not {what!r}"
    )


def _text(exception: BaseException | None) -> str:
    return "" if exception is None else text_of(exception)[:_MAX_CHARS]


def _line(exception: BaseException | None) -> str:
    return "" if exception is None else f"{type_name(type(exception))}: {_text(exception)}"


def _is_named(exception: BaseException | None, name: str) -> bool:
    if exception is None:
        return False
    return any(name in {kind.__name__, type_name(kind)} for kind in type(exception).__mro__[:-1])


def _has_words(text: str, words: str) -> bool:
    """Tell whether a text holds words as such: ``foo`` is not in ``food.py``."""
    at = text.find(words)
    while at >= 0:
        end = at + len(words)
        before, after = text[at - 1 : at] if at else "", text[end : end + 1]
        if not (_joins(before, words[0]) or _joins(words[-1], after)):
            return True
        at = text.find(words, at + 1)
    return False


def _joins(left: str, right: str) -> bool:
    """Tell whether two characters belong to one word."""
    return all(side.isalnum() or side == "_" for side in (left, right))


# What this process excludes; filled before telemetry starts as well as after.
exclusions: Final = Exclusions()
exclude = exclusions.exclude
