"""The widget underneath every pane: draws lines, and repaints those that changed and no others."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from swarmtui.console.panes.ink import Line, to_ascii
from swarmtui.console.view import View


class LineWidget(Widget):
    """A widget whose content is `draw(view, width, height)`.

    `show(view)` is called by the one paint timer. It draws anew (cheap: text and names of inks), compares line by line
    and asks Textual to paint only what differs. Inks are looked up at the screen, which alone carries their component
    classes: on every widget they made each change of styles eleven times as dear.
    """

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.view: View | None = None
        self.ascii = False
        self._lines: list[Line] = []
        self._strips: dict[tuple[Line, bool], Strip] = {}
        self._inks: dict[str, Style] = {}
        self._base: Style | None = None

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """The lines to show, at most `height` of them. Overridden by each pane."""
        raise NotImplementedError

    def cursor_line(self) -> int | None:
        """The line that carries the cursor, shown on a ground of its own."""
        return None

    def show(self, view: View) -> None:
        """Show this view. Does nothing while hidden or without size."""
        self.view = view
        self.ascii = view.ascii
        width, height = self.size
        if not self.display or not width or not height:
            return
        lines = self.draw(view, width, height)[:height]
        old, old_cursor = self._lines, getattr(self, "_cursor", None)
        cursor = self.cursor_line()
        focus = self.has_focus
        self._lines, self._cursor = lines, cursor
        changed = [
            y for y in range(max(len(lines), len(old))) if y >= len(lines) or y >= len(old) or lines[y] != old[y]
        ]
        if cursor != old_cursor or focus != getattr(self, "_had_focus", None):
            changed.extend(y for y in (cursor, old_cursor) if y is not None)
        self._had_focus = focus
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in sorted(set(changed)) if y < height))

    def redraw(self) -> None:
        """Show the last view again: after a key that changed what is selected or how it is shown."""
        if self.view is not None:
            self.show(self.view)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        style = self._base
        if style is None:  # asking Textual costs more than drawing the line
            style = self._base = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(width, style)
        cursor = y == self._cursor
        key = (self._lines[y], cursor and self.has_focus)
        strip = self._strips.get(key) if not cursor else None
        if strip is None:
            strip = self._make_strip(self._lines[y], cursor, style).adjust_cell_length(
                width, self._ground(cursor, style)
            )
            if len(self._strips) > 500:
                self._strips.clear()
            if not cursor:
                self._strips[key] = strip
        return strip

    def _make_strip(self, line: Line, cursor: bool, style: Style) -> Strip:
        ground = self._ground(cursor, style)
        segments = []
        for text, ink in line:
            if self.ascii:
                text = to_ascii(text)
            segments.append(Segment(text, ground + self._ink(ink) if ink else ground))
        return Strip(segments)

    def _ground(self, cursor: bool, style: Style) -> Style:
        if not cursor:
            return style
        return style + self._ink("cursor" if self.has_focus else "cursor-idle")

    def _ink(self, name: str) -> Style:
        style = self._inks.get(name)
        if style is None:
            style = self.screen.get_component_rich_style(f"ink--{name}", partial=True)
            ground = self.screen.get_component_styles(f"ink--{name}").background
            if 0 < ground.a < 1:  # a partial style leaves the mixing to us
                style += Style(bgcolor=(self.background_colors[1] + ground).rich_color)
            self._inks[name] = style
        return style

    def notify_style_update(self) -> None:
        """Another theme: every ink is looked up again."""
        super().notify_style_update()
        self._inks.clear()
        self._strips.clear()
        self._base = None

    def on_resize(self) -> None:
        self._strips.clear()
        self._lines = []
        self.redraw()
        self.refresh()

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return container.width
