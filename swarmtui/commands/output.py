"""What a command shows, as data: the command line writes it as a table, JSON or a template, the console as a pane.

Field names are Docker's own (`ID`, `CurrentState`), since they are the keys of JSON and the names of templates.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs


@attrs.frozen
class Column:
    heading: str
    field: str
    shrinks: bool = False  # may be cut where the screen is narrow


@attrs.frozen
class Row:
    """One object of a listing. `cells` are what a table shows where it differs from the value, by field."""

    values: Mapping[str, Any]
    cells: Mapping[str, str] = {}

    def cell(self, field: str) -> str:
        if field in self.cells:
            return self.cells[field]
        value = self.values.get(field)
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)


@attrs.frozen
class Listing:
    """A table: JSON prints one object a row. `quiet` names the field that `-q` prints alone."""

    columns: tuple[Column, ...]
    rows: Sequence[Row]
    quiet: str = "ID"


@attrs.frozen
class Document:
    """One object. `text` is what people read (lines), or `data` the bytes as they are; JSON and templates use `value`."""

    value: Mapping[str, Any]
    text: str = ""
    data: bytes | None = None
    to_error: bool = False  # a line that its task wrote to standard error


@attrs.frozen
class Inspection:
    """Objects in the shape of the Engine API: one JSON array, or a template for each. `pretty` is the text for people."""

    objects: Sequence[Mapping[str, Any]]
    pretty: str = ""


@attrs.frozen
class Line:
    """A line of the answer, such as the name of what was done. JSON shows `{field: text}`."""

    text: str
    field: str = "Name"


@attrs.frozen
class Note:
    """One line beside the answer: a warning, `stale: …`. Never part of the answer itself."""

    text: str


@attrs.frozen
class Failure:
    """One of several targets failed; the others go on."""

    text: str


class SlotMark(enum.StrEnum):
    """How far a slot is, for its progress line."""

    WAITING = "waiting"
    MOVING = "moving"
    RUNNING = "running"
    FAILED = "failed"


@attrs.frozen
class SlotProgress:
    name: str  # 1, 2 … of a replicated service, a node's name of a global one
    mark: SlotMark
    text: str  # `running`, `pending: no suitable node (…)`
    trouble: bool = False  # the text says what went wrong: said also where there is no room for every slot


@attrs.frozen
class Progress:
    """Where a waiting command stands. Each replaces the one before it; `done` is the last."""

    title: str
    slots: tuple[SlotProgress, ...]
    running: int
    wanted: int
    done: bool = False
    text: str = ""  # what is waited for besides
    unit: str = "tasks"  # what is counted


Item = Listing | Document | Inspection | Line | Note | Failure | Progress


class Output(Protocol):
    """Where items go. `show` never blocks for long and never fails for what it is shown."""

    def show(self, item: Item) -> None: ...


@attrs.define
class Recorder:
    """An output that keeps what it is shown: for tests, and for the console's one-line answers."""

    items: list[Item] = attrs.field(factory=list)

    def show(self, item: Item) -> None:
        self.items.append(item)
