"""The first transaction of a cluster, and tasks that nobody can report on any more."""

from __future__ import annotations

import attrs

from swarmtui.manager.genesis import cluster_record, genesis
from swarmtui.manager.nodes import ORPHANED_AFTER_S
from swarmtui.objects.manifest import Manifest, NodeEntry, RaftSettings
from swarmtui.objects.operations import OPERATIONS_MAX, Remove
from swarmtui.objects.records import Cluster, Node
from swarmtui.objects.states import Availability, NodeRole, NodeState, TaskState
from tests.manager.minicluster import MiniCluster


def manifest(nodes: int) -> Manifest:
    return Manifest(
        id="born",
        name="demo",
        profile="docker",
        created_at=0.0,
        raft=RaftSettings(hurry=False),
        node_timeout_s=15.0,
        restart_delay_after_death_s=5.0,
        nodes=tuple(
            NodeEntry(
                id=f"id-{i}",
                name=f"x{i}",
                role=NodeRole.WORKER,
                address=f"127.0.0.1:{7000 + i}",
                availability=Availability.DRAIN,
                labels={"zone": "b"},
            )
            for i in range(nodes)
        ),
    )


def empty() -> MiniCluster:
    mini = MiniCluster(0)
    mini.apply(Remove(Cluster.TABLE, "c"))
    return mini


def test_cluster_and_nodes_are_as_the_manifest_says() -> None:
    mini = empty()
    (transaction,) = genesis(mini.store, manifest(2))
    mini.apply(*transaction.operations)
    cluster = mini.store.get(Cluster, "born")
    assert cluster is not None
    assert (cluster.name, cluster.node_timeout_s, cluster.death_is_down) == ("demo", 15.0, False)
    node = mini.store.get(Node, "id-1")
    assert node is not None
    assert (node.name, node.role, node.spec.role) == ("x1", NodeRole.WORKER, NodeRole.WORKER)
    assert (node.status.state, node.status.address) == (NodeState.UNKNOWN, "127.0.0.1:7001")
    assert (node.spec.availability, node.spec.labels) == (Availability.DRAIN, {"zone": "b"})
    assert genesis(mini.store, manifest(2)) == []


def test_every_setting_of_the_manifest_is_in_the_record() -> None:
    """What a cluster file says that nobody hands on is a setting without an effect."""
    shared = {field.name for field in attrs.fields(Manifest)} & {field.name for field in attrs.fields(Cluster)}
    assert {"task_history_limit", "agent_heartbeat_s", "node_timeout_s", "restart_delay_s"} <= shared
    unusual = {"id": "born", "name": "demo", "profile": "docker"}
    unusual |= dict.fromkeys(shared - set(unusual) - {"created_at"}, 77)  # the entry's own time stamps that
    record = cluster_record(attrs.evolve(manifest(1), **unusual))
    assert {name: getattr(record, name) for name in unusual} == unusual


def test_a_removed_node_is_not_born_again() -> None:
    mini = empty()
    mini.apply(*genesis(mini.store, manifest(2))[0].operations)
    mini.apply(Remove(Node.TABLE, "id-1"))
    assert genesis(mini.store, manifest(2)) == []


def test_more_nodes_than_a_transaction_holds_are_continued() -> None:
    mini = empty()
    born = manifest(OPERATIONS_MAX + 50)
    mini.apply(*genesis(mini.store, born)[0].operations)
    assert mini.store.get(Cluster, "born") is None
    mini.apply(*genesis(mini.store, born)[0].operations)
    assert mini.store.count(Node) == OPERATIONS_MAX + 50
    assert genesis(mini.store, born) == []


def test_tasks_of_a_node_that_is_down_for_a_day_are_orphaned(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.run(1.0)
    cluster.kill("n2")
    cluster.run(1.0)
    (lost,) = [task for task in cluster.tasks() if task.node_id == "n2"]
    assert (lost.status.state, lost.desired_state) == (TaskState.RUNNING, TaskState.SHUTDOWN)
    for agent in cluster.agents.values():  # a day without heartbeats, or the test would count them all
        agent.beat_at = None
    for node_id in ("n1", "n3"):
        cluster.manager.health.silence.forget(node_id)
    cluster.now += ORPHANED_AFTER_S
    cluster.settle()
    (lost,) = [task for task in cluster.tasks() if task.node_id == "n2"]
    assert lost.status.state is TaskState.ORPHANED
    assert lost.status.error == "its node has been down for a day"
