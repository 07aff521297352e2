"""What the full-text index can say of a condition: words that a matching record must hold.

The index keeps no positions, so that its expressions hold single words and beginnings of words
only; order and neighbourhood are for the row to confirm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from otelbridge.store.sqlite.kql_tokens import TokenPattern, token_patterns, tokens
from otelbridge.store.sqlite.kql_values import number_of
from otelbridge.store.sqlite.words import SEVERITY_WORD

# Longer words are cut in the index, so that it cannot tell them apart.
_LONGEST_WORD: Final = 8_000
# Numbers beyond are no JSON numbers of a record.
_LARGEST_NUMBER: Final = 1.7e308


def all_of(expressions: Iterable[str | None]) -> str | None:
    """What must hold where every condition does; ``None`` says nothing about the record."""
    return _join(" AND ", [part for part in expressions if part is not None])


def any_of(expressions: Iterable[str | None]) -> str | None:
    """What must hold where one condition does."""
    parts = list(expressions)
    known = [part for part in parts if part is not None]
    return _join(" OR ", known) if len(known) == len(parts) else None


def but_not(expression: str, unwanted: Sequence[str]) -> str:
    """Records of ``expression`` without those of any of ``unwanted``."""
    return f"({expression} NOT {_join(' OR ', unwanted)})" if unwanted else expression


def sequence(patterns: Sequence[TokenPattern], *, prefixes: bool = True) -> str | None:
    """The words of a phrase, each of them a word or a pattern of one.

    Args:
        prefixes: say of a pattern with which characters it begins; else nothing.
    """
    return all_of(_term(pattern) for pattern in patterns if prefixes or len(pattern) == 1)


def has_prefix(expression: str) -> bool:
    """Whether an expression holds the beginning of a word: no word has a star."""
    return "*" in expression


def is_exact(patterns: Sequence[TokenPattern]) -> bool:
    """Whether the index alone decides: a single word, or the beginning of one."""
    if len(patterns) != 1:
        return False
    pattern = patterns[0]
    start = pattern[0]
    # Words that the index holds for its own purposes are not part of the record.
    hidden = start.startswith(SEVERITY_WORD) or (
        len(pattern) > 1 and SEVERITY_WORD.startswith(start)
    )
    simple = len(pattern) == 1 or (len(pattern) == 2 and not pattern[1])
    return simple and bool(start) and not hidden and len(start) < _LONGEST_WORD


def whole(pieces: Sequence[str], *, prefixes: bool = True) -> str | None:
    """The words of a value that is matched whole, a pattern or a text."""
    if len(pieces) > 1:
        return sequence(token_patterns(pieces), prefixes=prefixes)
    text = pieces[0]
    number = number_of(text)
    texts = {text}
    # 500 also finds 500.0, and the other way round; the index holds them as they are written.
    if number is not None and abs(number) < _LARGEST_NUMBER:
        texts |= {repr(float(number)), repr(int(number))}
    return any_of(all_of(f'"{word}"' for word in _short(tokens(one))) for one in sorted(texts))


def _term(pattern: TokenPattern) -> str | None:
    start = pattern[0]
    if not start or len(start) >= _LONGEST_WORD:
        return None
    return f'"{start}"' if len(pattern) == 1 else f'"{start}" *'


def _short(words: Iterable[str]) -> list[str]:
    return [word for word in words if len(word) < _LONGEST_WORD]


def _join(operator: str, parts: Sequence[str]) -> str | None:
    unique = list(dict.fromkeys(parts))
    if len(unique) < 2:
        return unique[0] if unique else None
    return f"({operator.join(unique)})"
