"""One row for each node: role, term, commit and last, election timer, its tasks as blocks, and its last sixty seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs
from textual.message import Message

from swarmtui.console.model.durations import elapsed
from swarmtui.console.model.lanes import LaneCell, lane_cells
from swarmtui.console.model.picture import NodeRow, Picture
from swarmtui.console.model.services import TaskRow
from swarmtui.console.model.standing import LOOKS, Standing
from swarmtui.console.panes.ink import Line, Pen, Span, fit, service_ink, term_ink
from swarmtui.console.panes.line_widget import LineWidget
from swarmtui.console.view import View
from swarmtui.objects.states import Availability

BAR_ENTRIES_MIN = 24  # the bar shows at least this many of the newest entries
TIMER_CELLS = 5
NAME_WIDTH_MAX = 12


@attrs.frozen
class Columns:
    """Where things stand on a row, by the width of the strip and the widest name and number."""

    name: int
    word: int
    term: int
    bar: int
    numbers: int
    timer: int
    tasks: int
    lane: int

    @classmethod
    def of(cls, picture: Picture, width: int) -> Columns:
        name = min(NAME_WIDTH_MAX, max([2, *(len(node.name) for node in picture.nodes)]))
        term = max(3, 1 + max((len(str(node.term)) for node in picture.nodes), default=1))
        numbers = max([len("commit/last"), *(len(numbers_text(node)) for node in picture.nodes)])
        bar = 8 if width < 100 else 10
        word = 9
        tasks = 9 if width < 100 else 17 if width < 140 else 25
        timer = 7
        # glyph and cursor take 4; a cell between columns
        fixed = 3 + name + 1 + word + 1 + term + 1 + bar + 1 + numbers + 1 + timer + 1 + tasks + 1
        return cls(name, word, term, bar, numbers, timer, tasks, max(0, width - fixed - 1))


class NodeStrip(LineWidget, can_focus=True):
    """The rows of all nodes under one title. The row with the cursor is what the change keys act upon."""

    class Chosen(Message):
        """Another node carries the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.chosen = ""
        self.acted_upon = True  # else the change keys are a service's or a task's, and the sign of the cursor is hollow
        self._followed = True  # until somebody chooses, the cursor stands on the leader
        self._names: tuple[str, ...] = ()

    def show(self, view: View) -> None:
        self._names = tuple(node.name for node in view.picture.nodes)
        if self._followed and view.picture.leadership.name:
            self.chosen = view.picture.leadership.name
            self._followed = False
        elif self.chosen not in self._names and self._names:
            self.chosen = self._names[0]
            self._followed = True
        height = len(self._names) + 1
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height
        super().show(view)

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        picture = view.picture
        columns = Columns.of(picture, width)
        newest = max((node.last for node in picture.nodes), default=0)
        sign = "▸" if self.acted_upon else "▹"
        return [title(columns, width, self.has_focus)] + [
            node_line(node, picture, columns, newest, width, sign if node.name == self.chosen else " ")
            for node in picture.nodes
        ]

    def cursor_line(self) -> int | None:
        return self._names.index(self.chosen) + 1 if self.chosen in self._names else None

    def choose(self, name: str) -> None:
        """Put the cursor on this node; from now on it moves for nobody else."""
        self._followed = False
        if name in self._names and name != self.chosen:
            self.chosen = name
            self.redraw()
            self.post_message(self.Chosen())

    def action_move(self, rows: int) -> None:
        """Move the cursor by some rows; it stops at the ends."""
        if self._names:
            at = self._names.index(self.chosen) if self.chosen in self._names else 0
            self.choose(self._names[min(len(self._names) - 1, max(0, at + rows))])

    def action_page(self, pages: int) -> None:
        """There is but one page of nodes: to its first or its last."""
        self.action_move(pages * len(self._names))

    def action_home(self) -> None:
        self.action_page(-1)

    def action_end(self) -> None:
        self.action_page(1)

    def on_click(self, event: object) -> None:
        line = getattr(event, "y", 0) - 1
        if 0 <= line < len(self._names):
            self.choose(self._names[line])


def title(columns: Columns, width: int, focused: bool) -> Line:
    """The rule above the rows, with each column's name where the column begins."""
    ink = "title-focus" if focused else "title"
    pen = Pen(width).write("─", "faint").write("nodes", ink)

    def at(column: int, text: str) -> None:
        if column + len(text) < width:
            if column > pen.column:
                pen.write("─" * (column - pen.column), "faint")
            pen.write(text, "quiet")

    start = 3 + columns.name + 1 + columns.word + 1
    at(start, "term")
    bar = start + columns.term + 1
    at(bar + columns.bar + 1, "commit/last")
    timer = bar + columns.bar + 1 + columns.numbers + 1
    at(timer, "timer")
    at(timer + columns.timer + 1, "tasks")
    at(timer + columns.timer + 1 + columns.tasks + 1, "last 60 s" if columns.lane >= 9 else "60 s")
    return pen.write("─" * pen.room, "faint").line()


def node_line(node: NodeRow, picture: Picture, columns: Columns, newest: int, width: int, sign: str) -> Line:
    """The whole row of one node, with the sign of the cursor before it."""
    look = LOOKS[node.standing]
    pen = Pen(width).write(sign, "key").write(look.glyph, look.ink).skip()
    pen.field(node.name, columns.name, "strong" if node.standing.answers else look.ink).skip()
    pen.field(look.word, columns.word, look.ink).skip()
    if node.is_manager and node.term:
        pen.write(f" {node.term}".ljust(columns.term), term_ink(node.term, fill=True)).skip()
        pen.spans(bar(node, newest, columns.bar)).skip()
        pen.field(numbers_text(node), columns.numbers, "" if node.standing.answers else "quiet").skip()
    else:
        pen.field("", columns.term + 1 + columns.bar + 1).field("", columns.numbers).skip()
    pen.spans(timer(node, picture, columns.timer)).skip()
    pen.spans(blocks(node.tasks, columns.tasks)).skip()
    return pen.spans(lane(lane_cells(node.lane, picture.now, columns.lane))).line()


def numbers_text(node: NodeRow) -> str:
    """`148/150`; from five digits on the distance instead of the second number: `100148 +2`."""
    if not node.last:
        return ""
    if node.last < 100_000:
        return f"{node.commit}/{node.last}"
    ahead = node.last - node.commit
    return f"{node.commit} +{ahead}" if ahead else str(node.commit)


def bar(node: NodeRow, newest: int, width: int) -> list[Span]:
    """How far the node is, among the newest entries of the whole cluster: committed full, appended shaded."""
    span = max(
        BAR_ENTRIES_MIN, newest - node.commit if newest - node.commit < BAR_ENTRIES_MIN * 2 else BAR_ENTRIES_MIN * 2
    )
    base = max(0, newest - span)
    scale = width / max(1, min(span, newest))
    committed = round(max(0, node.commit - base) * scale)
    appended = max(committed, round(max(0, node.last - base) * scale))
    if node.commit < newest:  # a full bar means all of it
        committed = min(committed, width - 1)
    if node.last < newest:
        appended = min(appended, width - 1)
    if node.last > node.commit and appended == committed:
        appended = min(width, committed + 1)
    ink = term_ink(node.term)
    return [("▇" * committed, ink), ("▒" * (appended - committed), ink), ("·" * (width - appended), "faint")]


def timer(node: NodeRow, picture: Picture, width: int) -> list[Span]:
    """What is up with the node's time: its election timer running down, whom it hears, or for how long it is gone."""
    if not node.standing.answers:
        text = elapsed(picture.now - node.since) if node.since is not None else ""
        return [(fit(text, width), "quiet")]
    if node.cut_off:
        return [(fit("╳ cut", width), "down")]
    if node.availability is Availability.DRAIN:
        return [(fit("drained", width), "paused")]
    if node.standing in (Standing.LEADER, Standing.DOUBTED):
        return [(fit(f"hears {node.hears}", width), "quiet")]
    if node.timer is not None and node.is_manager:
        left, total = node.timer
        full = min(TIMER_CELLS, max(0, round(left / total * TIMER_CELLS)))
        return [("▮" * full, "quiet"), ("▯" * (TIMER_CELLS - full), "faint"), (" " * (width - TIMER_CELLS), "")]
    if node.availability is Availability.PAUSE:
        return [(fit("no new", width), "paused")]
    return [(" " * width, "")]


def blocks(tasks: Sequence[TaskRow], width: int) -> list[Span]:
    """The node's tasks: a block with the service's letter each; filled while it runs. Too many: a count by service."""
    if not tasks:
        return [(fit("–", width), "faint")]
    spans: list[Span] = []
    if len(tasks) * 2 - 1 <= width:
        for position, task in enumerate(tasks):
            spans.append(block(task))
            if position < len(tasks) - 1:
                spans.append((" ", ""))
    elif len(tasks) <= width:
        spans = [block(task) for task in tasks]
    else:
        counts = Counter((task.letter, task.ink) for task in tasks)
        room = width
        for (letter, ink), count in counts.most_common():
            text = f"{letter}{count}"
            if len(text) > room:
                break
            spans.append((text, service_ink(ink, fill=True)))
            room -= len(text)
            if room:
                spans.append((" ", ""))
                room -= 1
    used = sum(len(text) for text, _ in spans)
    return [*spans, (" " * (width - used), "")]


def block(task: TaskRow) -> Span:
    if task.lost:
        return "✗", "down"
    return task.letter, service_ink(task.ink, fill=task.is_running)


LANE_GLYPHS = {
    Standing.LEADER: "━",
    Standing.DOUBTED: "╍",
    Standing.FOLLOWER: "─",
    Standing.LEARNER: "─",
    Standing.WORKER: "─",
    Standing.CANDIDATE: "▲",
    Standing.PRE_CANDIDATE: "△",
    Standing.SILENT: "?",
    Standing.PAUSED: "‖",
    Standing.KILLED: "✗",
    Standing.STOPPED: "■",
    Standing.EXITED: "✗",
    Standing.REFUSED: "✗",
    Standing.DOWN: "✗",
}


def lane(cells: Sequence[LaneCell]) -> list[Span]:
    """The last sixty seconds. What a node became is shown by its glyph once; gone, it leaves an empty lane."""
    spans: list[Span] = []
    for cell in cells:
        text, ink = lane_cell(cell)
        if spans and spans[-1][1] == ink:
            spans[-1] = (spans[-1][0] + text, ink)
        else:
            spans.append((text, ink))
    return spans


def lane_cell(cell: LaneCell) -> Span:
    standing = cell.standing
    if standing is None or standing is Standing.ASKING:
        return " ", ""
    glyph = LANE_GLYPHS[standing]
    if not standing.answers:
        if cell.begins:
            return glyph, LOOKS[standing].ink
        return (" " if standing.is_dead else "┄"), "faint"
    if standing is Standing.WORKER:
        return glyph, "faint"
    return glyph, term_ink(cell.term)
