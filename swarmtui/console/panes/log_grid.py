"""The replicated log, newest first: one column for each manager, with the term that this very node holds.

A cell is filled when the node itself knows the entry to be committed, so that one sees a commit travel a heartbeat later.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from swarmtui.console.model.log_book import Cell, LogBook, LogRow
from swarmtui.console.model.standing import Standing
from swarmtui.console.panes.ink import Line, Pen, Span, one_line, term_ink
from swarmtui.console.panes.list_pane import ListPane, matches
from swarmtui.console.view import View

ENTRY_WIDTH_MIN, ENTRY_WIDTH_MAX = 14, 90
ENTRY_WIDTH_FAIR = 20  # with less, the cells of the nodes move together first
_INDEX, _STATE = 7, 13
FOLLOWED_MARGIN = 60  # entries asked for beyond the window, so that answers of several nodes overlap
FILTER_DEPTH = 1000  # rows that a filter looks through


@attrs.frozen
class Fields:
    """How wide the parts of a row are, on a pane of this width. `cell`: a node's, with `gap` behind it."""

    width: int
    term: int
    entry: int
    cell: int
    gap: int


class LogGrid(ListPane):
    """The rows of the replicated log. Follows the newest entry until somebody scrolls."""

    TOLD_BY_NODES = True
    NUMBER: ClassVar[str] = "1"
    TITLE: ClassVar[str] = "Raft"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._book: LogBook | None = None
        self._managers: tuple[str, ...] = ()
        self._voters: tuple[str, ...] = ()
        self._answering: tuple[str, ...] = ()
        self._leader = ""
        self._end = 0  # the index at position 0: the newest, or the newest that can be read while it grows fast
        self._top_index = 0  # the index of the first row shown
        self._found: list[LogRow] = []
        self._rows: dict[int, LogRow] = {}
        self._fields: Fields | None = None

    def load(self, view: View) -> int:
        picture = view.picture
        self._book = view.log
        self._managers = tuple(node.name for node in picture.managers)
        self._answering = tuple(node.name for node in picture.managers if node.standing.answers)
        self._voters = self._managers
        leading = picture.leadership.name
        self._leader = leading or next((n.name for n in picture.managers if n.standing is Standing.LEADER), "")
        self._rows = {}
        last, first = view.log.last, view.log.first
        if self.filter:
            rows = view.log.rows(self._managers, self._voters, self._leader, last, FILTER_DEPTH)
            self._found = [
                row for row in rows if matches(self.filter, row.text, row.kind, f"t{row.term}", str(row.index))
            ]
            return len(self._found)
        if self.following:
            self._end = view.log.readable(self._answering)
        else:  # the window stays on its entries while newer ones come
            self._end = last
            self.top = max(0, last - self._top_index)
        return max(0, self._end - first + 1) if last else 0

    def _settle(self) -> None:
        super()._settle()
        if self._book is not None:
            self._top_index = self._end - self.top
            if not self.filter and self.window:
                rows = self._book.rows(self._managers, self._voters, self._leader, self._top_index, self.window)
                self._rows = {row.index: row for row in rows}
        self._fields = None

    def _scroll(self, rows: int) -> None:
        super()._scroll(rows)
        if self._book is not None:
            self._top_index = self._end - self.top

    def missing(self) -> list[tuple[str, int, int]]:
        """The ranges to ask for, so that what is in sight can be shown: (node, first, last)."""
        if self._book is None or not self.window or not self.count:
            return []
        if self.filter:
            return self._book.missing(self._answering, self._book.last, min(FILTER_DEPTH, 200))
        if self.following:
            return self._book.newest(self._answering, self.window + FOLLOWED_MARGIN)
        return self._book.missing(self._answering, self._top_index, self.window)

    def detail(self) -> list[Span]:
        if self.following and not self.filter:
            return [(" newest first ", "quiet")]
        return super().detail()

    def empty(self) -> str:
        return "no entries yet"

    # ------------------------------------------------------------------------------------------------------- draw

    def _fields_for(self, width: int) -> Fields:
        """The fields of a row, as roomy as the width allows; worked out once a tick."""
        if self._fields is None or self._fields.width != width:
            count = max(1, len(self._managers))
            digits = max([1, *(len(str(cell.term)) for row in self._rows.values() for cell in row.cells if cell.term)])
            wish = max(3, digits + 2, min(5, max((len(name) for name in self._managers), default=2)))
            term = max(4, digits + 1)
            cell, gap, entry = max(2, digits), 0, ENTRY_WIDTH_MIN
            for cell, gap in ((wish, 1), (max(3, digits), 1), (max(3, digits), 0), (max(2, digits), 0)):
                entry = width - _INDEX - term - _STATE - 4 - count * (cell + gap)
                if entry >= ENTRY_WIDTH_FAIR:
                    break
            self._fields = Fields(width, term, min(ENTRY_WIDTH_MAX, max(ENTRY_WIDTH_MIN, entry)), cell, gap)
        return self._fields

    def header(self, width: int) -> Line:
        fields = self._fields_for(width)
        pen = Pen(width).number("index", _INDEX, "quiet").skip().field("term", fields.term, "quiet").skip()
        pen.field("entry", fields.entry, "quiet").skip()
        for name in self._managers:
            ink = "leader" if name == self._leader else "quiet"
            pen.write(name[: fields.cell].center(fields.cell), ink).skip(fields.gap)
        return pen.skip().field("state", _STATE, "quiet").line()

    def row(self, position: int, width: int) -> Line:
        if self.filter:
            row = self._found[position]
        else:
            assert self._book is not None
            found = self._rows.get(self._end - position)
            if found is None:
                return ()
            row = found
        return log_line(row, self._fields_for(width), self.shift)


def log_line(row: LogRow, fields: Fields, shift: int = 0) -> Line:
    """One index across all nodes; `shift`: letters of the entry left out at its beginning."""
    pen = Pen(fields.width).number(str(row.index), _INDEX, "" if row.committed else "quiet").skip()
    if row.term is None:
        pen.field("", fields.term)
    else:
        pen.field(f"t{row.term}", fields.term, term_ink(row.term))
    text = one_line(row.text) if row.text else "…" if row.term is None else row.kind
    pen.skip().field(text[shift:], fields.entry, "" if row.committed else "quiet").skip()
    for place in row.cells:
        pen.spans([cell_span(place, fields.cell), (" " * fields.gap, "")])
    pen.skip()
    if row.note:
        return pen.field(row.note, pen.room, "bad").line()
    state = f"{'committed' if row.committed else 'waiting'} {row.holders}/{row.voters}"
    return pen.write(state, "quiet" if row.committed else "warn").line()


def cell_span(place: Cell, width: int) -> Span:
    """Filled: committed here. Bare digits: appended here. A dot: not here. A block: compacted into a snapshot."""
    if place.state == "absent":
        return "·".center(width), "faint"
    if place.state == "compacted":
        return "▤".center(width), "quiet"
    if place.term is None:
        return "…".center(width), "quiet"
    text = str(place.term).center(width)
    if place.committed:
        return text, term_ink(place.term, cell=True)
    return text, term_ink(place.term)
