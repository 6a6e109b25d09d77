"""After a fault: one sentence that sums up what came of it, in measured figures."""

from __future__ import annotations

from collections.abc import Sequence

from swarmtui.console.model.durations import clock_text
from swarmtui.console.model.picture import Sight
from swarmtui.console.panes.ink import Line, Pen
from swarmtui.console.panes.line_widget import LineWidget
from swarmtui.console.view import View

BANNER_INKS = {"good": "good", "warn": "warn", "bad": "bad", "calm": "quiet"}
LINES_MAX = 2


class BannerLine(LineWidget):
    """One line, or two where the sentence needs them; none while there is nothing to tell. Esc puts it away."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._dismissed_since = 0.0

    def show(self, view: View) -> None:
        self.view = view
        wanted = len(self._told(view, self.size.width or 80))
        if self.styles.height is None or self.styles.height.value != wanted:
            self.styles.height = wanted
        super().show(view)

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        return self._told(view, width)

    def _told(self, view: View, width: int) -> list[Line]:
        picture = view.picture
        if picture.sight is Sight.STALE and picture.sight_since is not None:
            since = clock_text(picture.sight_since, utc=view.utc)
            parts = [f"no node answers since {since}", "this is the last known state"]
            parts += [picture.gone] if picture.gone else ["asking again by itself", "`swarmtui up` starts the nodes"]
            return _lines(parts, "bad", "?", width)
        if picture.sight is Sight.MISMATCH:
            return _lines(
                [picture.sight_reason or "the nodes speak another version of the protocol", "update the older side"],
                "bad",
                "✗",
                width,
            )
        if picture.sight is Sight.CONNECTING:
            return _lines(["connecting", picture.sight_reason or "no node has answered yet"], "warn", "?", width)
        banner = picture.banner
        if banner is None or banner.since <= self._dismissed_since:
            return []
        return _lines(
            banner.parts, BANNER_INKS[banner.ink], "✓" if banner.settled and banner.ink == "good" else "▸", width
        )

    def dismiss(self) -> bool:
        """Put the banner away; False if there was none."""
        banner = self.view.picture.banner if self.view is not None else None
        if banner is None or banner.since <= self._dismissed_since:
            return False
        self._dismissed_since = banner.since
        self.redraw()
        return True


def _lines(parts: Sequence[str], ink: str, glyph: str, width: int) -> list[Line]:
    """The parts joined by ` · `, broken between parts where one line does not hold them."""
    rows: list[str] = []
    for part in parts:
        joined = f"{rows[-1]} · {part}" if rows else part
        if rows and len(joined) + 4 > width and len(rows) < LINES_MAX:
            rows.append(part)
        elif rows:
            rows[-1] = joined
        else:
            rows.append(part)
    lines = []
    for position, text in enumerate(rows):
        pen = Pen(width).skip().write(glyph if not position else " ", ink).skip()
        head, arrow, rest = text.partition(" → ")
        if arrow:
            pen.write(head, "strong").write(arrow, "quiet").write(rest, ink)
        else:
            pen.write(text, ink)
        lines.append(pen.line())
    return lines
