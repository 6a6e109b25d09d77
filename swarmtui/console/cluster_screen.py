"""The Cluster screen: status on top, the nodes, what came of the last fault, the panes, and which key next."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Input

from swarmtui.console.keys import MOVE_KEYS
from swarmtui.console.model.picture import Sight
from swarmtui.console.orders import Target
from swarmtui.console.panes.banner import BannerLine
from swarmtui.console.panes.command_line import CommandLine
from swarmtui.console.panes.event_stream import EventStream
from swarmtui.console.panes.ink import INKS
from swarmtui.console.panes.key_bar import KeyBar
from swarmtui.console.panes.line_widget import LineWidget
from swarmtui.console.panes.list_pane import ListPane
from swarmtui.console.panes.log_grid import LogGrid
from swarmtui.console.panes.node_strip import NodeStrip
from swarmtui.console.panes.output_view import OutputView
from swarmtui.console.panes.service_list import ServiceList
from swarmtui.console.panes.status_line import StatusLine
from swarmtui.console.panes.tab_row import TabRow
from swarmtui.console.panes.task_list import TaskList
from swarmtui.console.panes.too_small import HEIGHT_MIN, WIDTH_MIN, TooSmall
from swarmtui.console.view import View

WIDE = 150
SERVICES_SHOWN_MAX = 10  # rows, on a wide screen
MOVES = frozenset(("move", "page", "across", "home", "end", "next_pane", "previous_pane"))
RAFT, SERVICES, TASKS, OUTPUT, EVENTS = 1, 2, 3, 4, 5


class ClusterScreen(Screen[None]):
    """Knows where everything stands; what anything means is said elsewhere."""

    AUTO_FOCUS: ClassVar[str | None] = "#nodes"
    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority, as the orders: K behind an arrow key is meant for the row that the arrow leads to.
        *(Binding(key, action, show=False, priority=True) for key, action in MOVE_KEYS),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"ink--{name}" for name in INKS}

    def __init__(self) -> None:
        super().__init__()
        self.active = RAFT
        self.status = StatusLine(id="status")
        self.nodes = NodeStrip(id="nodes")
        self.banner = BannerLine(id="banner")
        self.tabs = TabRow(id="tabs")
        self.log_grid = LogGrid(id="raft")
        self.service_list = ServiceList(id="services")
        self.task_list = TaskList(id="tasks")
        self.output_view = OutputView(id="output")
        self.event_stream = EventStream(id="events")
        self.key_bar = KeyBar(id="keys")
        self.command_line = CommandLine(id="command")
        self.too_small = TooSmall(id="small")
        self.panes: dict[int, ListPane] = {
            RAFT: self.log_grid,
            SERVICES: self.service_list,
            TASKS: self.task_list,
            OUTPUT: self.output_view,
            EVENTS: self.event_stream,
        }
        self._lower = EVENTS  # which of output and events is shown on a wide screen
        self._view: View | None = None
        self._services_rows = -1

    def compose(self) -> ComposeResult:
        yield self.status
        yield self.nodes
        yield self.banner
        yield self.tabs
        with Horizontal(id="panes"):
            with Vertical(id="left"):
                yield self.log_grid
            with Vertical(id="right"):
                yield self.service_list
                yield self.task_list
                yield self.output_view
                yield self.event_stream
        yield self.too_small
        yield self.key_bar
        yield self.command_line

    # ------------------------------------------------------------------------------------------------------ showing

    def show(self, view: View) -> None:
        """Paint this view: every widget in sight once, and of it only the lines that changed."""
        self._view = view
        self._fit_services()
        self.set_class(view.picture.sight is Sight.STALE, "-stale")
        self.key_bar.target = target = self.target
        self.nodes.acted_upon = target is None or target.kind == "node"
        self.tabs.details = self.panes[self.active].detail()
        for widget in self.line_widgets:
            widget.show(view)

    @property
    def line_widgets(self) -> tuple[LineWidget, ...]:
        return (self.status, self.nodes, self.banner, *self.panes.values(), self.tabs, self.key_bar, self.too_small)

    def show_again(self) -> None:
        """Paint the last view once more: something about how it is shown has changed."""
        if self._view is not None:
            self.show(self._view)

    def on_mount(self) -> None:
        self._arrange()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < WIDTH_MIN or event.size.height < HEIGHT_MIN, "-tiny")
        self._arrange()
        self.call_after_refresh(self.show_again)

    @property
    def is_wide(self) -> bool:
        return self.app.size.width >= WIDE

    def _arrange(self) -> None:
        """Show the panes that belong on a screen of this width."""
        wide = self.is_wide
        if self.active in (OUTPUT, EVENTS):
            self._lower = self.active
        shown = {RAFT, SERVICES, TASKS, self._lower} if wide else {self.active}
        for number, pane in self.panes.items():
            pane.display = number in shown
            pane.titled = wide
        left, right = self.query_one("#left"), self.query_one("#right")
        left.display = wide or self.active == RAFT
        right.display = wide or self.active != RAFT
        self._fit_services()
        self.key_bar.shows_echo = wide
        self.tabs.active = self.active
        right.styles.width = max(60, self.app.size.width * 2 // 5) if wide else "1fr"

    def _fit_services(self) -> None:
        """On a wide screen the list of services is as high as it needs to be."""
        services = len(self._view.picture.services) if self._view is not None else 0
        rows = min(SERVICES_SHOWN_MAX, max(1, services)) + 2 if self.is_wide else 0
        if rows != self._services_rows:
            self._services_rows = rows
            self.service_list.styles.height = rows or "1fr"

    def pick(self, number: int, *, focus: bool = True) -> None:
        """Show this pane and go there; 0 is the node strip."""
        if number:
            self.active = number
        self._arrange()
        if number and self._view is not None:
            self.panes[number].count = self.panes[number].load(self._view)  # something is chosen there at once
        if focus:  # now, not soon: the next key may be an order for what is chosen there
            self.set_focus(self.panes[number] if number else self.nodes)
        self.call_after_refresh(self.show_again)

    @property
    def active_pane(self) -> ListPane:
        """The pane that has the focus, else the one shown."""
        focused = self.focused  # `has_focus` would still be that of a moment ago
        return focused if isinstance(focused, ListPane) else self.panes[self.active]

    @property
    def moved(self) -> ListPane | NodeStrip:
        """What the arrow keys move: the pane that has the focus, else the nodes."""
        return self.focused if isinstance(self.focused, ListPane) else self.nodes

    @property
    def target(self) -> Target | None:
        """What a change key acts upon: the chosen service or task while their pane has the focus, else the chosen node."""
        if self.focused is self.task_list:
            task = self.task_list.chosen()
            return Target("task", task.name, task.id) if task is not None else None
        if self.focused is self.service_list:
            service = self.service_list.chosen()
            return Target("service", service.name, service.id) if service is not None else None
        return Target("node", self.nodes.chosen) if self.nodes.chosen else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in MOVES and isinstance(self.focused, Input):
            return False  # something is typed: keys are its own
        return super().check_action(action, parameters)

    def action_move(self, rows: int) -> None:
        self.moved.action_move(rows)

    def action_page(self, pages: int) -> None:
        self.moved.action_page(pages)

    def action_across(self, steps: int) -> None:
        self.active_pane.action_across(steps)
        self.show_again()  # how far is told beside the tabs

    def action_home(self) -> None:
        self.moved.action_home()

    def action_end(self) -> None:
        self.moved.action_end()

    def action_next_pane(self) -> None:
        self.focus_next()

    def action_previous_pane(self) -> None:
        self.focus_previous()

    def on_descendant_focus(self) -> None:
        for number, pane in self.panes.items():
            if pane is self.focused and number != self.active:
                self.active = number
                self.tabs.active = number
        self.call_after_refresh(self.show_again)

    def on_node_strip_chosen(self) -> None:
        self.show_again()

    def on_tab_row_picked(self, message: TabRow.Picked) -> None:
        self.pick(message.number)
