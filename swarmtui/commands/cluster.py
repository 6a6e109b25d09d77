"""`up`, `down`, `ls` and `console`: the life of a whole cluster on this machine."""

from __future__ import annotations

from pathlib import Path

from swarmtui.commands.command import Arguments, Command, Completes, Context, Needs, OpenConsole, Risk, flag, option
from swarmtui.commands.errors import CommandFailed, TryLater, exit_code_of
from swarmtui.commands.machine import CLUSTER_DIRECTORY
from swarmtui.commands.output import Column, Line, Listing, Note, Row
from swarmtui.objects.notations import parse_count
from swarmtui.objects.quantities import parse_duration_s

GONE_LIMIT_S = 90.0  # the host itself bounds a shutdown by the longest grace

CLUSTER_COLUMNS = (
    Column("NAME", "Name"),
    Column("STATUS", "Status"),
    Column("NODES", "Nodes"),
    Column("ID", "ID"),
    Column("DIRECTORY", "Directory", shrinks=True),
)


async def run_up(context: Context, arguments: Arguments) -> None:
    from swarmtui.commands.bring_up import bring_up  # reads cluster files: nothing that `status` should wait for

    await bring_up(context, arguments)


async def run_down(context: Context, arguments: Arguments) -> None:
    machine = context.machine
    directory = _meant_even_if_stopped(context)
    name = machine.manifest(directory).name
    if machine.is_running(directory):
        await shut_down(context, directory, name)
    else:
        context.out.show(Note(f"{name} is not running"))
    if arguments.flag("volumes"):
        machine.remove(directory)
        context.out.show(Line(f"{name}'s data is deleted: {directory}"))


async def shut_down(context: Context, directory: Path, name: str) -> None:
    """The order `down` of a cluster that runs; returns when its host has ended."""
    async with context.machine.connect(directory) as cluster:
        await cluster.host.shut_down()
    if not await context.machine.wait_gone(directory, GONE_LIMIT_S):
        raise CommandFailed(f"{name} did not end within {GONE_LIMIT_S:g} s; see {directory / 'host.log'}")
    context.out.show(Line(f"{name} is down"))


def _meant_even_if_stopped(context: Context) -> Path:
    """The cluster that is meant; the packaged default is meant also when it does not run, so that its data can go."""
    machine = context.machine
    try:
        return machine.find(context.place.selector, context.place.start)
    except Exception as error:
        default = machine.default_base() / CLUSTER_DIRECTORY
        if exit_code_of(error) is None or context.place.selector is not None or not default.is_dir():
            raise
        return default


async def run_ls(context: Context, arguments: Arguments) -> None:
    rows = [
        Row(
            {
                "Name": found.name,
                "Status": "running" if found.running else "stopped",
                "Nodes": found.nodes,
                "ID": found.id,
                "Directory": str(found.directory),
            },
            {"ID": found.id[:12]},
        )
        for found in context.machine.clusters()
    ]
    context.out.show(Listing(CLUSTER_COLUMNS, rows, quiet="ID"))


async def run_console(context: Context, arguments: Arguments) -> None:
    directory = context.machine.find(context.place.selector, context.place.start)
    if not context.place.is_terminal:
        raise CommandFailed("the console needs a terminal; for a script use: swarmtui status")
    if not context.place.has_screen:
        term = context.place.environment.get("TERM", "")
        raise CommandFailed(f"the console cannot draw on this terminal, TERM is {term!r}; use: swarmtui status")
    if not context.machine.is_running(directory):
        name = context.machine.manifest(directory).name
        raise TryLater(f"{name} is not running; start it with: swarmtui up")
    context.follow_up = OpenConsole(directory, watch=arguments.flag("watch"))


COMMANDS: tuple[Command, ...] = (
    Command(
        name=("up",),
        summary="Create, resume or change the cluster of a cluster.toml, and open its console",
        detail="Without a file, the packaged default cluster. With --managers or --workers and no file, a bare cluster "
        "in this directory. With -d, or without a terminal, it returns once everything is healthy.",
        parameters=(
            option(
                "-f --file",
                "The cluster file; default: the nearest cluster.toml upward",
                metavar="FILE",
                completes=Completes.FILE,
            ),
            option("--managers", "How many managers", metavar="N", reader=parse_count),
            option("--workers", "How many workers", metavar="N", reader=parse_count),
            option(
                "--restore",
                "Make a new cluster with the state that raft snapshot save wrote into FILE",
                metavar="FILE",
                completes=Completes.FILE,
            ),
            flag("-d --detach", "Return once it is healthy instead of opening the console"),
            flag("--foreground", "Stay, showing all output; Ctrl-C is down"),
            option(
                "--wait-timeout",
                "How long to wait for it to be healthy",
                metavar="DURATION",
                default="30s",
                reader=parse_duration_s,
            ),
        ),
        run=run_up,
        risk=Risk.CHANGE,
        undo="down",
        interrupted="the cluster goes on, look with: swarmtui status",
        needs=Needs.NOTHING,
        in_console=False,
        examples=("up", "up -d --wait-timeout 1m", "up --managers 3 --workers 2", "up --restore backup.swarm"),
    ),
    Command(
        name=("down",),
        summary="Stop the whole cluster; its data stays",
        parameters=(flag("--volumes", "Delete its data as well"),),
        run=run_down,
        risk=Risk.DESTROYS,
        undo="up",
        needs=Needs.NOTHING,
        in_console=False,
    ),
    Command(
        name=("ls",),
        summary="List your clusters on this machine",
        parameters=(flag("-q --quiet", "Only IDs"),),
        run=run_ls,
        needs=Needs.NOTHING,
        in_console=False,
    ),
    Command(
        name=("console",),
        summary="Open the console of a running cluster",
        parameters=(flag("--watch", "Look only: nothing can be changed"),),
        run=run_console,
        needs=Needs.NOTHING,
        in_console=False,
    ),
)
