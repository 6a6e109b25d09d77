"""A cluster in one process, for commands: the real store underneath, answers as the client gives them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs

from swarmtui.client.nodes import Nodes
from swarmtui.objects.codec import encode
from swarmtui.objects.events import Event
from swarmtui.objects.manifest import Manifest
from swarmtui.objects.operations import Advance, Create, Operation, Put, Remove, Result, Transaction, Update, Verdict
from swarmtui.objects.records import (
    TABLES,
    Cluster,
    KeyValue,
    Node,
    NodeDescription,
    NodeStatus,
    Service,
    Task,
    TaskStatus,
)
from swarmtui.objects.specs import NodeSpec, ReplicatedMode
from swarmtui.objects.states import NodeRole, NodeState, TaskState
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store.store import Store
from swarmtui.wire.host_calls import Power
from swarmtui.wire.node_calls import (
    Consistency,
    Done,
    GetStatus,
    ListRecords,
    LogLine,
    LogLines,
    LogRange,
    MayLeave,
    NodeReport,
    OutputLine,
    OutputLines,
    Records,
    SignalTask,
    TakeSnapshot,
    TaskOutput,
    TransferLeadership,
)
from tests.commands.fake_answers import NOW, FakeNoQuorum, FakeRefused, NodeRow, Quorum, Status, entry
from tests.commands.fake_host import FakeHost


class FakeKeys:
    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.changes: list[Any] = []

    async def get(self, key: str, *, consistency: Consistency = Consistency.LINEARIZABLE) -> KeyValue | None:
        self._cluster.check(asks_quorum=consistency is not Consistency.STALE)
        return self._cluster.store.get(KeyValue, key)

    async def put(self, key: str, value: bytes) -> int:
        return (await self._cluster.transact(Transaction((Put(key, value),)))).index

    async def cas(self, key: str, expected: int, value: bytes) -> int:
        return (await self._cluster.transact(Transaction((Put(key, value, expected),)))).index

    async def delete(self, key: str) -> None:
        await self._cluster.transact(Transaction((Remove("kv", key),)))

    async def list(
        self, prefix: str = "", *, consistency: Consistency = Consistency.LINEARIZABLE
    ) -> Sequence[KeyValue]:
        return self._cluster.store.keys(prefix)

    async def watch(self, prefix: str = "") -> AsyncIterator[Any]:
        for change in self.changes:
            yield change


class FakeCluster:
    """Three managers and a worker, as a client would show them. `play` is called after each write."""

    def __init__(self, directory: Path, managers: int = 3, workers: int = 1) -> None:
        entries = [entry(number) for number in range(1, managers + 1)]
        entries += [entry(number, NodeRole.WORKER) for number in range(managers + 1, managers + workers + 1)]
        self.directory = directory
        self.manifest = Manifest(
            id="cluster0".ljust(25, "0"), name="dev", profile="fast", created_at=NOW, nodes=tuple(entries)
        )
        self.store = Store()
        self.kv = FakeKeys(self)
        self.host = FakeHost(self)
        self.nodes = Nodes(self)  # type: ignore[arg-type]
        self.running = True
        self.stale = False
        self.fails: Exception | None = None
        self.leader: str | None = "n1"
        self.states: dict[str, str] = {}
        self.faults: list[str] = []
        self.off: set[str] = set()
        self.may_not_leave = ""
        self.outputs: dict[str, tuple[OutputLine, ...]] = {}
        self.asked: list[tuple[str, Any]] = []
        self.answers: dict[type, Any] = {}
        self.log: list[LogLine] = []
        self.recent: list[Event] = []
        self.transactions: list[Transaction] = []
        self.disks: dict[str, str] = {}  # why a node's disk refuses writes
        self.play: Callable[[FakeCluster], None] = lambda cluster: None
        self._create_nodes()

    # ------------------------------------------------------------------------------------------------ what tests set up

    def write(self, *operations: Operation) -> Result:
        data = encode_transactions([encode(Transaction(operations))], NOW)
        return self.store.apply(self.store.index + 1, 7, data)[0]

    def add_service(self, service: Service) -> Service:
        self.write(Create(service))
        found = self.store.get(Service, service.id)
        assert found is not None
        return found

    def add_task(self, task: Task) -> Task:
        self.write(Create(task))
        found = self.store.get(Task, task.id)
        assert found is not None
        return found

    def run_services(self) -> None:
        """What the managers would do: every replicated service gets its running tasks, in turns on the nodes."""
        for service in self.store.all(Service):
            wanted = (
                service.spec.mode.replicas
                if isinstance(service.spec.mode, ReplicatedMode)
                else len(self.manifest.nodes)
            )
            template = service.spec.task_template
            old = self.store.tasks(service_id=service.id)
            for task in old:
                if task.spec != template or task.slot > wanted:
                    self.write(Remove("task", task.id))
            taken = {task.slot for task in self.store.tasks(service_id=service.id)}
            for slot in range(1, wanted + 1):
                if slot in taken:
                    continue
                node = self.manifest.nodes[(slot - 1) % len(self.manifest.nodes)]
                number = self.store.index + 1
                self.write(
                    Create(
                        Task(
                            id=f"task{number}".ljust(25, "x"),
                            service_id=service.id,
                            service_name=service.name,
                            slot=slot,
                            node_id=node.id,
                            spec=template,
                            ports=service.spec.endpoint_spec.ports,
                            status=TaskStatus(
                                TaskState.RUNNING, timestamp=NOW - 180, pid=4000 + number, port=20000 + slot
                            ),
                        )
                    )
                )

    def run_services_once(self, state: TaskState, error: str = "") -> None:
        """What the managers would do where every task ends like this and the restart policy wants no other."""
        self.run_services()
        for task in self.store.tasks():
            if task.status.state is TaskState.RUNNING:
                status = attrs.evolve(task.status, state=state, error=error, pid=0)
                self.write(Advance(task.id, status, TaskState.SHUTDOWN))

    def _create_nodes(self) -> None:
        self.write(Create(Cluster(id=self.manifest.id, name="dev")))
        for node in self.manifest.nodes:
            spec = NodeSpec(name=node.name, labels=node.labels, role=node.role, availability=node.availability)
            description = NodeDescription(hostname=node.name, os="linux", architecture="x86_64", engine_version="0.1.0")
            status = NodeStatus(NodeState.READY, address=node.address)
            self.write(Create(Node(id=node.id, spec=spec, description=description, status=status, role=node.role)))

    def keep_roles(self) -> None:
        """What the role manager and the host would do: every role becomes what is wanted, every node here ready."""
        for node in self.store.all(Node):
            entry = self.manifest.node(node.id)
            if entry is None:
                continue
            status = node.status if node.name in self.off else attrs.evolve(node.status, state=NodeState.READY)
            kept = attrs.evolve(node, role=node.spec.role, status=status)
            if kept != node:
                self.write(Update(kept, version=node.version))
            self.manifest = self.manifest.with_node(attrs.evolve(entry, role=node.spec.role))

    def turn_off(self, name: str) -> None:
        """The node is down, and everybody knows."""
        self.off.add(name)
        self.states[name] = "down"
        self.host.powers[name] = (Power.KILLED, "")
        node = next(node for node in self.store.all(Node) if node.name == name)
        down = attrs.evolve(node, status=NodeStatus(NodeState.DOWN, address=node.status.address))
        self.write(Update(down, version=node.version))

    def check(self, asks_quorum: bool = True) -> None:
        if self.fails is not None and asks_quorum:
            raise self.fails

    # -------------------------------------------------------------------------------------------------- as the client

    async def status(self) -> Status:
        rows = []
        for node in self.manifest.nodes:
            default = "worker" if node.role is NodeRole.WORKER else "leader" if node.name == self.leader else "follower"
            stored = self.store.get(Node, node.id) or Node(id=node.id, spec=NodeSpec())
            rows.append(
                NodeRow(
                    node.name,
                    node.id,
                    node.address,
                    100,
                    node.role.value,
                    self.states.get(node.name, default),
                    7,
                    412,
                    412,
                    412,
                    stored.spec.availability.value,
                    stored.status.state.value,
                    self.disks.get(node.name, ""),
                )
            )
        voters = len(self.manifest.managers)
        up = sum(row.state in ("leader", "follower", "candidate") for row in rows if row.role == "manager")
        needed = voters // 2 + 1
        counts: dict[str, int] = {}
        for task in self.store.all(Task):
            word = task.status.state.name.lower()
            counts[word] = counts.get(word, 0) + 1
        return Status(
            self.manifest.id,
            self.manifest.name,
            7,
            self.leader,
            Quorum(voters, needed, up, up >= needed and self.leader is not None),
            self.stale,
            rows,
            [self._service_row(service) for service in self.store.all(Service)],
            counts,
            self.faults,
        )

    def _service_row(self, service: Service) -> SimpleNamespace:
        tasks = self.store.tasks(service_id=service.id)
        running = sum(task.status.state is TaskState.RUNNING for task in tasks)
        wanted = service.mode.replicas if isinstance(service.mode, ReplicatedMode) else len(tasks)
        return SimpleNamespace(name=service.name, running=running, wanted=wanted)

    async def records(
        self,
        *tables: str,
        consistency: Consistency = Consistency.VIEW,
        service_id: str = "",
        node_id: str = "",
    ) -> Records:
        found: list[Any] = []
        for table in tables:
            found += self.store.all(TABLES[table])
        if self.stale and consistency is Consistency.LINEARIZABLE:
            raise FakeNoQuorum("no quorum: 1 of 3 managers answer, 2 needed; try again when more are up")
        answering = self.manifest.node(self.leader or "n1")
        return Records(self.store.index, 7, self.stale, tuple(found), node=answering.id if answering else "")

    async def transact(self, transaction: Transaction) -> Result:
        self.check()
        self.transactions.append(transaction)
        data = encode_transactions([encode(transaction)], NOW)
        result = self.store.apply(self.store.index + 1, 7, data)[0]
        if result.verdict is not Verdict.DONE:
            raise FakeRefused(result.text)
        self.play(self)
        return result

    async def ask(self, node: str, call: Any) -> Any:
        self.asked.append((node, call))
        if type(call) in self.answers:
            answer = self.answers[type(call)]
            if isinstance(answer, Exception):
                raise answer
            return answer
        match call:
            case LogRange():
                lines = [line for line in self.log if call.first <= line.index <= call.last]
                ends = [line.index for line in self.log] or [0]
                return LogLines(tuple(lines), ends[0], ends[-1], ends[-1])
            case GetStatus():
                return self._report(node)
            case ListRecords():
                return await self.records(*call.tables, consistency=call.consistency)
            case MayLeave():
                return Done(refused=self.may_not_leave)
            case SignalTask() | TransferLeadership() | TakeSnapshot():
                return Done()
        raise AssertionError(f"nobody answers {call}")

    async def report(self, node: str, timeout_s: float = 0.3) -> NodeReport | None:
        power, _ = self.host.powers.get(node, (Power.RUNNING, ""))
        return self._report(node) if power is Power.RUNNING else None

    def _report(self, name: str) -> NodeReport:
        node = self.manifest.node(name)
        assert node is not None
        if self.states.get(name) == "down":
            raise FakeNoQuorum(f"{name} does not answer")
        voters = tuple((manager.id, manager.name) for manager in self.manifest.managers)
        role = "leader" if name == self.leader else "follower"
        leader = self.manifest.nodes[0].id
        return NodeReport(
            node.id, name, node.address, 100, "manager", role, 7, leader, leader, 1, 412, 412, 412, 0, voters,
            tuple(id for id, _ in voters), role == "leader", None, None, None, (), NOW, 0.5,
        )  # fmt: skip

    async def stream(self, node: str, call: Any) -> AsyncIterator[Any]:
        assert isinstance(call, TaskOutput)
        if call.task_id not in self.outputs:
            yield OutputLines(call.task_id, (), "nothing was written")
            return
        yield OutputLines(call.task_id, self.outputs[call.task_id][-call.tail :])

    async def events(
        self, *, since: float | None = None, until: float | None = None, follow: bool = True
    ) -> AsyncIterator[Event]:
        for event in self.recent:
            if (since is None or event.time >= since) and (until is None or event.time <= until):
                yield event
