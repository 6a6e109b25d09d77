"""Tasks: every slot's attempt that is wanted, and under it the last few that ended, with why."""

from __future__ import annotations

from typing import ClassVar

from swarmtui.console.model.durations import elapsed
from swarmtui.console.model.services import TaskRow, brief
from swarmtui.console.panes.ink import Line, Pen, Span, fit_name, one_line, service_ink
from swarmtui.console.panes.list_pane import ListPane, matches
from swarmtui.console.view import View
from swarmtui.objects.states import TaskState


class TaskList(ListPane):
    """One row for each task; ended attempts are indented under their slot, and hidden by `a`."""

    HAS_CURSOR: ClassVar[bool] = True
    TOLD_BY_NODES = True
    NUMBER: ClassVar[str] = "3"
    TITLE: ClassVar[str] = "Tasks"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tasks: list[TaskRow] = []
        self.with_past = True
        self._chosen_id = ""
        self._now = 0.0

    def load(self, view: View) -> int:
        self._now = view.now
        self.tasks = [
            task
            for task in view.picture.tasks
            if (self.with_past or not task.past)
            and matches(self.filter, task.name, task.node, task.state.word, task.error, "lost" if task.lost else "")
        ]
        # The cursor stays on its task while others come and go.
        for position, task in enumerate(self.tasks):
            if task.id == self._chosen_id:
                self.cursor = position
                break
        return len(self.tasks)

    def _settle(self) -> None:
        super()._settle()
        chosen = self.chosen()
        self._chosen_id = chosen.id if chosen is not None else ""

    def action_move(self, rows: int) -> None:
        self.cursor = min(max(0, self.cursor + rows), max(0, self.count - 1))
        self._chosen_id = self.tasks[self.cursor].id if self.tasks else ""
        self.redraw()

    def chosen(self) -> TaskRow | None:
        """The task under the cursor."""
        return self.tasks[self.cursor] if self.cursor < len(self.tasks) else None

    def detail(self) -> list[Span]:
        spans = super().detail()
        if not self.with_past:
            spans.append((" living only ", "quiet"))
        return spans

    def empty(self) -> str:
        return "no tasks"

    def header(self, width: int) -> Line:
        pen = Pen(width).skip(3).field("task", self._name_width(width), "quiet").skip().field("node", 6, "quiet").skip()
        pen.field("state", 12, "quiet").skip().number("for", 6, "quiet").skip(2)
        if width >= 72:
            pen.number("pid", 7, "quiet").skip().number("port", 5, "quiet").skip(2)
        if width >= 110:
            pen.field("path", 9, "quiet").skip()
        return pen.write("why" if width >= 60 else "", "quiet").line()

    def row(self, position: int, width: int) -> Line:
        task = self.tasks[position]
        glyph, word, ink = task_look(task)
        quiet = "quiet" if task.past else ""
        pen = Pen(width).write(*self.pointer(position))
        if task.past:
            pen.write("  ")
        else:
            pen.write(task.letter, service_ink(task.ink, fill=task.is_running)).skip()
        name = f"└ {task.name}" if task.past else task.name
        pen.write(fit_name(name, self._name_width(width)), quiet or "strong").skip().field(
            task.node or "–", 6, quiet
        ).skip()
        pen.field(f"{glyph} {word}", 12, ink).skip()
        pen.number(elapsed(self._now - task.since) if task.since else "", 6, quiet).skip(2)
        living = task.is_running and task.pid
        if width >= 72:
            pen.number(str(task.pid) if living else "", 7, "quiet").skip()
            pen.number(str(task.port) if living and task.port else "", 5, "quiet").skip(2)
        if width >= 110:
            pen.field(" ".join(task.path[-5:]), 9, "quiet").skip()
        return pen.field(self.shifted(one_line(brief(task.error))), pen.room, "quiet" if task.past else "warn").line()

    def _name_width(self, width: int) -> int:
        longest = max([8, *(len(task.name) + 2 * task.past for task in self.tasks)])
        return min(longest, max(12, width // 3))

    def toggle_past(self) -> None:
        """Show or hide attempts that ended."""
        self.with_past = not self.with_past
        self.redraw()


def task_look(task: TaskRow) -> tuple[str, str, str]:
    """Glyph, word and ink of a task's state."""
    if task.lost:
        return "✗", "lost", "down"
    state = task.state
    if state is TaskState.RUNNING:
        if task.unheard:
            return "?", "unheard", "unsure"
        return ("◐", "stopping", "quiet") if task.past else ("●", "running", "good")
    if state in (TaskState.FAILED, TaskState.REJECTED):
        return "✗", state.word.lower(), "bad"
    if state is TaskState.ORPHANED:
        return "?", "orphaned", "quiet"
    if state.is_terminal:
        return "○", state.word.lower(), "quiet"
    if task.past and not task.is_leaving:
        return "○", "withdrawn", "quiet"  # not wanted any more before it had a node
    return "◐", state.word.lower(), "warn"
