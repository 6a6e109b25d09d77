"""Below 60x16: one line with the state of the cluster, and how large the window must be."""

from __future__ import annotations

from swarmtui.console.panes.ink import Line, Pen, fit
from swarmtui.console.panes.line_widget import LineWidget
from swarmtui.console.panes.status_line import HEALTH_INKS
from swarmtui.console.view import View

WIDTH_MIN, HEIGHT_MIN = 60, 16


class TooSmall(LineWidget):
    """Stands in for everything else while the window is too small."""

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        quorum = view.picture.quorum
        lead = view.picture.leadership
        first = Pen(width).write(f" {quorum.word} ", HEALTH_INKS[quorum.health])
        first.write(f" {lead.name} t{lead.term}" if lead.name else " nobody leads")
        size = self.app.size
        text = f"make the window {WIDTH_MIN}x{HEIGHT_MIN} or larger (now {size.width}x{size.height})"
        lines = [first.line()]
        while text and len(lines) < height:
            cut = (
                len(text)
                if len(text) <= width
                else (text.rfind(" ", 0, width + 1) if " " in text[: width + 1] else width)
            )
            lines.append(((fit(text[:cut], width), "quiet"),))
            text = text[cut:].lstrip()
        return lines
