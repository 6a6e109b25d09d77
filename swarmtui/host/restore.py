"""A backup becomes the beginning of a new cluster: new ids, new certificates, new nodes, the old services and keys.

    kept        services, secrets, configs and keys as they were, with their versions
    made anew   the cluster's id and record, the node records, the authority; as the cluster file says, else as in the backup
    gone        tasks (they are scheduled anew); client sessions, leases and the keys that vanish with these, such as locks
                (whoever held them had the old cluster's certificates)

Indexes go on above those of the backup, with `INDEXES_SKIPPED` left out: the old cluster may have gone on after it was saved,
and a version that somebody read from it must not come up here with another content. Every manager is born with the same
snapshot and a log behind it; terms begin anew with the cluster.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from swarmtui.host.create import CreationFailed, genesis
from swarmtui.host.layout import NodeLayout
from swarmtui.manager.genesis import cluster_record
from swarmtui.objects.cluster_file import ClusterFile, NodeWish
from swarmtui.objects.manifest import Manifest, NodeEntry, node_record
from swarmtui.objects.records import Cluster, Node, Record, Task, stamped
from swarmtui.storage.backup import BackupRefused, Head, check_backup, read_state
from swarmtui.storage.errors import StorageError
from swarmtui.storage.log import GENESIS_TERM, RaftStorage
from swarmtui.storage.recovery import INDEXES_SKIPPED
from swarmtui.storage.snapshots import SnapshotFiles
from swarmtui.store import Frozen, MalformedSnapshot
from swarmtui.store.sessions import FrozenSessions
from swarmtui.store.snapshot import read_snapshot


@attrs.frozen
class Backup:
    """A backup that was read whole and found good."""

    path: Path
    head: Head
    state: Frozen


def read_backup(path: Path) -> Backup:
    """Everything in the file, checked. Raises CreationFailed with one sentence."""
    try:
        head = check_backup(path)
        state = read_snapshot(read_state(path))
    except BackupRefused as error:
        raise CreationFailed(str(error)) from None
    except MalformedSnapshot as error:
        raise CreationFailed(f"{path} holds a state that cannot be read: {error}") from None
    if (state.index, state.term) != (head.index, head.term):
        raise CreationFailed(f"{path} says index {head.index} and holds the state of index {state.index}")
    return Backup(path, head, state)


def cluster_file_of(head: Head) -> ClusterFile:
    """The nodes and settings as they were, for whoever has no cluster file; addresses are chosen anew."""
    manifest = head.manifest
    return ClusterFile(
        name=manifest.name,
        profile=manifest.profile,
        raft=manifest.raft,
        agent_heartbeat_s=manifest.agent_heartbeat_s,
        node_timeout_s=manifest.node_timeout_s,
        restart_delay_s=manifest.restart_delay_s,
        restart_delay_after_death_s=manifest.restart_delay_after_death_s,
        task_history_limit=manifest.task_history_limit,
        task_ports=manifest.task_ports,
        nodes=tuple(
            NodeWish(name=node.name, role=node.role, availability=node.availability, labels=dict(node.labels))
            for node in manifest.nodes
        ),
        services={},
    )


def reborn(state: Frozen, manifest: Manifest) -> Frozen:
    """The state with which this new cluster begins."""
    index = state.index + INDEXES_SKIPPED
    born = manifest.created_at

    def table(*records: Record) -> dict[str, Record]:
        return {
            record.id: stamped(record, version=index, spec_version=index, created_at=born, updated_at=born)
            for record in records
        }

    state = state.without_leases()
    tables = {
        **state.tables,
        Cluster.TABLE: table(cluster_record(manifest)),
        Node.TABLE: table(*(node_record(entry) for entry in manifest.nodes)),
        Task.TABLE: {},
    }
    return attrs.evolve(state, index=index, term=GENESIS_TERM, tables=tables, sessions=FrozenSessions())


@attrs.define
class Planter:
    """Gives the managers of a cluster that is being created the state of the backup in place of an empty one."""

    backup: Backup
    _reborn: Frozen | None = None

    def __call__(self, layout: NodeLayout, node: NodeEntry, manifest: Manifest) -> None:
        if self._reborn is None:
            self._reborn = reborn(self.backup.state, manifest)
        state, raft = self._reborn, layout.raft_of(node)
        try:
            SnapshotFiles(raft).save(state.index, state.term, genesis(manifest), state.chunks())
            RaftStorage.open(raft, node.member_id).close()  # puts the log behind the snapshot
        except StorageError as error:
            raise CreationFailed(f"the backup cannot be restored: {error}") from None
