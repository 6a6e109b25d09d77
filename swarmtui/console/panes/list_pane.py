"""What the five panes below the node strip share: a title when they stand alone, a header, rows, a cursor and a filter."""

from __future__ import annotations

from typing import ClassVar

from textual import events

from swarmtui.console.model.picture import Sight
from swarmtui.console.panes.ink import Line, Pen, Span, rule
from swarmtui.console.panes.line_widget import LineWidget
from swarmtui.console.view import View

WHEEL_ROWS = 3
SHIFT_LETTERS = 16


class ListPane(LineWidget, can_focus=True):
    """A list of rows of which a window is shown. `top` is the first row shown.

    A pane says what its rows are (`load`), how many there are (`count`) and how one looks (`row`). A pane with
    `HAS_CURSOR` has one chosen row and scrolls to keep it in sight; one without scrolls its window.
    """

    HAS_CURSOR: ClassVar[bool] = False
    NEWEST_LAST: ClassVar[bool] = False  # the end is where new rows come, and is followed until somebody scrolls up
    TOLD_BY_NODES: ClassVar[bool] = False  # before any node has answered, no rows mean nothing
    NUMBER: ClassVar[str] = ""
    TITLE: ClassVar[str] = ""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.top = 0
        self.cursor = 0
        self.following = True
        self.filter = ""
        self.titled = False  # stands alone under its own title, as side by side on a wide screen
        self.count = 0
        self.window = 0  # rows in sight
        self.shift = 0  # letters that the last field of each row has moved to the left, to show the rest of long ones

    # ------------------------------------------------------------------------------------ what a pane must answer

    def load(self, view: View) -> int:
        """Take what is needed from the view; the number of rows after filtering."""
        raise NotImplementedError

    def header(self, width: int) -> Line | None:
        """The names of the columns, or None."""
        return None

    def row(self, position: int, width: int) -> Line:
        """One row."""
        raise NotImplementedError

    def empty(self) -> str:
        """What to say when there is no row, with what to do about it."""
        return "nothing here yet"

    def detail(self) -> list[Span]:
        """What stands at the right end of the title: filter, how much there is, whether the newest is followed."""
        spans: list[Span] = []
        if self.filter:
            spans.append((f" /{self.filter} · {self.count:,} ", "warn"))
        elif not self.following and self.count > self.window:
            spans.append((f" {self.top + 1:,}–{min(self.count, self.top + self.window):,} of {self.count:,} ", "quiet"))
            spans += [("G" if self.NEWEST_LAST else "g", "key"), (" newest ", "quiet")]
        if self.shift:
            spans.append((f" ←{self.shift} ", "warn"))
        return spans

    # ---------------------------------------------------------------------------------------------------- drawing

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        lines: list[Line] = []
        self.count = self.load(view)
        if self.titled:
            ink = "title-focus" if self.has_focus else "title"
            lines.append(rule([(self.NUMBER, "key"), (f" {self.TITLE} ", ink)], width, self.detail()))
        if (header := self.header(width)) is not None:
            lines.append(header)
        self.window = max(0, height - len(lines))
        self._head = len(lines)
        self._settle()
        if not self.count:
            lines.append(Pen(width).skip().write(self._empty_text(view), "quiet").line())
            return lines
        lines.extend(self.row(position, width) for position in range(self.top, min(self.count, self.top + self.window)))
        return lines

    def _empty_text(self, view: View) -> str:
        if self.TOLD_BY_NODES and view.picture.sight is Sight.CONNECTING:
            return "not known yet"
        return f"nothing matches /{self.filter}   esc shows all" if self.filter else self.empty()

    def _settle(self) -> None:
        """Keep window and cursor within the rows."""
        last_top = max(0, self.count - self.window)
        if self.HAS_CURSOR:
            self.cursor = min(max(0, self.cursor), max(0, self.count - 1))
            self.top = min(self.top, self.cursor, last_top)
            if self.cursor >= self.top + self.window:
                self.top = self.cursor - self.window + 1
        elif self.following:
            self.top = last_top if self.NEWEST_LAST else 0
        else:
            self.top = min(max(0, self.top), last_top)

    def cursor_line(self) -> int | None:
        if not self.HAS_CURSOR or not self.count:
            return None
        return getattr(self, "_head", 0) + self.cursor - self.top

    def pointer(self, position: int) -> Span:
        """The sign before the chosen row while keys act upon it: the ground alone is lost on a projector."""
        return ("▸" if position == self.cursor and self.has_focus else " "), "key"

    # ----------------------------------------------------------------------------------------------------- moving

    def action_move(self, rows: int) -> None:
        """Move the cursor, or the window where there is none."""
        if self.HAS_CURSOR:
            self.cursor = min(max(0, self.cursor + rows), max(0, self.count - 1))
        else:
            self._scroll(rows)
        self.redraw()

    def _scroll(self, rows: int) -> None:
        last_top = max(0, self.count - self.window)
        self.top = min(max(0, self.top + rows), last_top)
        self.following = self.top == (last_top if self.NEWEST_LAST else 0)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.window - 1))

    def action_across(self, steps: int) -> None:
        """Show what of long rows lies further to the right, or back."""
        self.shift = max(0, self.shift + steps * SHIFT_LETTERS)
        self.redraw()

    def shifted(self, text: str) -> str:
        """What is shown of the last field of a row."""
        return text[self.shift :]

    def action_home(self) -> None:
        self.action_move(-self.count)

    def action_end(self) -> None:
        self.action_move(self.count)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_move(-WHEEL_ROWS)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_move(WHEEL_ROWS)

    def on_click(self, event: events.Click) -> None:
        position = self.top + event.y - getattr(self, "_head", 0)
        if self.HAS_CURSOR and 0 <= position < self.count:
            self.action_move(position - self.cursor)

    def set_filter(self, words: str) -> None:
        """Show only rows that hold all of these words."""
        self.filter = words.strip()
        self.redraw()


def matches(words: str, *texts: str) -> bool:
    """Whether the texts together hold all of the words, in any letter case."""
    if not words:
        return True
    together = " ".join(texts).lower()
    return all(word in together for word in words.lower().split())
