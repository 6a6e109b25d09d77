"""Filters, explanations, ranking, guards and the enforcer."""

from __future__ import annotations

import pytest

from swarmtui.objects.constraints import satisfies
from swarmtui.objects.operations import Advance, Create, Require
from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.records import Node, NodeDescription, NodeStatus, Task
from swarmtui.objects.specs import NodeSpec, Placement, Resources, RestartPolicy
from swarmtui.objects.states import Availability, NodeRole, TaskState
from tests.manager.minicluster import MiniCluster, Program

NODE = Node(
    id="abc",
    spec=NodeSpec(name="n1", labels={"zone": "A", "empty": ""}),
    role=NodeRole.MANAGER,
    description=NodeDescription(hostname="host1", os="linux", architecture="x86_64"),
    status=NodeStatus(address="10.1.2.3:7000"),
)


@pytest.mark.parametrize(
    ("constraint", "fits"),
    [
        ("node.labels.zone == a", True),
        ("node.labels.zone==A", True),
        ("node.labels.zone != a", False),
        ("node.labels.zone != b", True),
        ("node.labels.rack == r1", False),
        ("node.labels.rack != r1", True),
        ("node.id == ABC", True),
        ("node.hostname == host1", True),
        ("node.hostname != host1", False),
        ("node.role == manager", True),
        ("node.role == worker", False),
        ("node.platform.os == Linux", True),
        ("node.platform.arch != x86_64", False),
        ("node.ip == 10.1.2.3", True),
        ("node.ip == 10.1.0.0/16", True),
        ("node.ip != 10.1.0.0/16", False),
        ("node.ip == nonsense", False),
        ("engine.labels.x != y", True),
        ("node.colour == red", False),
        ("node.colour != red", False),
        ("nonsense", False),
    ],
)
def test_constraints(constraint: str, fits: bool) -> None:
    assert satisfies(NODE, Placement(constraints=(constraint,))) is fits
    assert satisfies(NODE, Placement(constraints=("node.id == abc", constraint))) is fits


def errors(cluster: MiniCluster, name: str = "web") -> set[str]:
    return {task.status.error for task in cluster.tasks(name) if task.status.state is TaskState.PENDING}


def test_explains_most_frequent_reason_first() -> None:
    cluster = MiniCluster(5)
    cluster.run(0.5)
    cluster.edit_node("n1", availability=Availability.PAUSE)
    cluster.drain("n2")
    cluster.service(replicas=2, constraints=("node.labels.zone == nowhere",))
    cluster.run(0.1)
    expected = "3 nodes do not satisfy the placement constraints; 2 nodes not available for new tasks"
    assert errors(cluster) == {f"no suitable node ({expected})"}


def test_explanation_in_the_singular_and_without_nodes() -> None:
    cluster = MiniCluster(1)
    cluster.run(0.5)
    cluster.drain("n1")
    cluster.service()
    cluster.run(0.1)
    assert errors(cluster) == {"no suitable node (1 node not available for new tasks)"}
    empty = MiniCluster(0)
    empty.service()
    empty.run(0.1)
    assert errors(empty) == {"no suitable node (there are no nodes)"}


def test_reservations_hold_tasks_back_until_capacity_frees(cluster: MiniCluster) -> None:
    cluster.service("big", 3, cpus=3)
    cluster.run(0.1)
    cluster.service("other", 1, cpus=2)
    cluster.run(0.1)
    assert errors(cluster, "other") == {"no suitable node (3 nodes have too little CPU or memory left)"}
    cluster.scale("big", 2)
    cluster.run(0.1)
    assert len(cluster.running("other")) == 1


def test_reservations_count_until_the_task_has_really_stopped(cluster: MiniCluster) -> None:
    cluster.programs["big"] = Program(stop_s=5.0)
    cluster.service("big", 3, cpus=3)
    cluster.run(0.1)
    cluster.service("other", 1, cpus=2)
    cluster.remove_service("big")
    cluster.run(4.0)
    assert errors(cluster, "other")
    cluster.run(1.5)
    assert len(cluster.running("other")) == 1


def test_max_replicas_per_node(cluster: MiniCluster) -> None:
    cluster.service(replicas=8, max_per_node=2)
    cluster.run(0.1)
    assert cluster.spread() == {"n1": 2, "n2": 2, "n3": 2}
    assert errors(cluster) == {"no suitable node (3 nodes hold the maximum of replicas)"}
    cluster.add_node("n4")
    cluster.run(1.0)
    assert len(cluster.running()) == 8


def test_spread_over_zones_counts_what_is_there() -> None:
    cluster = MiniCluster(6, zones="aaabbc")
    cluster.run(0.5)
    cluster.service(replicas=9, spread=("node.labels.zone",))
    cluster.run(0.1)
    zone = {f"n{i}": z for i, z in enumerate("aaabbc", 1)}
    held = [zone[task.node_id] for task in cluster.running()]
    assert {z: held.count(z) for z in "abc"} == {"a": 3, "b": 3, "c": 3}


def test_spread_within_a_zone_goes_to_the_emptiest_node() -> None:
    cluster = MiniCluster(4, zones="aabb")
    cluster.run(0.5)
    cluster.service("other", 2, constraints=("node.hostname == n1",))
    cluster.run(0.1)
    cluster.service(replicas=2, spread=("node.labels.zone",))
    cluster.run(0.1)
    assert cluster.on("n1") == []
    assert len(cluster.on("n2")) == 1


def test_five_failures_on_a_node_make_it_the_last_choice() -> None:
    cluster = MiniCluster(2)
    cluster.run(0.5)
    cluster.service("ballast", 3, constraints=("node.hostname == n2",))
    cluster.run(0.1)
    cluster.programs["web"] = Program(ends=0.2, code=1)
    cluster.service(replicas=1, restart=RestartPolicy(delay_ns=SECOND_NS // 2))
    cluster.run(20.0)
    placed = [node for name, node in cluster.placed if name == "web.1"]
    assert placed[:5] == ["n1"] * 5
    assert "n2" in placed[5:8]


def test_a_drain_that_is_committed_first_conflicts_with_the_assignment(cluster: MiniCluster) -> None:
    """The scheduler has chosen n1 but its transaction is behind the drain in the log."""
    for name in ("n2", "n3"):
        cluster.drain(name)
    cluster.settle()
    cluster.service(replicas=1)
    cluster.lag = 1.0  # nothing is applied
    for _ in range(3):
        cluster.round()
    while not any(
        isinstance(op, Require) and op.id == "n1" for b in cluster.in_flight for op in b.transaction.operations
    ):
        batch = cluster.in_flight.popleft()
        cluster.manager.settled(batch, cluster.commit(batch.transaction).verdict, cluster.moment)
        cluster.round()
    cluster.drain("n1")
    cluster.lag = 0.0
    cluster.run(0.1)
    (task,) = cluster.tasks()
    assert task.node_id == ""
    assert task.status.error == "no suitable node (3 nodes not available for new tasks)"
    cluster.activate("n3")
    cluster.run(0.1)
    assert cluster.spread() == {"n1": 0, "n2": 0, "n3": 1}


def test_undecided_placements_are_accounted_for(cluster: MiniCluster) -> None:
    """Two services arrive one after the other while no result of the first is known."""
    cluster.service("a", 3)
    cluster.service("b", 3)
    cluster.lag = 0.9
    cluster.run(0.5)
    assert cluster.spread("a") == cluster.spread("b") == {"n1": 1, "n2": 1, "n3": 1}


def test_label_taken_from_a_node_sends_its_tasks_away(cluster: MiniCluster) -> None:
    cluster.service(replicas=2, constraints=("node.labels.zone == a",))
    cluster.run(0.1)
    assert cluster.spread() == {"n1": 2, "n2": 0, "n3": 0}
    cluster.edit_node("n1", labels={})
    cluster.run(2.0)
    rejected = [task for task in cluster.tasks() if task.status.state is TaskState.REJECTED]
    assert len(rejected) == 2
    assert rejected[0].status.error == "its node no longer satisfies the placement constraints"
    assert not cluster.agents["n1"].running()
    assert errors(cluster) == {"no suitable node (3 nodes do not satisfy the placement constraints)"}
    cluster.edit_node("n2", labels={"zone": "a"})
    cluster.run(2.0)
    assert cluster.spread() == {"n1": 0, "n2": 2, "n3": 0}


def test_shrunk_node_gives_up_its_youngest_tasks(cluster: MiniCluster) -> None:
    cluster.service("old", 1, cpus=2, constraints=("node.hostname == n1",))
    cluster.run(0.1)
    cluster.service("new", 1, cpus=2, constraints=("node.hostname == n1",))
    cluster.run(0.1)
    cluster.resources = Resources(3_000_000_000, 8 << 30)
    cluster.break_session("n1")
    cluster.run(2.0)
    assert len(cluster.running("old")) == 1
    assert cluster.running("new") == []


def test_paused_node_is_left_alone_by_the_enforcer(cluster: MiniCluster) -> None:
    cluster.service(replicas=1, constraints=("node.labels.zone == a",))
    cluster.run(0.1)
    cluster.edit_node("n1", labels={}, availability=Availability.PAUSE)
    cluster.run(1.0)
    assert cluster.spread()["n1"] == 1


def test_assignments_are_guarded_by_the_version_of_their_node(cluster: MiniCluster) -> None:
    cluster.service(replicas=3)
    cluster.run(0.1)
    for transaction in cluster.transactions:
        nodes = {op.node_id for op in transaction.operations if isinstance(op, Advance) and op.node_id}
        guards = {op.id for op in transaction.operations if isinstance(op, Require) and op.table == Node.TABLE}
        assert nodes <= guards


def test_a_task_that_somebody_made_new_is_allocated_and_scheduled(cluster: MiniCluster) -> None:
    cluster.service("web", 0)
    task = Task(id="t1", service_id="id-web", service_name="web", slot=1)
    cluster.apply(Create(task))
    cluster.round()
    assert cluster.tasks()[0].status.state >= TaskState.PENDING
