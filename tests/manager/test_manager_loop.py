"""The trio half: one nursery that proposes, dials, confirms, sends, and ends when it is cancelled."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from swarmtui.manager.leadership import OutcomeUnknown, ProposalRefused, SessionBroken, SessionKey
from swarmtui.manager.loop import run_manager
from swarmtui.objects import codec
from swarmtui.objects.dispatch import Assignment, Register, Registered, ReportReceived, StatusReport
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.operations import Create, Result, Transaction
from swarmtui.objects.records import Cluster, Node, NodeDescription, Service, Task, TaskStatus
from swarmtui.objects.states import NodeRole, NodeState, TaskState
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store import Store
from tests.manager.minicluster import make_spec

MANIFEST = Manifest(
    id="c",
    name="test",
    profile="fast",
    created_at=0.0,
    nodes=tuple(NodeEntry(id=f"id-n{i}", name=f"n{i}", role=NodeRole.MANAGER, address=f"a:{i}") for i in (1, 2)),
)


class FakeLeadership:
    """Applies proposals in order, a moment after they are made. `faults` are raised by the next ones, which are applied or
    not; one that is `late` is applied just before the one after it, as a log would."""

    term = 1

    def __init__(self) -> None:
        self.store = Store()
        self.faults: list[tuple[Exception, bool]] = []
        self.faults_late = False
        self.late: list[Transaction] = []
        self.told: list[str] = []
        self.rounds = 0

    def commit(self, transaction: Transaction) -> Result:
        data = encode_transactions([codec.encode(transaction)], self.wall())
        (result,) = self.store.apply(self.store.index + 1, 1, data)
        return result

    async def propose(self, transaction: Transaction) -> Result:
        fault, applied = self.faults.pop(0) if self.faults else (None, True)
        if fault is not None and self.faults_late:
            self.late.append(transaction)
            raise fault
        if applied:
            await trio.sleep(0.002)
            while self.late:
                self.commit(self.late.pop(0))
            result = self.commit(transaction)
        if fault is not None:
            raise fault
        return result

    async def confirmed(self) -> None:
        await trio.sleep(0.002)
        self.rounds += 1

    def narrate(self, kind: str, text: str, **_: Any) -> None:
        self.told.append(text)

    def now(self) -> float:
        return trio.current_time()

    def wall(self) -> float:
        return 1e9 + trio.current_time()

    def new_id(self) -> str:
        return new_id()


class FakePort:
    def __init__(self) -> None:
        self.send_in, self.incoming = trio.open_memory_channel[Any](100)
        self.sent: list[tuple[SessionKey, Any]] = []
        self.refusing: set[str] = set()

    def send(self, key: SessionKey, message: Any) -> None:
        self.sent.append((key, message))

    async def probe(self, node_id: str, address: str) -> bool:
        await trio.sleep(0.001)
        return node_id in self.refusing

    def got(self, kind: type) -> list[Any]:
        return [message for _, message in self.sent if isinstance(message, kind)]


async def until(condition: Any) -> None:
    with trio.fail_after(30):
        while not condition():
            await trio.sleep(0.005)


async def test_from_genesis_to_a_running_task_and_a_dead_node(autojump_clock: trio.testing.MockClock) -> None:
    leadership, port = FakeLeadership(), FakePort()
    _, gaps = trio.open_memory_channel[float](1)
    leadership.faults = [
        (ProposalRefused("no quorum"), False),
        (OutcomeUnknown("who knows"), True),
        (OutcomeUnknown("who knows"), False),
    ]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_manager(leadership, port, gaps, manifest=MANIFEST))
        await until(lambda: leadership.store.count(Node) == 2)
        assert leadership.store.get(Cluster, "c") is not None

        key = SessionKey("id-n1", "s1", "n2")
        await port.send_in.send((key, Register("id-n1", "s1", NodeDescription("n1"), "a:1")))
        await until(lambda: leadership.store.get(Node, "id-n1").status.state is NodeState.READY)
        await until(lambda: port.got(Assignment))
        assert port.got(Registered)[0].term == 1
        assert port.got(Assignment)[0].complete
        assert leadership.rounds == 1

        leadership.commit(Transaction((Create(Service(id="web", spec=make_spec("web", 1))),)))
        await until(lambda: len(port.got(Assignment)) == 2)
        (task,) = port.got(Assignment)[1].tasks
        status = TaskStatus(TaskState.RUNNING, leadership.wall(), "running", pid=7)
        await port.send_in.send((key, StatusReport("s1", 1, ((task.id, status),))))
        await until(lambda: port.got(ReportReceived))
        assert leadership.store.get(Task, task.id).status.pid == 7

        port.refusing.add("id-n1")
        await port.send_in.send((key, SessionBroken("reset by peer")))
        await until(lambda: leadership.store.get(Node, "id-n1").status.state is NodeState.DOWN)
        why = leadership.store.get(Node, "id-n1").status.message
        assert why == "its session ended (reset by peer) and a dial to it is refused"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("late", [False, True])
async def test_an_unknown_outcome_that_was_applied_after_all_is_not_repeated(
    autojump_clock: trio.testing.MockClock, late: bool
) -> None:
    leadership, port = FakeLeadership(), FakePort()
    _, gaps = trio.open_memory_channel[float](1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_manager(leadership, port, gaps, manifest=MANIFEST))
        await until(lambda: leadership.store.count(Node) == 2)
        await trio.sleep(1)
        leadership.faults = [(OutcomeUnknown("slow"), True)] * 3
        leadership.faults_late = late
        leadership.commit(Transaction((Create(Service(id="web", spec=make_spec("web", 3))),)))
        await trio.sleep(10)
        assert [task.slot for task in leadership.store.tasks()] == [1, 2, 3]
        nursery.cancel_scope.cancel()


async def test_idle_it_sleeps(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing polls: with every node silent for good and judged, there is no deadline but the day after."""
    leadership, port = FakeLeadership(), FakePort()
    _, gaps = trio.open_memory_channel[float](1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_manager(leadership, port, gaps, manifest=MANIFEST))
        await trio.sleep(20)
        assert [node.status.state for node in leadership.store.all(Node)] == [NodeState.DOWN] * 2
        looks = 0
        wall = leadership.wall

        def counted() -> float:
            nonlocal looks
            looks += 1
            return wall()

        leadership.wall = counted  # type: ignore[method-assign]
        await trio.sleep(3600)
        assert looks == 0
        nursery.cancel_scope.cancel()
