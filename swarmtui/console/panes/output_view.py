"""What tasks print: the chosen task, all of a service's, or all on a node, merged, each line with whose it is.

`!` marks a line on standard error.
"""

from __future__ import annotations

from typing import ClassVar

from swarmtui.console.model.durations import clock_text
from swarmtui.console.model.output_book import OutputRow
from swarmtui.console.panes.ink import Line, Pen, Span, fit_name, one_line, service_ink
from swarmtui.console.panes.list_pane import ListPane, matches
from swarmtui.console.view import View

LABEL_WIDTH_MAX = 20


class OutputView(ListPane):
    """Lines of output, the newest last and followed until somebody scrolls up."""

    NEWEST_LAST: ClassVar[bool] = True
    NUMBER: ClassVar[str] = "4"
    TITLE: ClassVar[str] = "Output"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: list[OutputRow] = []
        self._target = ""
        self._missing: list[str] = []
        self._utc = False

    def load(self, view: View) -> int:
        book = view.output
        self._target, self._utc = book.target, view.utc
        self._missing = [f"{label}: {why}" for label, why in book.missing.items()]
        self.rows = (
            [row for row in book.rows if matches(self.filter, row.label, row.text)] if self.filter else list(book.rows)
        )
        return len(self.rows)

    def detail(self) -> list[Span]:
        spans = super().detail()
        return [(f" {self._target} ", "strong"), *spans] if self._target else spans

    def empty(self) -> str:
        if self._missing:
            return one_line(self._missing[0])
        return (
            f"nothing from {self._target} yet"
            if self._target
            else "press l on a node, service or task to see what it prints"
        )

    def row(self, position: int, width: int) -> Line:
        row = self.rows[position]
        labels = min(LABEL_WIDTH_MAX, max(len(other.label) for other in self.rows[-200:]))
        pen = Pen(width).skip().write(clock_text(row.time, utc=self._utc), "quiet").skip()
        pen.write(fit_name(row.label, labels), service_ink(row.ink)).skip().write("!" if row.error else " ", "error")
        return pen.write(self.shifted(one_line(row.text)), "error" if row.error else "").line()
