"""A page of text on top of the screen: the help, what a command printed, or all that is known of something, as it is now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.markup import escape
from textual.screen import ModalScreen
from textual.widgets import Static

from swarmtui.console.panes.ink import one_line, to_ascii

TEXT_LINES_MAX = 2000
LOOK_AGAIN_S = 1.0  # how often a page that tells of something living is written anew


class TextPage(ModalScreen[None]):
    """Scrolls with the arrows; esc, q, enter or space put it away. Lines that come from a function are asked
    for again and again while it is open."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,space,question_mark", "leave", "leave", show=False),
        Binding("colon", "command", "the next command", show=False),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
        Binding("right,l", "across(8)", "right", show=False),
        Binding("left,h", "across(-8)", "left", show=False),
        Binding("pagedown", "scroll(10)", "page down", show=False),
        Binding("pageup", "scroll(-10)", "page up", show=False),
    ]

    def __init__(
        self,
        title: str,
        lines: Sequence[str] | Callable[[], Sequence[str]],
        *,
        ascii_only: bool = False,
    ) -> None:
        super().__init__()
        self.page_title = title
        self.ascii_only = ascii_only
        self.source = lines if callable(lines) else None
        self.text = self._text(lines() if callable(lines) else lines)

    def _text(self, lines: Sequence[str]) -> str:
        left_out = len(lines) - TEXT_LINES_MAX
        kept = [*lines[:TEXT_LINES_MAX], *([f"… {left_out} more lines"] if left_out > 0 else [])]
        safe = map(one_line, kept)  # a value of kv may hold anything
        return "\n".join(map(to_ascii, safe) if self.ascii_only else safe)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="page", classes="dialog") as page:
            page.border_title = escape(self._text([self.page_title]))  # titles are read as markup
            yield Static(self.text, markup=False)

    def on_mount(self) -> None:
        self.query_one("#page").focus()
        if self.source is not None:
            self.set_interval(LOOK_AGAIN_S, self._look_again)

    def on_resize(self) -> None:
        self.call_after_refresh(self._say_keys)

    def _say_keys(self) -> None:
        """Which keys are of use on this page: the arrows only where there is more of it."""
        page = self.query_one("#page", VerticalScroll)
        keys = [*(["↑ ↓ more"] if page.max_scroll_y else []), *(["← → rest"] if page.max_scroll_x else []), "esc"]
        page.border_subtitle = self._text(["   ".join(keys)])

    def _look_again(self) -> None:
        assert self.source is not None
        text = self._text(self.source())
        if text != self.text:
            self.text = text
            self.query_one(Static).update(text)

    def action_scroll(self, rows: int) -> None:
        self.query_one("#page", VerticalScroll).scroll_relative(y=rows, animate=False)

    def action_across(self, columns: int) -> None:
        self.query_one("#page", VerticalScroll).scroll_relative(x=columns, animate=False)

    async def action_command(self) -> None:
        """The next command is typed without putting this page away first; else its letters would be taken for keys."""
        self.dismiss(None)
        await self.app.run_action("app.command")

    def action_leave(self) -> None:
        self.dismiss(None)
