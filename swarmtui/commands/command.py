"""A command as data: what the registry holds and what every front end reads."""

from __future__ import annotations

import enum
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from swarmtui.commands.errors import CommandFailed
from swarmtui.commands.output import Output

if TYPE_CHECKING:
    from swarmtui.commands.effects import Effect, View
    from swarmtui.commands.machine import Machine
    from swarmtui.commands.ports import ClusterPort

Reader = Callable[[str], Any]
"""From the word that was written to the value; raises ValueError with what would be valid."""


class Risk(enum.StrEnum):
    """What an order may do, in rising order."""

    READ = "read"
    CHANGE = "change"  # of wanted state; undone by another order
    FAULT = "fault"  # breaks something on purpose; `undo` and `heal` end it
    DESTROYS = "destroys"  # cannot be undone


class Needs(enum.StrEnum):
    """What must be there before the command runs."""

    NOTHING = "nothing"
    CLUSTER = "cluster"  # a client connected to the cluster


class Completes(enum.StrEnum):
    """What a parameter names: what the palette offers for it."""

    NOTHING = ""
    NODE = "node"
    SERVICE = "service"
    TARGET = "target"
    KEY = "key"
    FILE = "file"


@attrs.frozen(kw_only=True)
class Parameter:
    """One parameter. Without `flags` it is positional; `rest` takes every word after `--`."""

    name: str
    help: str = ""
    flags: tuple[str, ...] = ()
    is_flag: bool = False
    metavar: str = ""
    reader: Reader | None = None
    default: Any = None
    required: bool = True  # positional parameters only
    repeated: bool = False
    rest: bool = False
    is_bytes: bool = False  # may hold what is no UTF-8: its bytes are taken as they are
    completes: Completes = Completes.NOTHING


def positional(
    name: str,
    text: str = "",
    *,
    required: bool = True,
    repeated: bool = False,
    reader: Reader | None = None,
    completes: Completes = Completes.NOTHING,
    metavar: str = "",
    is_bytes: bool = False,
) -> Parameter:
    return Parameter(
        name=name,
        help=text,
        required=required,
        repeated=repeated,
        reader=reader,
        completes=completes,
        metavar=metavar or name.upper(),
        is_bytes=is_bytes,
    )


def option(
    flags: str,
    text: str,
    *,
    metavar: str = "TEXT",
    default: Any = None,
    repeated: bool = False,
    reader: Reader | None = None,
    completes: Completes = Completes.NOTHING,
    name: str = "",
) -> Parameter:
    """`option("-f --filter", …)`; its name is the long flag's unless given."""
    words = tuple(flags.split())
    return Parameter(
        name=name or words[-1].lstrip("-").replace("-", "_"),
        help=text,
        flags=words,
        metavar=metavar,
        default=default,
        repeated=repeated,
        reader=reader,
        completes=completes,
    )


def flag(flags: str, text: str, *, name: str = "") -> Parameter:
    words = tuple(flags.split())
    return Parameter(
        name=name or words[-1].lstrip("-").replace("-", "_"), help=text, flags=words, is_flag=True, default=False
    )


@attrs.frozen
class Arguments:
    """The values of a command's parameters, read by name and type. An option that was not written is None (or its
    default), so that `update` changes only what was asked for."""

    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        value = self.values.get(name)
        return "" if value is None else str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self.values.get(name) or ())

    def flag(self, name: str) -> bool:
        return bool(self.values.get(name))

    def get(self, name: str) -> Any:
        """The value, or None where nothing was written."""
        value = self.values.get(name)
        return None if value == () else value


DUMB_TERMINALS = ("dumb", "unknown")  # what TERM is called where no cursor can be moved


@attrs.frozen
class Place:
    """Where an order was given: which cluster was named, from which directory, with which variables."""

    selector: str | None
    start: Path
    environment: Mapping[str, str]
    is_terminal: bool = False

    @property
    def has_screen(self) -> bool:
        """Whether the console can draw there: a shell inside an editor is a terminal, and a dumb one."""
        return self.is_terminal and self.environment.get("TERM", "").lower() not in DUMB_TERMINALS


@attrs.frozen
class OpenConsole:
    """What the shell does once the command has ended: the console runs an event loop of its own."""

    directory: Path
    watch: bool = False


@attrs.define(kw_only=True)
class Context:
    """What a command has to work with. `found` is the cluster of a command that needs one; `follow_up` is set by a
    command that ends in the console."""

    out: Output
    place: Place
    machine: Machine
    found: ClusterPort | None = None
    follow_up: OpenConsole | None = None
    read_input: Callable[[], bytes] = lambda: b""
    confirm: Callable[[str], bool] | None = None  # asks a person; None: nobody is there to be asked
    wall: Callable[[], float] = time.time

    @property
    def cluster(self) -> ClusterPort:
        if self.found is None:
            raise CommandFailed("this command needs a running cluster; start one with: swarmtui up")
        return self.found


Run = Callable[[Context, Arguments], Awaitable[None]]
QuorumEffect = Callable[["View", Arguments], "Effect"]


@attrs.frozen(kw_only=True)
class Command:
    """One order. `name` is its words (`("service", "ls")`); `undo` says in words how it is taken back; `interrupted`, what
    Ctrl-C leaves behind where the order goes on by itself; `effect`, where an order may cost the quorum or a last replica,
    computes what it would do from what is known now."""

    name: tuple[str, ...]
    summary: str
    run: Run
    parameters: tuple[Parameter, ...] = ()
    detail: str = ""
    risk: Risk = Risk.READ
    undo: str = ""
    interrupted: str = ""
    effect: QuorumEffect | None = None
    needs: Needs = Needs.CLUSTER
    in_console: bool = True  # offered after `:` and in the palette
    examples: tuple[str, ...] = ()
    foreign: Mapping[str, str] = {}  # docker's options that it refuses, and why

    @property
    def words(self) -> str:
        return " ".join(self.name)
