"""From a directory to a running node: opens what is on the disk, builds the rooms, runs the nursery."""

from __future__ import annotations

import os
from pathlib import Path

import trio

from swarmtui.agent.agent import Agent
from swarmtui.agent.environment import Surroundings
from swarmtui.agent.launcher import LauncherLink
from swarmtui.agent.obedience import DamagedState
from swarmtui.agent.process_executor import ProcessExecutor
from swarmtui.causes import innermost
from swarmtui.node.agent_session import AgentConnector
from swarmtui.node.events import Events
from swarmtui.node.node import CannotListen, Node
from swarmtui.node.power import BadHandover, Handover, read_handover, watch_power
from swarmtui.storage.directory import NodeDirectory, open_node_directory
from swarmtui.storage.errors import Damaged, DirectoryInUse, DirectoryMissing, ForeignDirectory, NewerFormat
from swarmtui.storage.seen import OlderDirectory
from swarmtui.store import MalformedSnapshot
from swarmtui.wire.certificates import NotCertified
from swarmtui.wire.codec import prepare

POWER_FD = 0
UNUSABLE = (
    Damaged,
    DamagedState,
    DirectoryInUse,
    DirectoryMissing,
    ForeignDirectory,
    NewerFormat,
    OlderDirectory,
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
        handover = read_handover(POWER_FD)
        with open_node_directory(directory) as opened:
            trio.run(_run, opened, launcher, handover, restrict_keyboard_interrupt_to_checkpoints=True)
    except BaseException as error:
        cause = innermost(error)
        if isinstance(cause, UNUSABLE):
            raise CannotStart(str(cause)) from None
        if isinstance(cause, OSError):
            reason = f"{cause.filename or directory}: {cause.strerror or cause}"
            raise CannotStart(f"{reason}; mend that and start it again: swarmtui start {directory.name}") from None
        raise


async def _run(opened: NodeDirectory, launcher: LauncherLink, handover: Handover) -> None:
    manifest, entry = opened.birth.manifest, opened.node
    events = Events(entry.name)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_power, POWER_FD)
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

        await Node(opened, handover, events, make_agent).run()
        nursery.cancel_scope.cancel()
