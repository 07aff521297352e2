"""Who is alive: a lock that its owner holds as long as its process lives.

On POSIX a record lock: the system releases it at the process's end, however that comes, and a
forked child does not inherit it. A process would lose it by closing any descriptor of the file, and
gets it again without noticing that it has it: so no file is opened by the process that holds its
lock. Where there are no record locks (Windows, some network file systems), the owner touches the
file now and then, and is taken for dead when it has not done so for long.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

# After so long without a sign of life an owner that cannot lock is taken for dead.
STALE_SECONDS: Final = 600.0

_BUSY: Final = frozenset({errno.EACCES, errno.EAGAIN})
_UNSUPPORTED: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})

# The locks of this process, each with the process that took it: in a child they are another's.
_held: dict[str, int] = {}


class Lock(ABC):
    """A lock that is held, as a file that exists.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        """Remember that this process holds a lock."""
        self.path = path
        self._name = _real_name(path)
        _held[self._name] = os.getpid()

    @abstractmethod
    def held(self) -> bool:
        """Tell whether the file is still there, and the lock this process's."""

    @abstractmethod
    def beat(self) -> None:
        """Give a sign of life."""

    def remove(self) -> None:
        """Remove the file and let go of it."""
        if self.held():
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.let_go()

    def let_go(self) -> None:
        """Let go of the lock and leave the file; in a child of its owner, of the descriptor."""
        if _held.get(self._name) == os.getpid():
            del _held[self._name]


class _RecordLock(Lock):
    """A POSIX record lock on a file that is open."""

    def __init__(self, path: Path, descriptor: int) -> None:
        super().__init__(path)
        self._descriptor = descriptor

    def held(self) -> bool:
        return self._descriptor >= 0 and _same_file(self._descriptor, self.path)

    def beat(self) -> None:
        """The system knows that this process lives."""

    def let_go(self) -> None:
        super().let_go()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _AgeLock(Lock):
    """A file that its owner touches; its content is a random word, to know it by."""

    def __init__(self, path: Path, word: str) -> None:
        super().__init__(path)
        self._word = word

    def held(self) -> bool:
        try:
            return self.path.read_text() == self._word
        except (OSError, ValueError):
            return False

    def beat(self) -> None:
        if self.held():
            with contextlib.suppress(OSError):
                os.utime(self.path)


def take_lock(path: Path, *, new: bool = False) -> Lock | None:
    """Take a lock if no living process has it; the file is made if it is not there.

    Args:
        path: the lock's file.
        new: whether the file must not be there yet.

    Returns:
        ``None`` if it is another's, or this process's already.

    Raises:
        OSError: the file cannot be made.
    """
    if _held.get(_real_name(path)) == os.getpid():
        return None
    try:
        return _take_record_lock(path, new)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return take_age_lock(path, new=new)


if sys.platform == "win32":

    def _take_record_lock(path: Path, new: bool) -> Lock | None:
        raise OSError(errno.ENOSYS, "no record locks")

else:
    import fcntl

    def _take_record_lock(path: Path, new: bool) -> Lock | None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_EXCL if new else 0)
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            return None
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _BUSY:
                return None
            if new:
                path.unlink()
            raise
        if not _same_file(descriptor, path):
            # Whoever had it has removed it meanwhile; it protects nothing any more.
            os.close(descriptor)
            return None
        return _RecordLock(path, descriptor)


def take_age_lock(
    path: Path, *, new: bool = False, stale_seconds: float = STALE_SECONDS
) -> Lock | None:
    """Take a lock as :func:`take_lock` does, going by the file's age."""
    word = secrets.token_hex(8)
    with contextlib.suppress(FileNotFoundError):
        age = time.time() - path.stat().st_mtime
        if new or age < stale_seconds:
            return None
        # Of several that try this at once, one succeeds.
        aside = path.with_name(f"{path.name}.{word}")
        path.rename(aside)
        aside.unlink()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    with os.fdopen(descriptor, "w") as file:
        file.write(word)
    return _AgeLock(path, word)


def _real_name(path: Path) -> str:
    """Name a file so that two ways to its folder are one."""
    return os.path.join(os.path.realpath(path.parent), path.name)  # noqa: PTH118


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
