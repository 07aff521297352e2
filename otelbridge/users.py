"""Who may sign in to the page by name and password."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from otelbridge.bridge_state import StateFile
from otelbridge.settings import Settings, SettingsError

_logger = logging.getLogger("otelbridge.users")

SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = 1024
LONGEST_NAME: Final = 100

# What OWASP's Password Storage Cheat Sheet asks of scrypt, in the form that needs 32 MB.
_COST: Final = {"n": 2**15, "r": 8, "p": 3}
_MEMORY: Final = 2**26
_SALT_BYTES: Final = 16


class UserError(ValueError):
    """A user cannot be added or removed; its text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """A password as it is kept.

    Attributes:
        n, r, p: what scrypt cost when it was made (RFC 7914, section 2).
    """

    salt: bytes
    hash: bytes
    n: int
    r: int
    p: int

    def matches(self, password: str) -> bool:
        """Tell whether it is of this password; takes some tenths of a second."""
        return hmac.compare_digest(_hash(password, self.salt, self.n, self.r, self.p), self.hash)


class Users:
    """The users of a bridge, kept in a file that another process may change meanwhile.

    Args:
        path: the file.
        login: one more user, with the password, who is not kept.
    """

    def __init__(self, path: Path, login: tuple[str, str] | None = None) -> None:
        self._path = path
        self._file = StateFile(path)
        self._extra: dict[str, Hashed] = {}
        if login is not None:
            name, password = login
            # The salt stays the same, so that a session outlives a restart; nobody sees the hash.
            salt = hashlib.sha256(f"otelbridge {name}".encode()).digest()[:_SALT_BYTES]
            self._extra[name] = make_hash(password, salt)
        self._read_as: tuple[int, int, int] | None = None
        self._kept: dict[str, Hashed] = {}
        self._problem = ""
        self._reading = threading.Lock()
        # Each hash takes 32 MB, so that only one is made at a time, however many ask.
        self._hashing = threading.Lock()
        self._nobody = Hashed(secrets.token_bytes(_SALT_BYTES), b"", **_COST)

    def names(self) -> list[str]:
        """List the users' names."""
        return sorted(self._all())

    def __bool__(self) -> bool:
        """Whether there are any, or a file that may hold some and cannot be read."""
        return bool(self._all()) or bool(self._problem)

    def key(self, name: str) -> bytes | None:
        """Give what a user's session is signed with; another password has another.

        Returns:
            ``None`` where there is no such user (any more).
        """
        found = self._all().get(name)
        return found.hash if found is not None else None

    def check(self, name: str, password: str) -> bool:
        """Tell whether a user has this password.

        It takes some tenths of a second, as long for a name that is not known.
        """
        found = self._all().get(name)
        if len(password) > LONGEST_PASSWORD:
            return False
        with self._hashing:
            return (found or self._nobody).matches(password) and found is not None

    def add(self, name: str, password: str) -> bool:
        """Add a user, or give one another password.

        Returns:
            Whether the user is new.

        Raises:
            UserError: the name or the password is not allowed.
            OSError: it could not be kept.
        """
        _check_name(name)
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise UserError(
                f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters"
            )
        kept = dict(self._kept_now())
        self._refuse_damage()
        new = name not in kept
        kept[name] = make_hash(password)
        self._file.save({one: _as_data(hashed) for one, hashed in kept.items()})
        return new

    def remove(self, name: str) -> None:
        """Remove a user, whose sessions end with it.

        Raises:
            UserError: there is none of this name.
            OSError: it could not be kept.
        """
        kept = dict(self._kept_now())
        self._refuse_damage()
        if kept.pop(name, None) is None:
            known = ", ".join(kept) or "none"
            raise UserError(f"there is no user {name!r}; there are: {known}")
        self._file.save({one: _as_data(hashed) for one, hashed in kept.items()})

    def _all(self) -> Mapping[str, Hashed]:
        return {**self._kept_now(), **self._extra}

    def _kept_now(self) -> dict[str, Hashed]:
        with self._reading:
            stamp = self._stamp()
            if stamp != self._read_as:
                self._read_as = stamp
                self._problem = ""
                try:
                    self._kept = _from_data(json.loads(self._path.read_text("utf-8")))
                except FileNotFoundError:
                    self._kept = {}
                except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
                    # Whoever was known stays known: a file that is spoiled must open no door.
                    self._problem = f"{self._path} cannot be read: {error}"
                    _logger.warning("users stay as they were: %s", self._problem)
            return self._kept

    def _refuse_damage(self) -> None:
        if self._problem:
            raise UserError(f"{self._problem}; move it away and add the users again")

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def users_of(settings: Settings, folder: Path) -> Users:
    """Open the users that a bridge's settings and its folder of state hold.

    Raises:
        SettingsError: a login without a password, or the other way round.
    """
    if (settings.login is None) != (settings.password is None):
        raise SettingsError("OTELBRIDGE_LOGIN and OTELBRIDGE_PASSWORD are set together")
    login = None
    if settings.login is not None and settings.password is not None:
        login = (settings.login, settings.password)
    return Users(folder / "users.json", login)


def make_hash(password: str, salt: bytes | None = None) -> Hashed:
    """Hash a password, with a salt of its own where none is given."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    return Hashed(salt, _hash(password, salt, **_COST), **_COST)


def _hash(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY
    )


def _check_name(name: str) -> None:
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or ":" in name:
        # RFC 7617, section 2: a colon ends the name.
        raise UserError(f"a name has up to {LONGEST_NAME} characters that print, and no colon")
    if name != name.strip():
        raise UserError("a name neither begins nor ends with a space")


def _as_data(hashed: Hashed) -> dict[str, Any]:
    return {
        "salt": hashed.salt.hex(),
        "hash": hashed.hash.hex(),
        "n": hashed.n,
        "r": hashed.r,
        "p": hashed.p,
    }


def _from_data(data: Any) -> dict[str, Hashed]:
    return {
        str(name): Hashed(
            bytes.fromhex(one["salt"]),
            bytes.fromhex(one["hash"]),
            int(one["n"]),
            int(one["r"]),
            int(one["p"]),
        )
        for name, one in data.items()
    }
