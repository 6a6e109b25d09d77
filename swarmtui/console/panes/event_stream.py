"""Events: what happened, one line each, the newest last."""

from __future__ import annotations

from typing import ClassVar

from swarmtui.console.model.durations import clock_text
from swarmtui.console.model.event_book import matching
from swarmtui.console.model.services import brief
from swarmtui.console.panes.ink import Line, Pen, Span, one_line
from swarmtui.console.panes.list_pane import ListPane
from swarmtui.console.view import View
from swarmtui.objects.events import Event

KIND_INKS = {
    "election": "leader",
    "raft": "quiet",
    "node": "warn",
    "service": "strong",
    "task": "",
    "fault": "bad",
    "refused": "bad",
    "gap": "unsure",
    "host": "quiet",
}
FILTERED_MAX = 1000


class EventStream(ListPane):
    """The stream of events, followed until somebody scrolls up."""

    NEWEST_LAST: ClassVar[bool] = True
    NUMBER: ClassVar[str] = "5"
    TITLE: ClassVar[str] = "Events"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.events: list[Event] = []
        self._utc = False
        self._seen = 0

    def load(self, view: View) -> int:
        self._utc = view.utc
        if self.following and not self.filter:  # only what is in sight: the stream may be long
            self.events = matching(view.events, "", max(1, self.size.height))
        else:
            self.events = matching(view.events, self.filter, FILTERED_MAX)
        return len(self.events)

    def action_move(self, rows: int) -> None:
        if self.following and rows < 0 and self.view is not None:  # leave the end: now more than the sight is needed
            self.following = False
            self.count = self.load(self.view)
            self.top = max(0, self.count - self.window)
        super().action_move(rows)

    def detail(self) -> list[Span]:
        return super().detail()

    def empty(self) -> str:
        return "nothing has happened since the console came"

    def row(self, position: int, width: int) -> Line:
        event = self.events[position]
        pen = Pen(width).skip().write(clock_text(event.time, milliseconds=True, utc=self._utc), "quiet").skip()
        pen.field(event.node or "–", 5, "strong").skip().field(event.kind, 8, KIND_INKS.get(event.kind, "")).skip()
        # Node and kind stand in columns of their own already.
        text = event.text.removeprefix(f"{event.node} ").removeprefix(f"{event.kind} ")
        return pen.field(self.shifted(one_line(brief(text))), pen.room).line()
