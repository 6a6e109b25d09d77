"""The line at the bottom where commands and filters are typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Label

HISTORY_MAX = 200


class Words(Suggester):
    """Completes the words of a command, and behind them the names of nodes, services and tasks."""

    def __init__(self, commands: Sequence[str], names: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.commands = commands
        self.names = names

    async def get_suggestion(self, value: str) -> str | None:
        return complete(value, self.commands, self.names)


def complete(value: str, commands: Sequence[str], names: Sequence[str]) -> str | None:
    """The line that is probably meant, None where nothing fits."""
    if not value.strip():
        return None
    command = next((command for command in commands if command.startswith(value) and command != value), None)
    if command is not None:
        return command
    before, space, word = value.rpartition(" ")
    if not space or not word:
        return None
    name = next((name for name in names if name.startswith(word) and name != word), None)
    return f"{before} {name}" if name is not None else None


class CommandLine(Horizontal):
    """`:` takes a command of the command line, `/` words to filter by. Enter does it, tab takes what is proposed, esc leaves
    it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave", show=False, priority=True),
        Binding("tab", "take", "what is proposed", show=False, priority=True),
        Binding("up", "older", "the command before", show=False, priority=True),
        Binding("down", "newer", "the command after", show=False, priority=True),
    ]

    class Entered(Message):
        """A command was typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Filtered(Message):
        """The filter changed, or was finished (`done`)."""

        def __init__(self, words: str, done: bool) -> None:
            super().__init__()
            self.words = words
            self.done = done

    class Left(Message):
        """Nothing is typed any more."""

        def __init__(self, sign: str) -> None:
            super().__init__()
            self.sign = sign

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.sign = ":"
        self.history: list[str] = []
        self._at = 0

    def compose(self) -> ComposeResult:
        yield Label(":", id="sign")
        line = Input(id="typed", compact=True, select_on_focus=False)
        line.cursor_blink = False
        yield line

    def open(self, sign: str, text: str, suggester: Suggester | None = None) -> None:
        """Begin to type after `:` or `/`, with this text there already."""
        self.sign = sign
        self.display = True
        self.query_one("#sign", Label).update(sign)
        line = self.query_one("#typed", Input)
        line.suggester = suggester
        line.placeholder = "status, kill n1, service scale web=3 …" if sign == ":" else "words that a row must hold"
        with self.prevent(Input.Changed):
            line.value = text
        line.cursor_position = len(text)
        self._at = len(self.history)
        self.screen.set_focus(line)  # now, not soon: the keys that follow are text, and K would be an order

    def close(self) -> None:
        self.display = False
        self.post_message(self.Left(self.sign))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.sign == "/" and self.display:
            self.post_message(self.Filtered(event.value, done=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        if self.sign == "/":
            self.post_message(self.Filtered(text, done=True))
        elif text:
            if not self.history or self.history[-1] != text:
                self.history = [*self.history, text][-HISTORY_MAX:]
            self.post_message(self.Entered(text))
        self.close()

    def action_leave(self) -> None:
        if self.sign == "/":
            self.post_message(self.Filtered("", done=True))
        self.close()

    def action_take(self) -> None:
        """Take the proposed rest of the line, as a shell does with tab; → does it too, at the end of the line."""
        line = self.query_one("#typed", Input)
        line.cursor_position = len(line.value)
        line.action_cursor_right()

    def action_older(self) -> None:
        self._recall(-1)

    def action_newer(self) -> None:
        self._recall(1)

    def _recall(self, step: int) -> None:
        if self.sign != ":" or not self.history:
            return
        self._at = min(len(self.history), max(0, self._at + step))
        line = self.query_one("#typed", Input)
        line.value = self.history[self._at] if self._at < len(self.history) else ""
        line.cursor_position = len(line.value)
