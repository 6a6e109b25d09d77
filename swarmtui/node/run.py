"""From a directory to a running node: opens what is on the disk, builds the rooms, runs the nursery."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

import trio

from swarmtui.agent.agent import Agent
from swarmtui.agent.environment import Surroundings
from swarmtui.agent.launcher import LauncherLink
from swarmtui.agent.obedience import DamagedState
from swarmtui.agent.process_executor import ProcessExecutor
from swarmtui.node.agent_session import AgentConnector
from swarmtui.node.events import Events
from swarmtui.node.manager_side import ManagerSide, open_disk
from swarmtui.node.node import CannotListen, Node
from swarmtui.node.power import BadHandover, read_handover, watch_power
from swarmtui.objects.states import NodeRole
from swarmtui.storage.directory import NodeDirectory, open_node_directory
from swarmtui.storage.errors import Damaged, DirectoryInUse, DirectoryMissing, ForeignDirectory, NewerFormat
from swarmtui.storage.worker import DiskWorker
from swarmtui.store import MalformedSnapshot
from swarmtui.wire.calls import LinkFault
from swarmtui.wire.certificates import NotCertified, load_credentials
from swarmtui.wire.codec import prepare
from swarmtui.wire.faults import LinkFaults

POWER_FD = 0
UNUSABLE = (
    Damaged,
    DamagedState,
    DirectoryInUse,
    DirectoryMissing,
    ForeignDirectory,
    NewerFormat,
    MalformedSnapshot,
    NotCertified,
    BadHandover,
    CannotListen,
)


class CannotStart(Exception):
    """This directory cannot be run as a node; one line says why and what to do."""


def warm_up() -> None:
    """What every node needs sooner or later, done once in the foundry, before it makes copies of itself."""
    prepare()


def run(directory: Path, launcher: LauncherLink) -> None:
    """Blocks until the node has ended in order. Raises CannotStart, or what ended it."""
    try:
        faults = read_handover(POWER_FD)
        with open_node_directory(directory) as opened:
            trio.run(_run, opened, launcher, faults, restrict_keyboard_interrupt_to_checkpoints=True)
    except BaseException as error:
        cause = innermost(error)
        if isinstance(cause, UNUSABLE):
            raise CannotStart(str(cause)) from None
        if isinstance(cause, OSError):
            raise CannotStart(f"{cause.filename or directory}: {cause.strerror or cause}") from None
        raise


def innermost(error: BaseException) -> BaseException:
    """What nurseries wrapped: the first cause of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _run(opened: NodeDirectory, launcher: LauncherLink, faults: tuple[LinkFault, ...]) -> None:
    manifest, entry = opened.birth.manifest, opened.node
    events = Events(entry.name)
    credentials = load_credentials(opened.path / "node.pem", opened.path / "ca.pem")
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        nursery.start_soon(watch_power, POWER_FD)
        side = None
        if entry.role is NodeRole.MANAGER:
            log_worker = await stack.enter_async_context(DiskWorker("log"))
            snapshot_worker = await stack.enter_async_context(DiskWorker("snapshots"))
            recovered = await log_worker.run(open_disk, opened.raft, entry.id)
            for note in recovered.storage.notes:
                events.tell("raft", note)
            side = ManagerSide(entry, manifest, recovered, log_worker, snapshot_worker, events)
        around = Surroundings(manifest, entry, opened.path, os.environ)

        def make_agent(connector: AgentConnector) -> Agent:
            return Agent(
                node=entry,
                cluster_id=manifest.id,
                directory=opened.path,
                executor=ProcessExecutor(around, launcher),
                connect=connector,
                narrate=events.tell,
                launcher=launcher,
            )

        node = Node(entry, manifest, credentials, LinkFaults(faults), events, side, make_agent)
        await node.run()
        nursery.cancel_scope.cancel()
