"""Keeping secrets out of whatever leaves the process.

By name: the value of a key, variable, header or query parameter that is called like a secret is
written ``***``. By look: what is a secret wherever it stands in a text, such as a bearer's token, a
password in an address or a card's number. ``OTELBRIDGE_REDACT`` adds names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus

MASK: Final = "***"

# Of a name that is longer, so many of the last characters tell.
_NAME_CHARS: Final = 100
_SHORT_CHARS: Final = 128

# The last word or words of a name. ``token_count`` is no secret, nor is ``author``.
_LAST_WORDS: Final = (
    r"(?:token|passw(?:or)?d|passwd|pwd|passphrase|passcode|secret|api[_-]?key|access[_-]?key"
    r"|private[_-]?key|secret[_-]?key|auth|authori[sz]ation|credentials?|signature|sig|session"
    r"|session[_-]?id|jwt|cookies?|card[_-]?(?:number|no)|cvv2?|cvc2?)"
)
_SECRET_NAME: Final = re.compile(
    rf"(?:^|[^A-Za-z0-9]|(?<=[a-z0-9])(?=[A-Z]))(?i:{_LAST_WORDS})[\]\"']*(?:#\d+)?$"
)

# --- what a text may hold -------------------------------------------------------------------------
# A first look, for most texts hold nothing of the kind. Substrings are found ten times as fast as
# an expression that ignores case, the faster the shorter the text: so of what stands before an
# equals sign or a colon, where the names are, only the end is searched.
_NAMING: Final = (
    *("key", "pass", "pwd", "secret", "token", "auth", "credential", "sig", "session", "jwt"),
    *("cookie", "cvv", "cvc", "card"),
)
# No name of a secret, nor anything between it and the sign, ends with one of these.
_HARMLESS_ENDS: Final = frozenset(
    ("", *"013456789/.,;-_+*#%&?!()<>{}|", *"abfijkmpquwxz", *"ABFIJKMPQUWXZ")
)
# All names of secrets end with one of these.
_LAST_LETTERS: Final = frozenset(
    (
        *("ken", "ord", "swd", "pwd", "ase", "ode", "ret", "key", "uth", "ion", "ial", "als"),
        *("ure", "sig", "_id", "-id", "nid", "jwt", "kie", "ies", "ber", "_no", "-no", "dno"),
        *("cvv", "vv2", "cvc", "vc2"),
    )
)
_LAST_WORDS_CHARS: Final = len("authorization")
# What an expression takes for the letters i and s where it ignores case, after lower().
_OTHER_CASES: Final = (
    ("\N{LATIN SMALL LETTER DOTLESS I}", "i"),
    ("i\N{COMBINING DOT ABOVE}", "i"),
    ("\N{LATIN SMALL LETTER LONG S}", "s"),
)
_DIGITS: Final = re.compile(r"[2-6]\d(?:[ -]?\d){11}")
# Each digit as 1, and everything else as 0; without what may stand between a card's digits.
_DIGIT_OR_NOT: Final = bytes(b"01"[code in b"0123456789"] for code in range(256))
_LEAST_DIGITS: Final = b"1" * 13
_USER_INFO: Final = re.compile(r"(?<=://)[^/?#@\s]{1,300}@")
_BEARER: Final = re.compile(r"(?i:\b(bearer))(\s+)[\w.~+/=-]{8,}")
_HEADER: Final = re.compile(
    r"(?i:\b((?:proxy-)?authori[sz]ation|(?:set-)?cookie)(\"?'?\s*[:=]\s*))"
    r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\r\n\"'},]+)"
)
_ASSIGNED: Final = re.compile(
    # From where the name begins, or each of its characters would be tried as the first.
    r"(?<![A-Za-z0-9_.\-\[\]])(?P<name>[A-Za-z0-9_.\-\[\]]+)"
    r"(?P<between>\\?[\"']?\s{0,3}(?:=|:)\s{0,3})"
)
_VALUE: Final = re.compile(r"(\\?[\"'])?(?(1)(?:[^\"'\n\\]|\\(?![\"']))*|[^\s,;&\"'<>{}()\[\]]+)")
_JWT: Final = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_PEM: Final = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_CARD: Final = re.compile(r"(?<![\w.-])[2-6]\d(?:[ -]?\d){11,17}(?![\w-]|\.\d)")
# "token: x" is most often a parser's complaint, "password: x" never is.
_SECRET_AFTER_COLON: Final = re.compile(
    r"(?i:passw(?:or)?d|passwd|pwd|passphrase|passcode|secret|api[_-]?key|access[_-]?key"
    r"|private[_-]?key|cvv2?|cvc2?|card[_-]?(?:number|no))$"
)


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Tell by its name whether a key, variable, header or query parameter holds a secret.

    Args:
        name: percent-encoded or not.
    """
    plain = unquote_plus(name)
    return _SECRET_NAME.search(plain) is not None or _is_named(plain)


def may_hold_secret(text: str) -> bool:
    """Tell whether a text is worth a closer look; ``False`` means that it holds no secret."""
    return (
        (
            ("=" in text or ":" in text)
            and (_also() is not None or _names_secret(text) or ("@" in text and "://" in text))
        )
        or "eyJ" in text
        or "-----BEGIN" in text
        or "bearer" in text.lower()
        or (_holds_digits(text) and _holds_card(text))
    )


def _names_secret(text: str) -> bool:
    ends = []
    for piece in text.replace(":", "=").split("=")[:-1]:
        last = piece[-1:]
        if last in _HARMLESS_ENDS:
            continue
        name = piece if last.isalnum() else piece.rstrip().rstrip("\\\"']")
        letters = name[-3:].lower()
        if letters in _LAST_LETTERS or not letters.isascii():
            ends.append(name[-_LAST_WORDS_CHARS:])
    if not ends:
        return False
    words = "\n".join(ends).lower()
    if not words.isascii():
        for other, letter in _OTHER_CASES:
            words = words.replace(other, letter)
    return any(map(words.__contains__, _NAMING))


def _holds_digits(text: str) -> bool:
    if not text.isascii():
        return _DIGITS.search(text) is not None
    content = text.encode()
    if content.translate(_DIGIT_OR_NOT).count(b"1") < len(_LEAST_DIGITS):
        return False
    return _LEAST_DIGITS in content.translate(_DIGIT_OR_NOT, b" -")


def redact_text(text: str) -> str:
    """Write ``***`` for the secrets in a text, in time linear in its length.

    Returns:
        The text itself where it holds none.
    """
    # Short texts repeat: routes, methods, names of hosts and threads.
    redacted = _redact_short(text) if len(text) <= _SHORT_CHARS else _redact(text)
    return text if redacted == text else redacted


def redact_value(name: str, value: Any) -> Any:
    """Write ``***`` for what is secret in plain JSON data.

    Args:
        name: the key it stands under; an empty one for none.
        value: text, number, truth value, ``None``, or lists, tuples and string-keyed dicts of them.

    Returns:
        The data itself where nothing is secret, else a changed copy.
    """
    if value is None or value is True or value is False or value == "":
        return value
    if name and is_secret(name):
        return MASK
    if type(value) is str:
        return redact_text(value)
    if type(value) is dict:
        changed = {key: redact_value(key, member) for key, member in value.items()}
        return changed if _differs(value.values(), changed.values()) else value
    if type(value) is list or type(value) is tuple:
        members = [redact_value("", member) for member in value]
        return members if _differs(value, members) else value
    return value


def _redact(text: str) -> str:
    return _mask(text) if may_hold_secret(text) else text


def _mask(text: str) -> str:
    text = _USER_INFO.sub(f"{MASK}@", text)
    text = _PEM.sub(rf"\1{MASK}\2", text)
    text = _HEADER.sub(rf"\1\2{MASK}", text)
    text = _BEARER.sub(rf"\1\2{MASK}", text)
    text = _JWT.sub(MASK, text)
    text = _redact_assigned(text)
    return _CARD.sub(_card, text)


_redact_short = lru_cache(maxsize=4096)(_redact)


def _differs(before: Any, after: Any) -> bool:
    return any(one is not other for one, other in zip(before, after, strict=True))


def _redact_assigned(text: str) -> str:
    parts, done = [], 0
    for found in _ASSIGNED.finditer(text):
        if found.start() < done or not _is_assigned_secret(found["name"], found["between"]):
            continue
        value = _VALUE.match(text, found.end())
        if value is None:
            continue
        quote = value[1] or ""
        if value[0][len(quote) :] in {"", MASK, "None", "null"}:
            continue
        parts += [text[done : found.end()], quote, MASK]
        done = value.end()
    return "".join([*parts, text[done:]]) if parts else text


def _is_assigned_secret(name: str, between: str) -> bool:
    name = name[-_NAME_CHARS:]
    if not is_secret(name):
        return False
    return ":" not in between or between[0] in "\\\"'" or bool(_SECRET_AFTER_COLON.search(name))


def _holds_card(text: str) -> bool:
    return any(_card(found) is MASK for found in _CARD.finditer(text))


def _card(found: re.Match[str]) -> str:
    digits = [int(character) for character in found[0] if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return MASK if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else found[0]


# --- names of the user's --------------------------------------------------------------------------


class _Names:
    """The names that are secret besides the known ones."""

    matches: Callable[[str], object] | None = None
    read = False


def redact_also(*names: str) -> None:
    """Take more names for secrets, in this process from now on.

    Args:
        names: in any case, ``*`` for any characters; they replace those of ``OTELBRIDGE_REDACT``.
    """
    _Names.read = True
    given = [name.strip() for name in names if name.strip()]
    pattern = "|".join(f"(?:{translate(name)})" for name in given)
    _Names.matches = re.compile(pattern, re.IGNORECASE).match if given else None
    for forget in _forgetting:
        forget()


def when_names_change(forget: Callable[[], object]) -> None:
    """Have a function called when other names are secret than before: to forget what it knew."""
    _forgetting.append(forget)


_forgetting: Final[list[Callable[[], object]]] = [
    is_secret.cache_clear,
    _redact_short.cache_clear,
]


def _also() -> Callable[[str], object] | None:
    if not _Names.read:
        redact_also(*os.environ.get("OTELBRIDGE_REDACT", "").split(","))
    return _Names.matches


def _is_named(name: str) -> bool:
    matches = _also()
    return matches is not None and matches(name) is not None
