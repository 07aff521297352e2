"""The words of a text, exactly as the full-text index takes them from it.

Which characters make words, and what their lower case is, depends on the SQLite library's own
tables. So SQLite itself is asked, a block of characters at a time and once for each.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from otelbridge.search.pattern import matches

# The same as the index's own, see the tables.
TOKENIZE: Final = "unicode61 remove_diacritics 0 tokenchars '_'"

# One word of a pattern: its pieces, between which any characters stand.
TokenPattern = list[str]

_BLOCK: Final = 128


class _Alphabet(dict[int, str]):
    """What each character is in a word: itself in lower case, or a space where it ends the word.

    Attributes:
        marks: characters that continue a word but cannot begin one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.marks = ""
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None
        )
        self._connection.execute(
            f'CREATE VIRTUAL TABLE probe USING fts5 (words, tokenize="{TOKENIZE}")'
        )
        self._connection.execute("CREATE VIRTUAL TABLE found USING fts5vocab (probe, instance)")

    def __missing__(self, code: int) -> str:
        with self._lock:
            if code not in self:
                self._ask(code // _BLOCK * _BLOCK)
        return self[code]

    def _ask(self, first: int) -> None:
        codes = range(first, first + _BLOCK)
        texts = {code: chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF}
        within = self._terms((code, f"a{text}b") for code, text in texts.items())
        alone = self._terms(texts.items())
        marks = self.marks
        answers = {}
        for code in codes:
            terms = within.get(code, [])
            answers[code] = terms[0][1:-1] if len(terms) == 1 else " "
            if len(terms) == 1 and code not in alone:
                marks += answers[code]
        # Marks first: another thread may read an answer as soon as it is there.
        self.marks = marks
        self.update(answers)

    def _terms(self, texts: Iterable[tuple[int, str]]) -> dict[int, list[str]]:
        self._connection.execute("BEGIN")
        try:
            self._connection.executemany("INSERT INTO probe (rowid, words) VALUES (?, ?)", texts)
            found: dict[int, list[str]] = {}
            for term, code in self._connection.execute("SELECT term, doc FROM found"):
                found.setdefault(code, []).append(term)
            return found
        finally:
            self._connection.execute("ROLLBACK")


@cache
def _alphabet() -> _Alphabet:
    return _Alphabet()


def tokens(text: str) -> list[str]:
    """Split a text into its words, in lower case."""
    alphabet = _alphabet()
    found = text.translate(alphabet).split(" ")
    marks = alphabet.marks
    if marks and not text.isascii():
        found = [word.lstrip(marks) for word in found]
    return [word for word in found if word]


def token_patterns(pieces: Sequence[str]) -> list[TokenPattern]:
    """Split a pattern into patterns of one word each: ``pay*-id`` is ``pay*`` and ``id``."""
    alphabet = _alphabet()
    current: TokenPattern = [""]
    found = [current]
    for number, piece in enumerate(pieces):
        if number:
            current.append("")
        head, *others = piece.translate(alphabet).split(" ")
        current[-1] += head
        for other in others:
            current = [other]
            found.append(current)
    for pattern in found:
        pattern[0] = pattern[0].lstrip(alphabet.marks)
    return [pattern for pattern in found if pattern != [""]]


def contains(words: Sequence[str], sequence: Sequence[TokenPattern]) -> bool:
    """Whether words that fit the patterns follow one another somewhere among ``words``."""
    if all(len(pattern) == 1 for pattern in sequence):
        # No word holds a space, so that this is a search among whole words.
        wanted = " ".join(pattern[0] for pattern in sequence)
        return f" {wanted} " in f" {' '.join(words)} "
    last = len(words) - len(sequence)
    return any(
        all(matches(pattern, words[start + at]) for at, pattern in enumerate(sequence))
        for start in range(last + 1)
    )
