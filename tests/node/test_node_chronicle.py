"""The leader's events of its store: what it decided, and what agents told it, each in words of its own."""

import pytest
import trio
import trio.testing

from swarmtui.agent.task_life import MESSAGES
from swarmtui.node.chronicle import chronicle
from swarmtui.node.events import Events
from swarmtui.objects import codec
from swarmtui.objects.operations import Advance, Create, Operation, Transaction, Verdict
from swarmtui.objects.records import Node, NodeStatus, Task, TaskStatus
from swarmtui.objects.specs import NodeSpec
from swarmtui.objects.states import NodeState, TaskState
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store import Store


class Chronicled:
    """A store whose leader of term 7 tells its changes."""

    def __init__(self) -> None:
        self.store = Store()
        self.events = Events("n1")

    def write(self, *operations: Operation) -> None:
        data = encode_transactions([codec.encode(Transaction(operations))], 1.0)
        (result,) = self.store.apply(self.store.index + 1, 7, data)
        assert result.verdict is Verdict.DONE, result

    async def told(self) -> list[str]:
        await trio.testing.wait_all_tasks_blocked()
        return [event.text for event in self.events.after(0)]


@pytest.fixture
async def leader(nursery) -> Chronicled:
    leader = Chronicled()
    leader.write(Create(Node(id="id2", spec=NodeSpec("n2"), status=NodeStatus(NodeState.READY))))
    for slot in (0, 1):
        leader.write(Create(Task(id=f"t{slot}", service_id="s1", service_name="web", slot=slot, node_id="id2")))
    nursery.start_soon(chronicle, leader.store, leader.events, 7)
    await trio.testing.wait_all_tasks_blocked()
    return leader


async def test_what_an_agent_tells_as_well_is_told_as_a_record_of_it(leader):
    """`web.1 shutdown on n2` came twice, from the node and from the leader, as if it had happened twice."""
    leader.write(Advance("t1", TaskStatus(TaskState.RUNNING, 1.0, MESSAGES[TaskState.RUNNING], pid=42)))
    leader.write(Advance("t1", TaskStatus(TaskState.SHUTDOWN, 2.0, MESSAGES[TaskState.SHUTDOWN])))
    leader.write(Advance("t0", TaskStatus(TaskState.FAILED, 3.0, MESSAGES[TaskState.FAILED], "task: exit (1)")))
    assert await leader.told() == [
        "task web.1 recorded as running on n2 pid 42",
        "task web.1 recorded as shutdown on n2",
        "task web.n2 recorded as failed: task: exit (1)",
    ]
    assert [(event.term, event.index) for event in leader.events.after(0)] == [(7, 4), (7, 5), (7, 6)]


async def test_what_only_the_leader_tells_happened_as_it_says(leader):
    for state in (TaskState.PENDING, TaskState.ASSIGNED, TaskState.STARTING, TaskState.ORPHANED):
        leader.write(Advance("t1", TaskStatus(state, float(state))))
    assert await leader.told() == [
        f"task web.1 {word} on n2" for word in ("pending", "assigned", "starting", "orphaned")
    ]
