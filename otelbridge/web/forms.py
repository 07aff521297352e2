"""Forms: the fields they have, what is wrong with what was typed, and the page they stand on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from otelbridge.web.answers import json_answer
from otelbridge.web.pages import render
from otelbridge.web.state import read_state

LONGEST_NAME: Final = 200
UNUSABLE: Final = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form.

    Attributes:
        kind: what it is drawn as; ``checks`` is one box for each of ``choices``.
        value: text, whether a switch is on, or the boxes that are checked.
        kept: a secret is set and is not shown; left empty, it stays.
        forgettable: it is kept and need not be.
        more: it is folded away until asked for, or wrong.
        problem: what is wrong with it, on one line.
    """

    name: str
    label: str
    kind: Literal["text", "code", "number", "switch", "choice", "checks", "secret"] = "text"
    value: str | bool | Sequence[str] = ""
    help: str = ""
    placeholder: str = ""
    choices: Sequence[str] = ()
    suggestions: Sequence[str] = ()
    required: bool = False
    kept: bool = False
    forgettable: bool = False
    more: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, with what is wrong as a whole."""

    fields: tuple[Field, ...]
    problems: Mapping[str, str] = field(default_factory=dict)

    def marked(self, problems: Mapping[str, str]) -> Form:
        """Put each problem at its field; those of no field stay with the form."""
        names = {one.name for one in self.fields}
        return Form(
            tuple(replace(one, problem=problems.get(one.name, "")) for one in self.fields),
            {name: text for name, text in problems.items() if name not in names},
        )


def typed(values: Mapping[str, Any], name: str, default: object = "") -> str:
    """Give a value as it is typed into a field: a list by commas, ``default`` for none."""
    value = values.get(name)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(default if value is None else value)


def line(value: object) -> str:
    """Make one line of what was typed."""
    return " ".join(str(value or "").split())


def name_problems(name: str, taken: Iterable[str]) -> dict[str, str]:
    """Say what is wrong with a name, by field; nothing where it can be used."""
    if not name:
        return {"name": "it needs a name"}
    if len(name) > LONGEST_NAME or not name.isprintable():
        return {"name": f"allowed: up to {LONGEST_NAME} characters that can be printed"}
    if name in taken:
        return {"name": f"another is called {name!r} already"}
    return {}


def unusable(problems: Mapping[str, str]) -> Response:
    """Answer a program that what it sent cannot be used, and why by field."""
    message = next(iter(problems.values()))
    return json_answer({"error": {"message": message, "fields": dict(problems)}}, status=UNUSABLE)


def form_page(
    request: Request,
    form: Form,
    *,
    title: str,
    says: str,
    hidden: Mapping[str, str],
    action: str,
) -> Response:
    """Answer a form's page, with what is wrong beside its fields."""
    wrong = form.problems or any(one.problem for one in form.fields)
    return render(
        request,
        "alarms/form.html",
        read_state(request, path="/alarms"),
        status=UNUSABLE if wrong else 200,
        view="/alarms",
        title=title,
        says=says,
        form=form,
        hidden=hidden,
        action=action,
    )
