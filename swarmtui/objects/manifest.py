"""What a cluster was created as, and which nodes exist here: the manifest that `cluster.json` and every node's `node.json` hold.

The settings are read once, at creation. `nodes` are those of this machine; the host writes `cluster.json` anew when one
joins, leaves, moves to another address or changes its role, and that node's `node.json` before it. Who votes comes from the
replicated log alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from swarmtui.objects.membership import member_id
from swarmtui.objects.records import Node, NodeDescription, NodeStatus
from swarmtui.objects.specs import NodeSpec
from swarmtui.objects.states import Availability, NodeRole

MANIFEST_FORMAT = 1


@attrs.frozen(kw_only=True)
class RaftSettings:
    """The `[raft]` table of a cluster file, its profile's values filled in. Seconds, entries and bytes."""

    heartbeat_s: float = 0.1
    election_timeout_s: float = 0.5
    snapshot_every: int = 10_000
    snapshot_every_set: bool = False  # the user named it: then no minimum of log bytes applies
    keep_entries: int = 500
    disk_reserve_bytes: int = 64 * 1024 * 1024
    hurry: bool = True


@attrs.frozen(kw_only=True)
class NodeEntry:
    """One node of this machine: who it is for ever, and where and as what it starts."""

    id: str
    name: str
    role: NodeRole
    address: str  # "127.0.0.1:7101", kept until it is told to move
    availability: Availability = Availability.ACTIVE
    labels: Mapping[str, str] = {}
    promotions: int = 0  # as in its record
    role_version: int = 0  # of the record that `role` and `promotions` were taken from; 0: as born

    @property
    def member_id(self) -> str:
        """Who it is in the consensus, if it is a manager."""
        return member_id(self.id, self.promotions)


def _order(node: NodeEntry) -> tuple[str, int, str]:
    """A name's text, and the number that it ends with."""
    text = node.name.rstrip("0123456789")
    return text, int(node.name[len(text) :] or 0), node.name


def raft_directory(promotions: int) -> str:
    """Where a manager's log and snapshots lie in its directory: apart for each membership, so that none is mistaken for
    another."""
    return f"raft-{promotions}" if promotions else "raft"


def node_record(entry: NodeEntry) -> Node:
    """The record of a node that is born, which the managers keep from then on."""
    return Node(
        id=entry.id,
        spec=NodeSpec(name=entry.name, labels=entry.labels, role=entry.role, availability=entry.availability),
        description=NodeDescription(hostname=entry.name),
        status=NodeStatus(address=entry.address),
        role=entry.role,
    )


@attrs.frozen(kw_only=True)
class Manifest:
    """One cluster. Durations in seconds; paths relative, so that the directory can be moved."""

    id: str  # the cluster's
    name: str
    profile: str
    created_at: float
    nodes: tuple[NodeEntry, ...]
    raft: RaftSettings = RaftSettings()
    agent_heartbeat_s: float = 1.0
    node_timeout_s: float = 3.0
    restart_delay_s: float = 1.0
    restart_delay_after_death_s: float = 0.0
    task_history_limit: int = 5
    task_ports: tuple[int, int] = (20_000, 29_999)
    cluster_file: str = ""  # relative to the directory that holds `.swarmtui/`; "" is the packaged default
    base_directory: str = ".."  # where tasks start, relative to `.swarmtui/`
    format: int = MANIFEST_FORMAT

    @property
    def managers(self) -> tuple[NodeEntry, ...]:
        return tuple(node for node in self.nodes if node.role is NodeRole.MANAGER)

    def node(self, name_or_id: str) -> NodeEntry | None:
        return next((node for node in self.nodes if name_or_id in (node.name, node.id)), None)

    def with_node(self, entry: NodeEntry) -> Manifest:
        """With this node in place of what it was, or, if it is new, where its name belongs: n3 before n10."""
        if any(node.id == entry.id for node in self.nodes):
            return attrs.evolve(self, nodes=tuple(entry if node.id == entry.id else node for node in self.nodes))
        position = sum(_order(node) < _order(entry) for node in self.nodes)
        return attrs.evolve(self, nodes=(*self.nodes[:position], entry, *self.nodes[position:]))

    def without_node(self, node_id: str) -> Manifest:
        return attrs.evolve(self, nodes=tuple(node for node in self.nodes if node.id != node_id))


@attrs.frozen(kw_only=True)
class NodeBirth:
    """`node.json`: who this directory is. The rest of the manifest is as it was when the node was made."""

    node_id: str
    manifest: Manifest
    format: int = MANIFEST_FORMAT
