"""What people said of groups of errors: seen, resolved or ignored; kept over restarts."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from otelbridge.bridge_state import StateFile
from otelbridge.store.protocol import ErrorGroup

# What can be said of a group. "new" takes back what was said before.
Said: TypeAlias = Literal["new", "seen", "resolved", "ignored"]
SAID: Final[tuple[Said, ...]] = get_args(Said)
# What a group then is: one that is seen again after it was resolved is "reopened".
State: TypeAlias = Literal["new", "reopened", "seen", "resolved", "ignored"]
STATES: Final[tuple[State, ...]] = get_args(State)

# Of more the oldest are forgotten.
_MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was said of a group, and when (nanoseconds since the epoch)."""

    said: Said
    at: int


class ErrorStates:
    """The states of groups; safe from any thread.

    Args:
        file: where they are kept.
    """

    def __init__(self, file: StateFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[str, Judgement] = file.load(_read, {})

    def of(self, group: ErrorGroup) -> State:
        """The state of a group."""
        with self._lock:
            judgement = self._known.get(group.fingerprint)
        if judgement is None:
            return "new"
        return "reopened" if self.reopened(group) is not None else judgement.said

    def reopened(self, group: ErrorGroup) -> int | None:
        """When a group that is reopened was resolved (nanoseconds since the epoch)."""
        with self._lock:
            judgement = self._known.get(group.fingerprint)
        if judgement is None or judgement.said != "resolved" or group.last_seen <= judgement.at:
            return None
        return judgement.at

    def say(self, fingerprint: str, said: Said, at: int) -> None:
        """Change the state of a group; returns once it is kept.

        Args:
            at: nanoseconds since the epoch; an error after it reopens what is resolved.

        Raises:
            OSError: it could not be kept, and is as it was.
        """
        with self._lock:
            known = {name: one for name, one in self._known.items() if name != fingerprint}
            if said != "new":
                known[fingerprint] = Judgement(said, at)
            known = dict(list(known.items())[-_MOST:])
            self._file.save({name: {"said": one.said, "at": one.at} for name, one in known.items()})
            self._known = known


def _read(data: Any) -> dict[str, Judgement]:
    found = {}
    for fingerprint, one in data.items():
        if one["said"] not in SAID:
            raise ValueError(f"{one['said']!r} is no state")
        found[fingerprint] = Judgement(one["said"], int(one["at"]))
    return found
