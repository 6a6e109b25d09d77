"""Services: is each at its wanted count, and if not, why."""

from __future__ import annotations

from typing import ClassVar

from swarmtui.console.model.services import ServiceRow, ServiceState
from swarmtui.console.panes.ink import Line, Pen, one_line, service_ink
from swarmtui.console.panes.list_pane import ListPane, matches
from swarmtui.console.view import View

STATE_LOOKS = {
    ServiceState.STEADY: ("●", "good"),
    ServiceState.STARTING: ("◐", "warn"),
    ServiceState.STOPPING: ("◐", "quiet"),
    ServiceState.UPDATING: ("◐", "warn"),
    ServiceState.RESTARTING: ("↻", "warn"),
    ServiceState.STUCK: ("✗", "bad"),
    ServiceState.EMPTY: ("○", "quiet"),
}


class ServiceList(ListPane):
    """One row for each service."""

    HAS_CURSOR: ClassVar[bool] = True
    TOLD_BY_NODES = True
    NUMBER: ClassVar[str] = "2"
    TITLE: ClassVar[str] = "Services"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.services: list[ServiceRow] = []

    def load(self, view: View) -> int:
        self.services = [
            service
            for service in view.picture.services
            if matches(self.filter, service.name, service.mode, service.text)
        ]
        return len(self.services)

    def chosen(self) -> ServiceRow | None:
        """The service under the cursor."""
        return self.services[self.cursor] if self.cursor < len(self.services) else None

    def empty(self) -> str:
        return "no services   : service create makes one, `swarmtui up` takes them from a cluster.toml"

    def header(self, width: int) -> Line:
        pen = Pen(width).skip(3).field("service", _name_width(width, self.services), "quiet").skip()
        pen.number("run", 4, "quiet").field(" /want", 6, "quiet").skip()
        if width >= 70:
            pen.field("mode", 10, "quiet").skip().field("ports", 7, "quiet").skip()
        return pen.write("state", "quiet").line()

    def row(self, position: int, width: int) -> Line:
        service = self.services[position]
        glyph, ink = STATE_LOOKS[service.state]
        pen = (
            Pen(width).write(*self.pointer(position)).write(service.letter, service_ink(service.ink, fill=True)).skip()
        )
        pen.field(service.name, _name_width(width, self.services), "strong").skip()
        pen.number(str(service.running), 4, "bad" if service.is_short else "").field(f" / {service.wanted}", 6).skip()
        if width >= 70:
            pen.field(service.mode, 10, "quiet").skip().field(service.ports, 7, "quiet").skip()
        return pen.write(f"{glyph} ", ink).field(self.shifted(one_line(service.text)), pen.room, ink).line()


def _name_width(width: int, services: list[ServiceRow]) -> int:
    longest = max([7, *(len(service.name) for service in services)])
    return min(longest, max(10, width // 3))
