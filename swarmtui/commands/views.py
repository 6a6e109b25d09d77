"""Reading the cluster for a command: the newest state there is, and one line where it may be old."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from swarmtui.commands.command import Arguments, Context
from swarmtui.commands.effects import View
from swarmtui.commands.errors import TryLater
from swarmtui.commands.listings import Shown
from swarmtui.commands.output import Note
from swarmtui.commands.together import together
from swarmtui.objects.records import Cluster, Node, Service, Task
from swarmtui.wire.node_calls import Consistency, Records

if TYPE_CHECKING:
    from swarmtui.commands.ports import StatusView


@attrs.frozen
class Tables:
    """Some tables as of one index."""

    index: int
    stale: bool
    nodes: tuple[Node, ...] = ()
    services: tuple[Service, ...] = ()
    tasks: tuple[Task, ...] = ()
    clusters: tuple[Cluster, ...] = ()  # the one object of settings, where that table was asked for
    answering: str = ""  # the id of the manager that answered

    @property
    def node_names(self) -> dict[str, str]:
        return {node.id: node.name for node in self.nodes}

    def shown(self, context: Context, arguments: Arguments) -> Shown:
        return Shown(context.wall(), arguments.flag("no_trunc"), self.stale)


async def show_tables(context: Context, arguments: Arguments, *tables: str) -> Tables:
    """These tables for showing: `--consistent` refuses what may be old, else one line says so."""
    return await fetch(context, *tables, quiet=False, consistent=arguments.flag("consistent"))


async def fetch(
    context: Context,
    *tables: str,
    service_id: str = "",
    node_id: str = "",
    quiet: bool = True,
    consistent: bool = False,
) -> Tables:
    """These tables, for working something out from them; unless `quiet` with a line where they may be old."""
    consistency = Consistency.LINEARIZABLE if consistent else Consistency.VIEW
    records = await context.cluster.records(*tables, consistency=consistency, service_id=service_id, node_id=node_id)
    if records.refused:
        raise TryLater(records.refused)
    if records.stale and not quiet:
        context.out.show(Note(stale_line(await context.cluster.status(), records)))
    return tables_of(records)


def tables_of(records: Records) -> Tables:
    found = records.records
    return Tables(
        index=records.index,
        stale=records.stale,
        nodes=tuple(record for record in found if isinstance(record, Node)),
        services=tuple(record for record in found if isinstance(record, Service)),
        tasks=tuple(record for record in found if isinstance(record, Task)),
        clusters=tuple(record for record in found if isinstance(record, Cluster)),
        answering=records.node,
    )


def stale_line(status: StatusView, records: Records) -> str:
    """`stale: no quorum, 2 of 5 managers answer, 3 needed; state as of index 412`."""
    quorum = status.quorum
    return (
        f"stale: no quorum, {quorum.reachable} of {quorum.voters} managers answer, {quorum.needed} needed; "
        f"state as of index {records.index}"
    )


async def fetch_view(context: Context, *tables: str) -> View:
    """Status and tables, asked side by side: what targets and effects are worked out from."""

    async def tables_now() -> Tables:
        return await fetch(context, *tables) if tables else Tables(0, False)

    status, of_store = await together(context.cluster.status, tables_now)
    return View(status, of_store.nodes, of_store.services, of_store.tasks, of_store.stale)
