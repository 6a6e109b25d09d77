"""When is a service where it should be: pure, by example."""

from __future__ import annotations

import attrs

from swarmtui.commands.convergence import convergence_of
from swarmtui.commands.output import SlotMark
from swarmtui.objects.counting import replica_counts
from swarmtui.objects.records import Node, NodeStatus, Service, Task, TaskStatus
from swarmtui.objects.specs import ContainerSpec, GlobalMode, NodeSpec, Placement, ReplicatedMode, ServiceSpec, TaskSpec
from swarmtui.objects.states import NodeState, TaskState

TEMPLATE = TaskSpec(ContainerSpec(args=("x",)))
WEB = Service(id="w", spec=ServiceSpec("web", task_template=TEMPLATE, mode=ReplicatedMode(2)), spec_version=9)
NODES = [Node(id=f"id{number}", spec=NodeSpec(f"n{number}"), status=NodeStatus(NodeState.READY)) for number in (1, 2)]


def task(slot: int, state: TaskState, *, node: str = "id1", desired: TaskState = TaskState.RUNNING, **changes) -> Task:
    return attrs.evolve(
        Task(
            id=f"{slot}-{state.name}-{node}-{desired.name}",
            service_id="w",
            service_name="web",
            slot=slot,
            node_id=node,
            spec=TEMPLATE,
            status=TaskStatus(state),
            desired_state=desired,
        ),
        **changes,
    )


def test_all_slots_running():
    standing = convergence_of(WEB, [task(1, TaskState.RUNNING), task(2, TaskState.RUNNING)], NODES)
    assert standing.is_reached
    assert (standing.running, standing.wanted) == (2, 2)


def test_a_task_on_a_dead_node_counts_for_nothing():
    down = [attrs.evolve(NODES[0], status=NodeStatus(NodeState.DOWN)), NODES[1]]
    tasks = [
        task(1, TaskState.RUNNING, node="id1", desired=TaskState.SHUTDOWN),
        task(1, TaskState.RUNNING, node="id2"),
        task(2, TaskState.RUNNING, node="id2"),
    ]
    assert convergence_of(WEB, tasks, down).is_reached
    assert convergence_of(WEB, tasks, NODES).surplus == 1
    assert replica_counts(WEB, tasks[:1], {"id1"}) == (0, 2)


def test_old_tasks_are_not_there_yet():
    old = attrs.evolve(TEMPLATE, container_spec=ContainerSpec(args=("old",)))
    standing = convergence_of(WEB, [task(1, TaskState.RUNNING, spec=old), task(2, TaskState.RUNNING)], NODES)
    assert standing.running == 1
    assert standing.slots[0].mark is SlotMark.MOVING
    assert not standing.is_settled


def test_a_change_of_constraints_alone_leaves_tasks_current():
    loose = attrs.evolve(TEMPLATE, placement=Placement(("node.role == worker",)))
    assert convergence_of(WEB, [task(1, TaskState.RUNNING, spec=loose), task(2, TaskState.RUNNING)], NODES).is_reached


def test_a_task_whose_node_fits_the_new_constraints_no_more_is_yet_to_be_replaced():
    """`service update` said that it had converged while the updater was still on its way there."""
    template = attrs.evolve(TEMPLATE, placement=Placement(("node.hostname == n2",)))
    service = attrs.evolve(WEB, spec=attrs.evolve(WEB.spec, task_template=template))
    before = [task(1, TaskState.RUNNING, node="id1"), task(2, TaskState.RUNNING, node="id2")]
    standing = convergence_of(service, before, NODES)
    assert (standing.running, standing.outdated, standing.is_reached) == (1, 1, False)
    assert [slot.mark for slot in standing.slots] == [SlotMark.MOVING, SlotMark.RUNNING]
    ended = [over(1, TaskState.COMPLETE, node="id1"), over(2, TaskState.COMPLETE, node="id2")]
    assert [convergence_of(service, [each], NODES).ended for each in ended] == [0, 1]


def test_what_no_node_fits_is_settled_and_says_why():
    pending = task(2, TaskState.PENDING, node="", status=TaskStatus(TaskState.PENDING, error="no suitable node (x)"))
    standing = convergence_of(WEB, [task(1, TaskState.RUNNING), pending], NODES)
    assert not standing.is_reached
    assert standing.is_settled
    assert standing.stuck == ("no suitable node (x)",)
    assert standing.slots[1].mark is SlotMark.FAILED


def test_what_is_updated_only_after_a_slot_that_no_node_fits_is_settled():
    """up waited for it until its time was over."""
    old = attrs.evolve(TEMPLATE, container_spec=ContainerSpec(args=("old",)))
    pending = task(1, TaskState.PENDING, node="", status=TaskStatus(TaskState.PENDING, error="no suitable node (x)"))
    behind = task(2, TaskState.RUNNING, spec=old)
    standing = convergence_of(WEB, [pending, behind], NODES)
    assert (standing.running, standing.unplaceable, standing.outdated) == (0, 1, 1)
    assert standing.is_settled
    assert not convergence_of(WEB, [task(1, TaskState.PREPARING), behind], NODES).is_settled


def test_slots_on_their_way():
    tasks = [
        task(1, TaskState.NEW, node=""),
        task(2, TaskState.FAILED, status=TaskStatus(TaskState.FAILED, error="task: non-zero exit (1)")),
    ]
    standing = convergence_of(WEB, tasks, NODES)
    assert [slot.mark for slot in standing.slots] == [SlotMark.WAITING, SlotMark.MOVING]
    assert standing.slots[1].text == "failed: task: non-zero exit (1)"


def test_a_global_service_has_a_slot_a_node():
    service = attrs.evolve(WEB, spec=attrs.evolve(WEB.spec, mode=GlobalMode()))
    standing = convergence_of(service, [task(0, TaskState.RUNNING), task(0, TaskState.READY, node="id2")], NODES)
    assert [slot.name for slot in standing.slots] == ["n1", "n2"]
    assert (standing.running, standing.wanted) == (1, 2)


def test_none_wanted_is_reached_at_once():
    service = attrs.evolve(WEB, spec=attrs.evolve(WEB.spec, mode=ReplicatedMode(0)))
    assert convergence_of(service, [], NODES).is_reached


ONCE = attrs.evolve(WEB, spec=attrs.evolve(WEB.spec, mode=ReplicatedMode(2)))


def over(slot: int, state: TaskState, error: str = "", **changes) -> Task:
    """It ended, and the managers want no other in its place."""
    return task(slot, state, desired=TaskState.SHUTDOWN, status=TaskStatus(state, error=error), **changes)


def test_what_ended_for_good_is_settled_and_over():
    standing = convergence_of(ONCE, [over(1, TaskState.COMPLETE), task(2, TaskState.RUNNING)], NODES)
    assert not standing.is_reached
    assert standing.is_settled
    assert standing.is_over
    assert standing.what_failed == ""
    assert standing.slots[0].text == "complete, not restarted"


def test_what_failed_for_good_says_why():
    failed = [over(slot, TaskState.FAILED, "task: non-zero exit (3): no such table") for slot in (1, 2)]
    standing = convergence_of(ONCE, failed, NODES)
    assert standing.is_over
    assert standing.what_failed == ("2 of 2 tasks failed and are not restarted: task: non-zero exit (3): no such table")
    assert [slot.mark for slot in standing.slots] == [SlotMark.FAILED] * 2


def test_what_ended_on_a_node_that_is_down_now_has_ended_all_the_same():
    down = [attrs.evolve(NODES[0], status=NodeStatus(NodeState.DOWN)), NODES[1]]
    assert convergence_of(ONCE, [over(1, TaskState.COMPLETE), over(2, TaskState.COMPLETE)], down).is_over


def test_what_ended_before_an_update_or_in_a_slot_too_many_is_not_over():
    old = attrs.evolve(TEMPLATE, container_spec=ContainerSpec(args=("old",)))
    leaving = task(2, TaskState.FAILED, desired=TaskState.REMOVE)
    standing = convergence_of(ONCE, [over(1, TaskState.COMPLETE, spec=old), leaving], NODES)
    assert standing.ended == 0
    assert not standing.is_settled


def test_a_task_that_is_replaced_is_not_over():
    waiting = task(1, TaskState.ASSIGNED, desired=TaskState.READY, created_at=2.0)
    standing = convergence_of(ONCE, [over(1, TaskState.FAILED), waiting], NODES)
    assert standing.ended == 0
