"""The names of the panes on a narrow screen, the shown one marked; at its right end the last command line, or details."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.message import Message

from swarmtui.console.panes.ink import Line, Pen, Span, fit
from swarmtui.console.panes.line_widget import LineWidget
from swarmtui.console.view import View

TABS = ("Raft", "Services", "Tasks", "Output", "Events")
TAB_EDGES = 4  # cells of a tab beside its name
DETAIL_WIDTH_MIN = 16  # cells at the right end; with fewer, only the shown pane is named


class TabRow(LineWidget):
    """` 1 Raft  2 Services …`"""

    class Picked(Message):
        """A tab was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.active = 1
        self.details: list[Span] = []
        self._names: tuple[str, ...] = TABS

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        right = self.details
        if view.echo:  # beside a filter, which hides rows, else instead of what stands there
            right = [*(span for span in self.details if span[1] == "warn"), (f"$ {view.echo} ", view.echo_ink)]
        needed = sum(cell_len(text) for text, _ in right)
        room = width - sum(len(name) + TAB_EDGES for name in TABS) - 1
        self._names = TABS
        is_filler = all(ink == "quiet" for _, ink in right)
        if not is_filler and room < min(
            needed, DETAIL_WIDTH_MIN
        ):  # a filter that hides rows is worth more than the other panes' names
            self._names = tuple(name if number == self.active else "" for number, name in enumerate(TABS, 1))
        pen = Pen(width)
        for number, name in enumerate(self._names, 1):
            active = number == self.active
            pen.write(f" {number}", "tab-active" if active else "key")
            pen.write(f" {name} ", "tab-active" if active else "tab")
        return [pen.right(_fitted(right, pen.room - 1)).line()]

    def on_click(self, event: events.Click) -> None:
        column = 0
        for number, name in enumerate(self._names, 1):
            column += len(name) + TAB_EDGES
            if event.x < column:
                self.post_message(self.Picked(number))
                return


def _fitted(spans: list[Span], room: int) -> list[Span]:
    """As many of these as there is room for, the first one cut if it must be: something is said, never nothing."""
    kept: list[Span] = []
    for text, ink in spans:
        left = room - sum(cell_len(text) for text, _ in kept)
        if cell_len(text) > left and kept:
            break
        kept.append((text if cell_len(text) <= left else fit(text.rstrip(), left - 1) + " ", ink))
    return kept
