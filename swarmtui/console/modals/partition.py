"""Cutting the network in two: who stands on which side, and what each side can do then."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label

from swarmtui.console.model.picture import Picture
from swarmtui.console.orders import Order, side_sentence


class Partition(ModalScreen[Order | None]):
    """Nodes in a row; space moves the marked one to the other side. Enter gives the order, esc none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h,up,k", "move(-1)", "the node before", show=False),
        Binding("right,l,down,j,tab", "move(1)", "the next node", show=False),
        Binding("space,X,x", "switch", "to the other side", show=False),
        Binding("enter,y", "cut", "cut", show=False),
        Binding("escape,n,q", "leave", "leave", show=False),
    ]

    def __init__(self, picture: Picture, chosen: str) -> None:
        super().__init__()
        self.picture = picture
        self.names = [node.name for node in picture.nodes]
        self.left = {chosen}
        self.at = self.names.index(chosen) if chosen in self.names else 0

    def compose(self) -> ComposeResult:
        with Vertical(id="partition", classes="dialog") as dialog:
            dialog.border_title = "Cut the network"
            yield Label("", id="sides", markup=True)
            yield Label("", id="side-one", markup=False, classes="dialog--line")
            yield Label("", id="side-two", markup=False, classes="dialog--line")
            yield Label("", id="same", markup=False, classes="dialog--quiet")
            yield Label("← → node   space other side   enter cut   esc leave", markup=False, classes="dialog--quiet")

    def on_mount(self) -> None:
        self._tell()

    @property
    def order(self) -> Order | None:
        """The command, None while one side is empty."""
        one = [name for name in self.names if name in self.left]
        if not one or len(one) == len(self.names):
            return None
        return Order(("partition", *one))

    def _tell(self) -> None:
        def part(names: list[str]) -> str:
            return (
                "  ".join(f"[reverse] {name} [/]" if name == self.names[self.at] else f" {name} " for name in names)
                or " nobody "
            )

        one = [name for name in self.names if name in self.left]
        two = [name for name in self.names if name not in self.left]
        self.query_one("#sides", Label).update(f"{part(one)}  [b]╳[/b]  {part(two)}")
        self.query_one("#side-one", Label).update(side_sentence(one, self.picture) if one else "")
        self.query_one("#side-two", Label).update(side_sentence(two, self.picture) if two else "")
        order = self.order
        self.query_one("#same", Label).update(f"Same as: {order.line}" if order else "both sides need a node")

    def action_move(self, step: int) -> None:
        self.at = (self.at + step) % len(self.names)
        self._tell()

    def action_switch(self) -> None:
        self.left ^= {self.names[self.at]}
        self._tell()

    def action_cut(self) -> None:
        if self.order is not None:
            self.dismiss(self.order)

    def action_leave(self) -> None:
        self.dismiss(None)
