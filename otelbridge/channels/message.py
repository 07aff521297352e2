"""What a channel carries to a person: one message, as data."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, get_args

Severity = Literal["info", "warning", "error", "critical"]
TracebackForm = Literal["full", "clean", "minimal", "none"]

SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
TRACEBACK_FORMS: Final[tuple[TracebackForm, ...]] = get_args(TracebackForm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, the same whichever service carries it.

    Attributes:
        title: one line that says what happened.
        text: more of it, as plain text; never read as markup by any service.
        tracebacks: the error's traceback by form (``full``, ``clean``, ``minimal``); each
            destination is sent the form it asks for.
        project: the service it is about.
        authors: whom to mention, as the service names people.
        severity: how bad it is; ``critical`` also comes through in quiet hours.
        link: an http(s) address with more, such as the error's group on the page.
        key: what makes two messages the same error; the title, where it is not given.
        count: how many more of the same came that are not told one by one.
        time: when it happened, in seconds since the epoch.
        id: the message's own id; a resend carries the same.
    """

    title: str
    text: str = ""
    tracebacks: Mapping[str, str] = field(default_factory=dict)
    project: str = ""
    authors: tuple[str, ...] = ()
    severity: Severity = "info"
    link: str | None = None
    key: str = ""
    count: int = 0
    time: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def same_as(self) -> str:
        """What other messages are compared by when they are grouped."""
        return self.key or f"{self.project}\0{self.title}\0{self.severity}"

    @property
    def heading(self) -> str:
        """The title on one line, with the project before it."""
        title = " ".join(self.title.split()) or "(no title)"
        return f"{self.project}: {title}" if self.project else title

    @property
    def more(self) -> str:
        """What stands for the messages that are not told one by one, or nothing."""
        return f"and {self.count:,} more" if self.count else ""

    def traceback(self, form: TracebackForm = "full") -> str:
        """Take the traceback in a form; where it was not made, the next shorter or longer one."""
        if form == "none":
            return ""
        order = {
            "full": ("full", "clean", "minimal"),
            "clean": ("clean", "full", "minimal"),
            "minimal": ("minimal", "clean", "full"),
        }[form]
        return next((self.tracebacks[name] for name in order if self.tracebacks.get(name)), "")

    @property
    def size(self) -> int:
        """About how many bytes it holds, for bounded queues."""
        texts = (self.title, self.text, *self.tracebacks.values())
        return 500 + sum(len(text) for text in texts)

    def with_(self, **changes: Any) -> Message:
        """Copy it with some attributes changed."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data; :func:`from_dict` reads it back."""
        data = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return {**data, "tracebacks": dict(self.tracebacks), "authors": list(self.authors)}


def from_dict(data: Mapping[str, Any]) -> Message:
    """Read a message that :meth:`Message.as_dict` gave; what it does not know, it leaves out.

    Raises:
        ValueError: the data is not a message's.
    """
    known = {spec.name for spec in fields(Message)}
    values = {name: value for name, value in data.items() if name in known}
    if not isinstance(values.get("title"), str):
        raise ValueError("a message has a title")
    if values.get("severity", "info") not in SEVERITIES:
        values["severity"] = "info"
    values["authors"] = tuple(str(author) for author in values.get("authors", ()))
    values["tracebacks"] = {
        str(form): str(text) for form, text in dict(values.get("tracebacks", {})).items()
    }
    return Message(**values)
