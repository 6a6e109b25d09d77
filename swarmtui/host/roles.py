"""The roles of this machine's nodes, kept as the replicated records say: certificates and logs follow, then the node is told.

    record: role manager   an empty log, a manager's certificate, node.json  ->  ReadRole  ->  the node opens its manager's side
    record: role worker    a worker's certificate, node.json                 ->  ReadRole  ->  it closes that side, forgets its log

The leader decides, by the observed role of the record (it becomes "worker" only when the member has left the consensus for
good); this only carries it out, because the authority's key lies here. A record is believed once, by its version, so that
what an old follower tells cannot bring back a role that is over. A node that does not run finds everything done when it
starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from swarmtui.host.enrolment import EnrolmentRefused, change_role
from swarmtui.host.events import EventRing
from swarmtui.host.layout import Layout
from swarmtui.host.supply import NotReached
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.records import Node
from swarmtui.wire.host_calls import Power

RETRY_S = 0.25
RETRY_DISK_S = 5.0  # what could not be written


class RoleCalls(Protocol):
    """How a node is told."""

    async def read_role(self, node: NodeEntry) -> None:
        """Returns when it acts on its new certificate and role. Raises NotReached."""


class Roles(Protocol):
    """What this needs of the host."""

    layout: Layout
    manifest: Manifest

    def record_of(self, node_id: str) -> Node | None: ...
    def power_of(self, node_id: str) -> Power | None: ...
    def entry_changed(self, manifest: Manifest, entry: NodeEntry) -> None:
        """The manifest is so from now on, because of this node."""


class RoleKeeper:
    """`run` looks again whenever `changed` was called."""

    def __init__(self, host: Roles, calls: RoleCalls, events: EventRing, alone: Callable[[], trio.Lock]) -> None:
        self._host = host
        self._calls = calls
        self._events = events
        self._alone = alone  # held while the manifest is written
        self._untold: set[str] = set()  # nodes that run and have not yet acted on what lies in their directory
        self._failed: dict[str, str] = {}  # why a node's role could not be written down, by id
        self._changed = trio.Event()

    def changed(self) -> None:
        """A record, or the power of a node, is not what it was."""
        self._changed.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._changed = trio.Event()
            for entry in self._host.manifest.nodes:
                await self._keep(entry.id)
            self._untold = {id for id in self._untold if self._host.power_of(id) in (Power.RUNNING, Power.PAUSED)}
            pause_s = RETRY_S if self._untold else RETRY_DISK_S if self._failed else float("inf")
            with trio.move_on_after(pause_s):
                await self._changed.wait()

    async def _keep(self, node_id: str) -> None:
        async with self._alone():
            entry, record = self._host.manifest.node(node_id), self._host.record_of(node_id)
            if entry is not None and record is not None and is_news(entry, record):
                self._write(entry, record)
        entry = self._host.manifest.node(node_id)
        if entry is not None and node_id in self._untold and self._host.power_of(node_id) is Power.RUNNING:
            try:
                await self._calls.read_role(entry)
            except NotReached:
                return  # it is starting or mute: tried again
            self._untold.discard(node_id)

    def _write(self, entry: NodeEntry, record: Node) -> None:
        host = self._host
        try:
            manifest = change_role(host.layout, host.manifest, entry, record.role, record.promotions, record.version)
        except EnrolmentRefused as error:
            if self._failed.get(entry.id) != str(error):
                self._events.emit("host", f"{error}; tried again", about=entry.id)
            self._failed[entry.id] = str(error)
            return
        self._failed.pop(entry.id, None)
        written = manifest.node(entry.id)
        assert written is not None
        self._untold.add(entry.id)
        host.entry_changed(manifest, written)
        text = f"{entry.name} has a {record.role}'s certificate"
        self._events.emit("host", text, about=entry.id, data={"role": str(record.role), "member": record.member_id})


def is_news(entry: NodeEntry, record: Node) -> bool:
    """The record says another role than this machine knows, and is no older than what it was told last."""
    changed = (entry.role, entry.promotions) != (record.role, record.promotions)
    return changed and record.version > entry.role_version
