"""The first thing the first leader does: the Cluster record and one Node record for each node the cluster was born with.

Once the Cluster record exists the manifest has had its say: a node removed later stays removed.
"""

from __future__ import annotations

from swarmtui.objects.manifest import Manifest, node_record
from swarmtui.objects.operations import OPERATIONS_MAX, Create, Operation, Transaction
from swarmtui.objects.records import Cluster, Node
from swarmtui.store import Store


def genesis(store: Store, manifest: Manifest) -> list[Transaction]:
    """What is still to be created, as one transaction unless there are more nodes than one can hold (then the Cluster
    record comes last, so that a leader that dies in between is continued)."""
    if store.get(Cluster, manifest.id) is not None:
        return []
    operations: list[Operation] = [
        Create(node_record(entry)) for entry in manifest.nodes if store.get(Node, entry.id) is None
    ]
    operations.append(Create(cluster_record(manifest)))
    return [
        Transaction(operations=tuple(operations[first : first + OPERATIONS_MAX]))
        for first in range(0, len(operations), OPERATIONS_MAX)
    ]


def cluster_record(manifest: Manifest) -> Cluster:
    """The settings of the cluster file as the one record that all managers obey."""
    return Cluster(
        id=manifest.id,
        name=manifest.name,
        profile=manifest.profile,
        task_history_limit=manifest.task_history_limit,
        agent_heartbeat_s=manifest.agent_heartbeat_s,
        node_timeout_s=manifest.node_timeout_s,
        restart_delay_s=manifest.restart_delay_s,
        restart_delay_after_death_s=manifest.restart_delay_after_death_s,
        death_is_down=manifest.raft.hurry,
    )
