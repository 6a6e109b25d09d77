"""Everything that is known of one node, service or task, as lines of a page."""

from __future__ import annotations

from collections.abc import Iterable

from swarmtui.console.model.durations import clock_text, elapsed
from swarmtui.console.model.picture import NodeRow, Picture
from swarmtui.console.model.services import ServiceRow, TaskRow
from swarmtui.console.model.standing import LOOKS, Standing
from swarmtui.console.orders import Target
from swarmtui.console.panes.ink import one_line
from swarmtui.console.panes.task_list import task_look

LINE_WIDTH = 70  # characters; longer texts are broken


def detail_lines(target: Target, picture: Picture, *, utc: bool = False) -> list[str]:
    """The page of this target; says so if it is gone."""
    if target.kind == "node" and (node := picture.node(target.name)) is not None:
        return _node(node, picture)
    if target.kind == "service" and (service := picture.service(target.name)) is not None:
        return _service(service, picture, utc)
    if target.kind == "task" and (task := picture.task(target.id)) is not None:
        return _fields(_task_fields(task, picture, utc))
    return [f"{target.name} is gone"]


def _node(node: NodeRow, picture: Picture) -> list[str]:
    look = LOOKS[node.standing]
    since = f" for {elapsed(picture.now - node.since)}" if node.since is not None else ""
    fields = [
        ("state", f"{look.glyph} {look.word}{since}"),
        ("why", node.reason),
        ("id", node.id),
        ("address", node.address),
        ("pid", str(node.pid) if node.pid and node.standing.answers else ""),
        ("availability", node.availability.value),
    ]
    if node.is_manager:
        fields += [
            ("term", str(node.term)),
            ("log", f"{node.first} to {node.last}, committed {node.commit}, applied {node.applied}"),
        ]
        if node.standing in (Standing.LEADER, Standing.DOUBTED):  # a follower talks with its leader only
            fields.append(("hears", f"{node.hears} of {picture.quorum.voters} managers, itself included"))
    lines = [*_fields(fields), "", "tasks"]
    return lines + ([f"  {_task_line(task)}" for task in node.tasks] or ["  none"])


def _service(service: ServiceRow, picture: Picture, utc: bool) -> list[str]:
    lines = _fields(
        [
            ("state", service.text),
            ("running", f"{service.running} of {service.wanted} wanted, {service.mode}"),
            ("image", service.image),
            ("ports", service.ports),
            ("id", service.id),
        ]
    )
    lines += ["", "tasks"]
    for task in picture.tasks:
        if task.service == service.name:
            lines.append(f"  {_task_line(task)}")
            if task.error:
                lines.extend(f"      {text}" for text in _broken(task.error, LINE_WIDTH - 6))
    return lines


def _task_fields(task: TaskRow, picture: Picture, utc: bool) -> list[tuple[str, str]]:
    glyph, word, _ = task_look(task)
    since = f" for {elapsed(picture.now - task.since)}, since {clock_text(task.since, utc=utc)}" if task.since else ""
    return [
        ("state", f"{glyph} {word}{since}"),
        ("wanted", task.desired.word.lower()),
        ("why", task.error),
        ("node", task.node or "none yet"),
        ("pid", str(task.pid) if task.is_running and task.pid else ""),
        ("port", str(task.port) if task.is_running and task.port else ""),
        ("path", " ".join(task.path)),
        ("id", task.id),
    ]


def _task_line(task: TaskRow) -> str:
    glyph, word, _ = task_look(task)
    return f"{glyph} {task.name:<14} {task.node:<6} {word:<10} {task.id[:12]}"


def _fields(fields: Iterable[tuple[str, str]]) -> list[str]:
    """`name   text`, the text broken under itself; fields without text are left out."""
    lines: list[str] = []
    for name, text in fields:
        for position, part in enumerate(_broken(text, LINE_WIDTH - 14)):
            lines.append(f"{'' if position else name:<14}{part}")
    return lines


def _broken(text: str, width: int) -> list[str]:
    words = one_line(text).split()
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
