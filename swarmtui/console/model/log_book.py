"""The replicated log as every node itself holds it: what to show, and what to ask for next.

Marks say how far each node is; the entries themselves are asked of each node for the rows on the screen, and only those. A
cell shows the term that this node gave for this index, never one that was inferred from another node: in a partition
that difference is the whole story.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from swarmtui.wire.node_calls import LOG_RANGE_MAX, LogLines

KEPT_LINES_MAX = 4000  # of one node
READABLE_LAG_MAX = 2000  # entries that the shown end may lie behind the true one
KEPT_MARGIN = 1000  # lines above the bound before the oldest are dropped, so that dropping is rare


@attrs.define
class NodeLog:
    """One node's log: how far it reaches, and the entries that we asked for: index to (term, kind, text)."""

    first: int = 1
    last: int = 0
    commit: int = 0
    lines: dict[int, tuple[int, str, str]] = attrs.field(factory=dict)
    told: int = 0  # the newest entry that it told us

    def copy(self) -> NodeLog:
        return NodeLog(self.first, self.last, self.commit, dict(self.lines), self.told)


@attrs.frozen
class Cell:
    """One node's part in one row. `term` None: it has the entry, but has not told us yet. `state` is `held`, `absent`
    or `compacted`; `committed` by the node's own commit index; `differs` from what the row says."""

    state: str
    term: int | None = None
    committed: bool = False
    differs: bool = False


@attrs.frozen
class LogRow:
    """One index. `term`, `kind` and `text` are those of the leading node's entry. `holders` of `voters` have that very
    entry; `committed` as far as any node knows. `note` names who holds something else."""

    index: int
    term: int | None
    kind: str
    text: str
    cells: tuple[Cell, ...]
    committed: bool
    holders: int
    voters: int
    note: str = ""


class LogBook:
    """What is known of the logs of all managers."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeLog] = {}

    def copy(self) -> LogBook:
        """A book that stays as it is while this one goes on: for the held view."""
        other = LogBook()
        other.nodes = {name: log.copy() for name, log in self.nodes.items()}
        return other

    def mark(self, node: str, *, first: int, last: int, commit: int, truncated_from: int = 0) -> None:
        """How far the node's log reaches now. Everything from `truncated_from` on was overwritten."""
        log = self.nodes.setdefault(node, NodeLog())
        cut = min(last + 1, truncated_from or last + 1)
        if cut <= log.last or truncated_from:
            for index in [index for index in log.lines if index >= cut]:
                del log.lines[index]
            log.told = min(log.told, cut - 1)
        log.first, log.last, log.commit = first, last, commit

    def answer(self, node: str, answer: LogLines) -> None:
        """Entries as the node holds them."""
        log = self.nodes.setdefault(node, NodeLog())
        for line in answer.lines:
            log.lines[line.index] = (line.term, line.kind, line.text)
            log.told = max(log.told, line.index)
        log.first = max(log.first, answer.first)
        log.last = max(log.last, answer.last)
        log.commit = max(log.commit, answer.commit)
        if len(log.lines) > KEPT_LINES_MAX + KEPT_MARGIN:
            for index in sorted(log.lines)[: len(log.lines) - KEPT_LINES_MAX]:
                del log.lines[index]

    @property
    def last(self) -> int:
        return max((log.last for log in self.nodes.values()), default=0)

    def readable(self, nodes: Sequence[str]) -> int:
        """The newest index that all of these nodes told us: where a log that grows fast is shown from, so that it can be
        read. A node that has told nothing lately holds nobody up; with none left it is the newest index of all."""
        behind = [
            log.told
            for name in nodes
            if (log := self.nodes.get(name)) is not None and log.told and 0 < log.last - log.told <= READABLE_LAG_MAX
        ]
        newest = self.last
        lagging = min(behind, default=newest)
        return lagging if newest - lagging <= READABLE_LAG_MAX else newest

    @property
    def first(self) -> int:
        return min((log.first for log in self.nodes.values() if log.last), default=1)

    def missing(self, nodes: Sequence[str], top: int, count: int) -> list[tuple[str, int, int]]:
        """What to ask for so that the rows top, top-1, … can be shown: (node, first, last), one question a node at most."""
        asked = ((node, self._not_told(node, top, count)) for node in nodes)
        return [(node, *span) for node, span in asked if span is not None]

    def newest(self, nodes: Sequence[str], count: int) -> list[tuple[str, int, int]]:
        """What to ask for so that the newest rows can be followed: of each node the end of its own log, which in a
        partition lies far behind. Else what it never told would hold up the end that all have told."""
        asked = ((node, self._not_told(node, self.nodes[node].last, count)) for node in nodes if node in self.nodes)
        return [(node, *span) for node, span in asked if span is not None]

    def _not_told(self, node: str, top: int, count: int) -> tuple[int, int] | None:
        """Of the entries down from `top`, the span that this node has and has not told yet."""
        log = self.nodes.get(node)
        if log is None:
            return None
        low, high = max(top - count + 1, log.first, 1), min(top, log.last)
        while low <= high and low in log.lines:
            low += 1
        while high >= low and high in log.lines:
            high -= 1
        return (max(low, high - LOG_RANGE_MAX + 1), high) if low <= high else None

    def rows(self, nodes: Sequence[str], voters: Sequence[str], leader: str, top: int, count: int) -> list[LogRow]:
        """The rows of the indexes top, top-1, … down to the first that anybody still has, a cell for each of `nodes`."""
        order = [leader, *(name for name in nodes if name != leader)] if leader else list(nodes)
        bottom = max(self.first, top - count + 1, 1)
        commit = max((log.commit for log in self.nodes.values()), default=0)
        return [self._row(index, nodes, voters, order, commit) for index in range(top, bottom - 1, -1)]

    def _row(
        self, index: int, nodes: Sequence[str], voters: Sequence[str], order: Sequence[str], commit: int
    ) -> LogRow:
        entries: Mapping[str, tuple[int, str, str] | None] = {
            name: self.nodes[name].lines.get(index) for name in nodes if name in self.nodes
        }
        # Whose entry the row tells: one that committed it first of all, then the leader's, then anybody's.
        told: tuple[int, str, str] | None = None
        for name in [name for name in order if (log := self.nodes.get(name)) and index <= log.commit] + list(order):
            told = entries.get(name)
            if told is not None:
                break
        cells, holders, others = [], 0, []
        for name in nodes:
            cell = self._cell(name, index, told[0] if told else None)
            cells.append(cell)
            if cell.differs:
                others.append(name)
            elif cell.state != "absent" and name in voters:
                holders += 1
        term, kind, text = told if told else (None, "", "")
        return LogRow(
            index=index,
            term=term,
            kind=kind,
            text=text,
            cells=tuple(cells),
            committed=index <= commit,
            holders=holders,
            voters=len(voters),
            note=f"{' '.join(others)} {'differs' if len(others) == 1 else 'differ'}" if others else "",
        )

    def _cell(self, name: str, index: int, told_term: int | None) -> Cell:
        log = self.nodes.get(name)
        if log is None or index > log.last:
            return Cell("absent")
        committed = index <= log.commit
        if index < log.first:
            return Cell("compacted", committed=committed)
        entry = log.lines.get(index)
        if entry is None:
            return Cell("held", committed=committed)
        return Cell("held", entry[0], committed, told_term is not None and entry[0] != told_term)
