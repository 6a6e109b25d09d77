"""A page of text on top of the screen: the help, or what a command printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from swarmtui.console.panes.ink import to_ascii

TEXT_LINES_MAX = 2000


class TextPage(ModalScreen[None]):
    """Scrolls with the arrows; esc, q, enter or space put it away."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,space,question_mark", "leave", "leave", show=False),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
        Binding("right,l", "across(8)", "right", show=False),
        Binding("left,h", "across(-8)", "left", show=False),
        Binding("pagedown", "scroll(10)", "page down", show=False),
        Binding("pageup", "scroll(-10)", "page up", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[str], *, ascii_only: bool = False) -> None:
        super().__init__()
        self.page_title = title
        left_out = len(lines) - TEXT_LINES_MAX
        kept = [*lines[:TEXT_LINES_MAX], *([f"… {left_out} more lines"] if left_out > 0 else [])]
        self.text = "\n".join(to_ascii(line) if ascii_only else line for line in kept)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="page", classes="dialog") as page:
            page.border_title = self.page_title
            page.border_subtitle = "esc"
            yield Static(self.text, markup=False)

    def on_mount(self) -> None:
        self.query_one("#page").focus()

    def action_scroll(self, rows: int) -> None:
        self.query_one("#page", VerticalScroll).scroll_relative(y=rows, animate=False)

    def action_across(self, columns: int) -> None:
        self.query_one("#page", VerticalScroll).scroll_relative(x=columns, animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)
