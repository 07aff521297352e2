"""What the comparison of requests found, as a table and a picture in ``docs/performance.md``.

``python -m benchmarks.request_report`` makes both once more from ``docs/request.json``. Everything
is compared within a round, and shown as the median of all rounds of all runs, with the least and
the most.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.document import PERFORMANCE, put_into
from benchmarks.sink_process import ROOT
from benchmarks.svg import COLOURS, GREY, bar, grid_line, picture, round_up, text, whisker
from benchmarks.table import Table

JSON = ROOT / "docs" / "request.json"
PICTURE = ROOT / "docs" / "images" / "request.svg"
MARKS = "requests"

BARE, FLOOR, STOCK, OURS = "bare", "python-json-logger", "stock, HTTP", "ours, HTTP"
# What is asked for in a closed loop: of what stock adds, of what two lines of JSON add, and of
# bare's slowest hundredth.
FIRST_MARK, GOAL, P99_GOAL = 1 / 8, 1.0, 1.5


@dataclass(frozen=True)
class Cost:
    """One process's result.

    Attributes:
        cpu: seconds of processor that a request took, of the whole process.
        p50, p99: seconds to the answer.
        memory: the process's largest, in bytes.
        logs, spans: how many the sink counted, or a file holds.
    """

    cpu: float
    p50: float
    p99: float
    memory: int
    logs: int
    spans: int
    logs_produced: int
    spans_produced: int


@dataclass
class Round:
    """All set-ups once, in turn; one whose process failed is missing."""

    run: int
    costs: dict[str, Cost]


@dataclass
class Form:
    """One way to ask.

    Attributes:
        rate: requests a second; 0: each as soon as the one before is answered.
        requests: of a set-up in a round.
    """

    rate: float
    requests: int
    rounds: list[Round] = field(default_factory=list)

    @property
    def told(self) -> str:
        """Which way it is."""
        return f"{self.rate:g} requests a second" if self.rate else "closed loop"

    def names(self) -> list[str]:
        """The set-ups with a result, the cheapest first."""
        found = {name for round_ in self.rounds for name in round_.costs}
        return sorted(found, key=lambda name: statistics.median(self.each(name, _cpu)))

    def each(self, name: str, value: Callable[[Cost], float]) -> list[float]:
        """A number of each round's."""
        return [value(each.costs[name]) for each in self.rounds if name in each.costs]

    def pairs(self, name: str, other: str) -> list[tuple[Round, Cost, Cost]]:
        """The rounds that have both."""
        return [
            (each, each.costs[name], each.costs[other])
            for each in self.rounds
            if name in each.costs and other in each.costs
        ]

    def ratios(self, name: str, other: str, value: Callable[[Cost], float]) -> list[float]:
        """By round, a number of one in relation to that of the other."""
        return [value(one) / value(of) for _, one, of in self.pairs(name, other)]

    def added(self, name: str, run: int | None = None) -> list[float]:
        """By round, the microseconds of processor that a request took more than bare."""
        return [
            (one.cpu - bare.cpu) * 1e6
            for each, one, bare in self.pairs(name, BARE)
            if run in (None, each.run)
        ]

    def shares(self, name: str, of: str, run: int | None = None) -> list[float]:
        """By round, what one adds to bare in relation to what another adds."""
        return [
            (one.cpu - each.costs[BARE].cpu) / (other.cpu - each.costs[BARE].cpu)
            for each, one, other in self.pairs(name, of)
            if BARE in each.costs and run in (None, each.run)
        ]


@dataclass(frozen=True)
class Told:
    """What is known of a set-up: what it does, and the versions in its environment."""

    does: str
    versions: dict[str, str]


@dataclass
class Measured:
    """Everything that was found."""

    date: str
    machine: str
    variants: dict[str, Told]
    forms: list[Form]

    def json(self) -> str:
        """All of it for a program."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, content: str) -> Measured:
        """Read it again."""
        found: dict[str, Any] = json.loads(content)
        return cls(
            found["date"],
            found["machine"],
            {name: Told(**told) for name, told in found["variants"].items()},
            [
                Form(
                    form["rate"],
                    form["requests"],
                    [
                        Round(
                            each["run"],
                            {name: Cost(**cost) for name, cost in each["costs"].items()},
                        )
                        for each in form["rounds"]
                    ],
                )
                for form in found["forms"]
            ],
        )


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, the least and the most; nothing where there is no value."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return (
        f"{statistics.median(values):.{digits}f}"
        f" ({min(values):.{digits}f} to {max(values):.{digits}f})"
    )


def delivered(costs: Iterable[Cost]) -> str:
    """How much of what was produced arrived, by signal."""
    found = list(costs)
    signals = {
        "logs": (sum(c.logs for c in found), sum(c.logs_produced for c in found)),
        "spans": (sum(c.spans for c in found), sum(c.spans_produced for c in found)),
    }
    produced = {signal: pair for signal, pair in signals.items() if pair[1]}
    if not produced:
        return ""
    return "; ".join(
        f"all {want:,} {signal}" if got == want else f"**{got / want:.1%}** of {want:,} {signal}"
        for signal, (got, want) in produced.items()
    )


def _cpu(cost: Cost) -> float:
    return cost.cpu


def _p50(cost: Cost) -> float:
    return cost.p50


def _p99(cost: Cost) -> float:
    return cost.p99


def markdown(measured: Measured) -> str:
    """The tables, the machine and the versions."""
    where = f"{measured.machine}; {measured.date}."
    parts = [f"{where} Medians of all rounds, with the least and the most; {_COMPARED}."]
    for form in measured.forms:
        parts += [_caption(form), _table(form)]
    closed = measured.forms[0]
    if len({each.run for each in closed.rounds}) > 1:
        parts += [_RUNS, _by_run(closed)]
    parts += [f"![{_ALT}](images/{PICTURE.name})", _versions(measured)]
    return "\n\n".join(parts)


_COMPARED = "what is compared is compared within a round"
_RUNS = (
    "Each run by itself: the microseconds that a request took more than bare Flask's, and that in"
    " relation to what stock added in the same rounds (medians)."
)
_ALT = "Processor time that a request takes more than bare Flask's, and its slowest hundredth"


def _caption(form: Form) -> str:
    runs = len({each.run for each in form.rounds})
    how = (
        f"{form.rate:g} requests a second"
        if form.rate
        else "each request as soon as the one before is answered"
    )
    return (
        f"**{how[0].upper()}{how[1:]}**: {form.requests:,} requests of each set-up in a round,"
        f" {_counted(len(form.rounds), 'round')} in {_counted(runs, 'run')}."
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


_COLUMNS = (
    "CPU, µs",
    "more than bare",
    "of what stock adds",
    "of what JSON lines add",
    "p50, µs",
    "p99, µs",
    "p99 against bare",
    "peak memory, MB",
    "delivered of produced",
)


def _table(form: Form) -> str:
    lines = [f"| | {' | '.join(_COLUMNS)} |", "| --- |" + " --- |" * len(_COLUMNS)]
    for name in form.names():
        others = name not in (BARE, FLOOR)
        cells = [
            _marked(name),
            f"{statistics.median(form.each(name, _cpu)) * 1e6:.0f}",
            spread(form.added(name), 0) if name != BARE else "",
            spread(form.shares(name, STOCK), 2) if name not in (BARE, STOCK) else "",
            spread(form.shares(name, FLOOR), 1) if others else "",
            f"{statistics.median(form.each(name, _p50)) * 1e6:.0f}",
            f"{statistics.median(form.each(name, _p99)) * 1e6:.0f}",
            spread(form.ratios(name, BARE, _p99)) if name != BARE else "",
            f"{statistics.median(form.each(name, lambda cost: cost.memory)) / 1e6:.0f}",
            delivered(each.costs[name] for each in form.rounds if name in each.costs),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _by_run(form: Form) -> str:
    runs = sorted({each.run for each in form.rounds})
    lines = [
        f"| | {' | '.join(f'run {run}' for run in runs)} |",
        "| --- |" + " --- |" * len(runs),
    ]
    for name in form.names():
        if name == BARE:
            continue
        cells = []
        for run in runs:
            added, shares = form.added(name, run), form.shares(name, STOCK, run)
            share = f" ({statistics.median(shares):.2f})" if shares else ""
            cells.append(f"{statistics.median(added):.0f}{share}" if added else "")
        lines.append(f"| {_marked(name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _marked(name: str) -> str:
    return f"**{name}**" if name.startswith("ours") else name


def _versions(measured: Measured) -> str:
    """What each set-up does, and the versions in its environment."""
    pythons = sorted({told.versions["Python"] for told in measured.variants.values()})
    lines = [
        f"Python {', '.join(pythons)}.",
        "",
        "| | what it does | versions |",
        "| --- | --- | --- |",
    ]
    for name, told in measured.variants.items():
        versions = ", ".join(f"{p} {v}" for p, v in told.versions.items() if p != "Python")
        lines.append(f"| {_marked(name)} | {told.does} | {versions} |")
    return "\n".join(lines)


_NAMES, _BARS, _NUMBERS, _ROW, _TOP = 130, 270, 90, 22, 52


def drawing(form: Form) -> str:
    """Bars of the processor time that each set-up adds, and of its slowest hundredth."""
    names = [name for name in form.names() if form.added(name)]
    height = _TOP + _ROW * len(names) + 24
    parts = [
        text(12, 20, f"A Flask request with two log records, {form.told}", look="ink", size=14)
    ]
    added = {name: form.added(name) for name in names if name != BARE}
    p99 = {name: form.ratios(name, BARE, _p99) for name in names}
    bottom = height - 24
    left = _NAMES
    for title, values in (
        ("µs of processor more than bare Flask", added),
        ("p99 to the answer, times bare Flask's", p99),
    ):
        most = round_up(max(max(each) for each in values.values()))
        scale = _BARS / most
        parts.append(text(left, _TOP - 14, title, look="ink"))
        for share in (0.0, 0.5, 1.0):
            x = left + _BARS * share
            parts += [
                grid_line(x, _TOP - 6, x, bottom),
                text(x, bottom + 14, f"{most * share:g}", anchor="middle"),
            ]
        for place, name in enumerate(names):
            y = _TOP + _ROW * place
            if left == _NAMES:
                parts.append(
                    text(
                        _NAMES - 8,
                        y + 13,
                        name,
                        anchor="end",
                        look="ink" if name.startswith("ours") else "muted",
                    )
                )
            if name not in values:
                continue
            low, middle, high = (f(values[name]) for f in (min, statistics.median, max))
            colour = COLOURS[0] if name.startswith("ours") else GREY
            parts += [
                bar(left, y + 3, max(middle, 0) * scale, _ROW - 8, colour),
                whisker(left + max(low, 0) * scale, left + high * scale, y + _ROW / 2 - 1),
                text(left + high * scale + 6, y + 13, f"{middle:.{0 if values is added else 1}f}"),
            ]
        left += _BARS + _NUMBERS
    return picture(_NAMES + 2 * (_BARS + _NUMBERS), height, parts)


def add_rows(table: Table, measured: Measured) -> None:
    """Add one row a set-up to a table, and what is asked of ours."""
    for form in measured.forms:
        what = f"a Flask request, {form.told}"
        for name in form.names():
            costs = [each.costs[name] for each in form.rounds if name in each.costs]
            parts = [f"{statistics.median(c.cpu for c in costs) * 1e6:.0f} us of CPU"]
            if name != BARE and form.added(name):
                parts.append(f"{spread(form.added(name), 0)} more than bare")
                parts.append(f"p99 {spread(form.ratios(name, BARE, _p99))} times bare's")
            if name not in (BARE, STOCK) and (shares := form.shares(name, STOCK)):
                parts.append(f"adds {spread(shares, 2)} times what stock adds")
            parts.append(f"{statistics.median(c.memory for c in costs) / 1e6:.0f} MB")
            if told := delivered(costs):
                parts.append(f"delivered {told}")
            table.add(f"{what}, {name}", "", "; ".join(parts))
        if not form.rate:
            _judge(table, form)


def _judge(table: Table, form: Form) -> None:
    """Add what is asked of ours, and whether it is so."""
    for name, values, most, asked in (
        ("CPU added, of what stock adds", form.shares(OURS, STOCK), FIRST_MARK, "first mark"),
        ("CPU added, of what JSON lines add", form.shares(OURS, FLOOR), GOAL, "goal"),
        ("p99 against bare", form.ratios(OURS, BARE, _p99), P99_GOAL, "goal"),
    ):
        if values:
            met = statistics.median(values) <= most
            table.add(
                f"ours, the same records: {name}", f"{asked}: {most:g}", spread(values, 2), met
            )


def write(measured: Measured) -> None:
    """Keep the result, and put its tables and its picture into the documents."""
    JSON.write_text(measured.json())
    PICTURE.write_text(drawing(measured.forms[0]))
    put_into(PERFORMANCE, MARKS, markdown(measured))
    print(
        f"wrote {', '.join(str(path.relative_to(ROOT)) for path in (JSON, PICTURE, PERFORMANCE))}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, default=JSON, metavar="FILE")
    write(Measured.read(parser.parse_args().json.read_text()))


if __name__ == "__main__":
    main()
