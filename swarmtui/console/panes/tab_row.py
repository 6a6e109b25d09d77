"""The names of the panes on a narrow screen, the shown one marked; at its right end the last command line, or details."""

from __future__ import annotations

from textual import events
from textual.message import Message

from swarmtui.console.panes.ink import Line, Pen, Span, fit
from swarmtui.console.panes.line_widget import LineWidget
from swarmtui.console.view import View

TABS = ("Raft", "Services", "Tasks", "Output", "Events")


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

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        pen = Pen(width)
        for number, name in enumerate(TABS, 1):
            active = number == self.active
            pen.write(f" {number}", "tab-active" if active else "key").write(
                f" {name} ", "tab-active" if active else "tab"
            )
        right = [(f"$ {view.echo} ", view.echo_ink)] if view.echo else self.details
        length = sum(len(text) for text, _ in right)
        if length >= pen.room and view.echo:
            right = [(fit(f"$ {view.echo}", max(0, pen.room - 2)) + " ", view.echo_ink)]
        return [pen.right(right).line()]

    def on_click(self, event: events.Click) -> None:
        column = 0
        for number, name in enumerate(TABS, 1):
            column += len(name) + 4
            if event.x < column:
                self.post_message(self.Picked(number))
                return
