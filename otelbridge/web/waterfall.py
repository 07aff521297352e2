"""A trace as rows of a waterfall: who called whom, when, and which calls the time went to.

Spans arrive from several clocks and not always all of them. A span whose parent is missing stands
among the roots and says so. A child on another process that seems to begin before its parent, or
after it ended, tells that the two clocks differ: it is moved into its parent, with everything
below it, and says by how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from otelbridge.model import STATUS_ERROR, Span
from otelbridge.store.protocol import StoredLog, StoredSpan, Trace

KIND_CLIENT = 3

# A page is looked at; what is below this many rows is said, not drawn.
LARGEST_WATERFALL = 2000


@dataclass(slots=True, eq=False)
class Node:
    """One span in its place.

    Attributes:
        start: as drawn, in nanoseconds: moved by ``shift`` where clocks differ.
        orphan: it names a parent that has not arrived.
        critical: the stretches of it (start, end) during which the whole trace waited for it.
        below: how many spans are under it.
    """

    stored: StoredSpan
    depth: int = 0
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    logs: list[StoredLog] = field(default_factory=list)
    orphan: bool = False
    shift: int = 0
    critical: list[tuple[int, int]] = field(default_factory=list)
    below: int = 0
    failing_below: bool = False

    @property
    def span(self) -> Span:
        return self.stored.span

    @property
    def start(self) -> int:
        return self.span.time + self.shift

    @property
    def end(self) -> int:
        return self.start + self.span.duration

    @property
    def failed(self) -> bool:
        return self.span.status_code == STATUS_ERROR

    @property
    def service(self) -> str:
        return str(self.span.resource.get("service.name", ""))


@dataclass(slots=True)
class Waterfall:
    """A whole trace, ready to draw.

    Attributes:
        start: of everything drawn, spans and logs.
        culprit: the span where things went wrong: the deepest failing one, the earliest of those.
        loose_logs: logs that belong to no span that has arrived.
        hidden: spans left out because there are too many.
    """

    roots: list[Node]
    start: int
    end: int
    culprit: Node | None
    loose_logs: list[StoredLog]
    total: int
    hidden: int

    def nodes(self) -> Iterator[Node]:
        """Every node, parents before their children."""
        return _walk(self.roots)


def build_waterfall(trace: Trace) -> Waterfall:
    """Put a trace's spans and logs in their places."""
    nodes = {stored.span.span_id: Node(stored) for stored in trace.spans}
    roots = _connect(nodes)
    loose = []
    for stored in trace.logs:
        node = nodes.get(stored.record.span_id) if stored.record.span_id else None
        if node is None:
            loose.append(stored)
        else:
            node.logs.append(stored)
    for node in _walk(roots):
        _align(node)
    for node in reversed(list(_walk(roots))):
        node.below = sum(child.below + 1 for child in node.children)
        node.failing_below = any(child.failed or child.failing_below for child in node.children)
    if roots:
        _mark_critical(max(roots, key=lambda root: root.span.duration))
    hidden = _cut(roots)
    moments = [(node.start, node.end) for node in _walk(roots)]
    moments += [(stored.record.time, stored.record.time) for stored in loose]
    return Waterfall(
        roots=roots,
        start=min((start for start, _ in moments), default=0),
        end=max((end for _, end in moments), default=0),
        culprit=find_culprit(roots),
        loose_logs=loose,
        total=len(nodes),
        hidden=hidden,
    )


def find_culprit(roots: list[Node]) -> Node | None:
    """The failing span that the other failures come from: deepest on its path, then earliest."""
    sources = [
        node
        for node in _walk(roots)
        if node.failed and not any(child.failed or child.failing_below for child in node.children)
    ]
    if not sources:
        return None
    # One that carries the exception says more than one that only has a status.
    return min(sources, key=lambda node: (not has_exception(node), node.start))


def has_exception(node: Node) -> bool:
    """Tell whether an exception was recorded on the span or logged in it."""
    return any(event.name == "exception" for event in node.span.events) or any(
        "exception.type" in stored.record.attributes for stored in node.logs
    )


def _connect(nodes: dict[bytes, Node]) -> list[Node]:
    roots = []
    for node in nodes.values():
        node.parent = nodes.get(node.span.parent_span_id) if node.span.parent_span_id else None
        if node.parent is None:
            node.orphan = bool(node.span.parent_span_id)
            roots.append(node)
        else:
            node.parent.children.append(node)
    reached = set(map(id, _walk(roots)))
    for node in nodes.values():
        # Only spans that name each other as parents hang on no root: cut the circle open.
        if id(node) not in reached and node.parent is not None:
            node.parent.children.remove(node)
            node.parent = None
            node.orphan = True
            roots.append(node)
            reached.update(map(id, _walk([node])))
    for node in nodes.values():
        node.children.sort(key=lambda child: child.span.time)
    roots.sort(key=lambda root: (root.orphan, root.span.time))
    for node in _walk(roots):
        node.depth = node.parent.depth + 1 if node.parent else 0
    return roots


def _walk(roots: list[Node]) -> Iterator[Node]:
    pending = list(reversed(roots))
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(node.children))


def _align(node: Node) -> None:
    """Move a span into its parent where only differing clocks can explain where it is."""
    parent = node.parent
    if parent is None:
        return
    node.shift = parent.shift if _same_clock(node, parent) else 0
    if _same_clock(node, parent) or (
        node.start >= parent.start
        and not (
            # Work that was handed over may well begin later; an answer that was waited for may not.
            node.start > parent.end and parent.span.kind == KIND_CLIENT
        )
    ):
        return
    if node.span.duration >= parent.span.duration:
        node.shift += parent.start - node.start
    else:
        # As long before it as after it: the time on the wire, if it was the same both ways.
        slack = (parent.span.duration - node.span.duration) // 2
        node.shift += parent.start + slack - node.start


def _same_clock(node: Node, other: Node) -> bool:
    names = ("host.name", "service.name", "service.instance.id")
    mine, theirs = node.span.resource, other.span.resource
    return all(mine.get(name) == theirs.get(name) for name in names)


def _mark_critical(root: Node) -> None:
    """Mark what the trace waited for, walking back from its end.

    At every moment it is the child that finished last before it; where no child was running, the
    span itself.
    """
    pending = [(root, root.end)]
    while pending:
        node, until = pending.pop()
        limit = cursor = min(until, node.end)
        for child in sorted(node.children, key=lambda child: child.end, reverse=True):
            ends = min(child.end, limit)
            # A child still running at the cursor ran beside what was waited for.
            if ends > cursor or ends <= max(child.start, node.start):
                continue
            if ends < cursor:
                node.critical.append((ends, cursor))
            pending.append((child, ends))
            cursor = max(child.start, node.start)
        if cursor > node.start:
            node.critical.append((node.start, cursor))


def _cut(roots: list[Node]) -> int:
    """Leave out the rows after :data:`LARGEST_WATERFALL`; returns how many."""
    order = list(_walk(roots))
    kept = set(map(id, order[:LARGEST_WATERFALL]))
    for node in order[:LARGEST_WATERFALL]:
        node.children = [child for child in node.children if id(child) in kept]
    roots[:] = [root for root in roots if id(root) in kept]
    return max(0, len(order) - LARGEST_WATERFALL)
