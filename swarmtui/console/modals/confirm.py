"""The question before a step that would lose the quorum or a last replica: with the arithmetic, the focus on No."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.markup import escape
from textual.screen import ModalScreen
from textual.widgets import Button, Label

from swarmtui.console.orders import Question


class Confirm(ModalScreen[bool]):
    """Answers True only for `y` or the second button."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", show=False),
        Binding("n,escape,q", "answer(False)", "no", show=False),
        Binding("left,right,up,down,h,l", "app.focus_next", "the other", show=False),
    ]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        question = self.question
        with Vertical(id="confirm", classes="dialog") as dialog:
            dialog.border_title = escape(question.title)  # titles are read as markup
            for line in question.lines:
                yield Label(line, markup=False, classes="dialog--line")
            yield Label(f"Undo: {question.undo}.", markup=False, classes="dialog--quiet")
            yield Label(f"Same as: {question.order.line}", markup=False, classes="dialog--quiet")
            with Horizontal(classes="dialog--buttons"):
                yield Button("No", id="no", compact=True)
                yield Button(f"Yes, {question.order.words[0]} (y)", id="yes", compact=True)

    def on_mount(self) -> None:
        self.query_one("#no", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
