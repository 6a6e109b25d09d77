"""Which key next: the change keys for what is chosen, and the others below them."""

from __future__ import annotations

from swarmtui.console.keys import CHANGE_KEYS, HEAL_KEYS, LOOK_KEYS, QUIET_KEYS
from swarmtui.console.model.standing import Standing
from swarmtui.console.orders import Target
from swarmtui.console.panes.ink import Line, Pen, fit
from swarmtui.console.panes.line_widget import LineWidget
from swarmtui.console.view import View
from swarmtui.objects.states import Availability

ROOMY_WIDTH_MIN = 66  # below it a second cell between the keys would push the last one out
THEME_KEY_WIDTH_MIN = 72  # below it the way out is worth more than the colours

DETAIL = next(key for key in QUIET_KEYS if key.id == "view.detail")


class KeyBar(LineWidget):
    """Two lines. The words follow the target: `P resume` on a paused node, `R bring back` on a dead one."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.target: Target | None = None
        self.shows_echo = False

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        return [self._changes(view, width), self._looks(view, width)]

    def _changes(self, view: View, width: int) -> Line:
        pen = Pen(width).skip()
        if view.watch:
            return pen.write("watching only: this certificate may change nothing", "quiet").line()
        pen.write(fit(self.target.name, min(14, len(self.target.name))) if self.target else "–", "strong").write(
            " ▸", "quiet"
        )
        for key in CHANGE_KEYS:
            word = key_word(key.id, key.bar, self.target, view)
            if word and len(key.shown) + len(word) + 2 <= pen.room:  # a whole word or none
                pen.write(f" {key.shown} ", "key").write(word).skip(0 if width < ROOMY_WIDTH_MIN else 1)
        if self.target and len(DETAIL.shown) + len(DETAIL.bar) + 2 <= pen.room:
            pen.write(f" {DETAIL.shown} ", "key").write(DETAIL.bar, "quiet").skip()
        if self.shows_echo and view.echo:
            text = f"$ {view.echo} "
            if pen.room > len(text):
                pen.right([(text, view.echo_ink)])
        return pen.line()

    def _looks(self, view: View, width: int) -> Line:
        pen = Pen(width)
        heal = () if view.watch or not view.picture.faults or width < 100 else HEAL_KEYS
        for key in (*LOOK_KEYS[:2], *heal, *LOOK_KEYS[2:]):
            if width < THEME_KEY_WIDTH_MIN and key.id == "view.theme":
                continue
            word = "live" if key.id == "view.hold" and view.held_at is not None else key.bar
            pen.write(f" {key.shown} ", "key").write(word, "quiet").skip(1 if width < 100 else 2)
        return pen.line()


def key_word(key_id: str, word: str, target: Target | None, view: View) -> str:
    """The word of a change key for this target; "" where the key makes no sense."""
    if target is None:
        return ""
    if target.kind != "node":
        return "" if key_id in ("node.partition", "node.drain") else word
    node = view.picture.node(target.name)
    if node is None:
        return word
    if node.standing.is_dead:
        return {"target.restart": "bring back", "node.drain": _drain_word(node.availability)}.get(key_id, "")
    if node.standing is Standing.PAUSED:
        return {"target.pause": "resume", "target.restart": "", "target.stop": ""}.get(key_id, word)
    if key_id == "node.drain":
        return _drain_word(node.availability)
    return word


def _drain_word(availability: Availability) -> str:
    return "drain" if availability is Availability.ACTIVE else "activate"
