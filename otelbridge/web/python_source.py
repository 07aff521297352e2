"""Syntax colours of the source lines in tracebacks."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pygments.lexers.python import PythonLexer
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    String,
    _TokenType,
    is_token_subtype,
)

# A line is a sender's to make; nobody reads the colours of a longer one.
_LONGEST: Final = 500
_CLASSES: Final = (
    (Keyword, "keyword"),
    (Operator.Word, "keyword"),
    (String, "string"),
    (Number, "number"),
    (Comment, "comment"),
    (Name.Builtin, "builtin"),
    (Name.Exception, "builtin"),
)
_LEXER: Final = PythonLexer(stripnl=False, ensurenl=False)


@lru_cache(4096)
def coloured(line: str) -> tuple[tuple[str, str], ...]:
    """Cut a line of Python where its colour changes.

    Args:
        line: as a traceback has it, without its end.

    Returns:
        Pieces of the line, which together are the line, each with what it is: ``keyword``,
        ``string``, ``number``, ``comment``, ``builtin``, or nothing. A line that is too long to be
        read is one piece.
    """
    if len(line) > _LONGEST:
        return (("", line),)
    found: list[tuple[str, str]] = []
    for token, text in _LEXER.get_tokens(line):
        kind = _kind(token)
        if found and found[-1][0] == kind:
            text = found.pop()[1] + text
        found.append((kind, text))
    # The lexer is for whole files: it takes a BOM for none of the text, and "\r" for a line's end.
    if "".join(text for _, text in found) != line:
        return (("", line),)
    return tuple(found)


def _kind(token: _TokenType) -> str:
    return next((name for kind, name in _CLASSES if is_token_subtype(token, kind)), "")
