"""A cluster in one process, for commands: the real store underneath, answers as the client gives them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs

from swarmtui.client.discovery import FoundCluster
from swarmtui.client.errors import Refused
from swarmtui.client.nodes import Nodes
from swarmtui.commands.errors import CommandFailed
from swarmtui.objects.cluster_file import ClusterFile
from swarmtui.objects.codec import encode, encode_transactions
from swarmtui.objects.events import Event
from swarmtui.objects.manifest import Manifest, NodeEntry
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
from swarmtui.store.store import Store
from swarmtui.wire.host_calls import HostReport, NodePower, Power, PublishedPort
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

NOW = 1_700_000_000.0


class FakeRefused(Exception):
    exit_code = 1


class FakeUnknown(Exception):
    exit_code = 3


class FakeNoQuorum(Exception):
    exit_code = 4


@attrs.define
class Quorum:
    voters: int = 3
    needed: int = 2
    reachable: int = 3
    held: bool = True


@attrs.define
class NodeRow:
    name: str
    id: str
    address: str
    pid: int | None
    role: str
    state: str
    term: int | None
    commit: int | None
    applied: int | None
    last: int | None
    availability: str
    status: str
    disk: str = ""


@attrs.define
class Status:
    cluster: str
    name: str
    term: int
    leader: str | None
    quorum: Quorum
    stale: bool
    nodes: list[NodeRow]
    services: list[Any]
    tasks: dict[str, int]
    faults: list[Any]


def entry(number: int, role: NodeRole = NodeRole.MANAGER) -> NodeEntry:
    return NodeEntry(
        id=f"node{number}".ljust(25, "0"),
        name=f"n{number}",
        role=role,
        address=f"127.0.0.1:{7100 + number}",
        labels={"zone": "abc"[(number - 1) % 3]},
    )


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


class FakeHost:
    """Notes every order as a line."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.orders: list[str] = []
        self.refuses: dict[str, str] = {}
        self.powers: dict[str, tuple[Power, str]] = {}
        self.ends: dict[str, tuple[Power, str]] = {}  # what becomes of those that are started
        self.published: tuple[PublishedPort, ...] = ()

    async def report(self) -> HostReport:
        manifest = self._cluster.manifest
        nodes = tuple(
            NodePower(
                node.id, node.name, node.role.value, node.address, 100, *self.powers.get(node.name, (Power.RUNNING, ""))
            )
            for node in manifest.nodes
        )
        return HostReport(manifest.name, manifest.id, 99, nodes, (), {}, self.published, str(self._cluster.directory))

    async def power(self, node: str, action: str, for_s: float | None = None) -> str:
        self._note(f"{action} {node}", for_s)
        if node in self.refuses:
            raise FakeRefused(self.refuses[node])
        self.powers[node] = self.ends.get(node, (Power.RUNNING, ""))
        return ""

    async def partition(self, groups: Sequence[Sequence[str]], for_s: float | None = None) -> str:
        return self._note("partition " + " / ".join(" ".join(group) for group in groups), for_s)

    async def link(self, source: str, target: str, *, for_s: float | None = None, **how: Any) -> str:
        words = " ".join(f"{key}={value}" for key, value in how.items() if value)
        return self._note(f"link {source} {target} {words}", for_s)

    async def heal(self, nodes: Sequence[str] = ()) -> str:
        return self._note(" ".join(["heal", *nodes]))

    async def undo(self) -> str:
        return self._note("undo")

    async def make(self, node: NodeEntry) -> str:
        if node.name in self.refuses:
            raise Refused("host", self.refuses[node.name])
        made = attrs.evolve(node, address=node.address or "127.0.0.1:7199")
        self._cluster.manifest = self._cluster.manifest.with_node(made)
        self._note(f"make {node.name} {node.role}")
        self._cluster.play(self._cluster)
        return made.address

    async def forget(self, node: str) -> str:
        entry = self._cluster.manifest.node(node)
        assert entry is not None
        self._cluster.manifest = self._cluster.manifest.without_node(entry.id)
        self._cluster.off.discard(entry.name)
        self.powers.pop(entry.name, None)
        return self._note(f"forget {entry.name}")

    async def move(self, node: str, address: str) -> str:
        entry = self._cluster.manifest.node(node)
        assert entry is not None
        if entry.name in self.refuses:
            raise Refused("host", self.refuses[entry.name])
        moved = attrs.evolve(entry, address=address or "127.0.0.1:7198")
        self._cluster.manifest = self._cluster.manifest.with_node(moved)
        self._note(f"move {entry.name} {moved.address}")
        return moved.address

    async def shut_down(self) -> str:
        self._cluster.running = False
        return self._note("shut down")

    def _note(self, text: str, for_s: float | None = None) -> str:
        self.orders.append(text + (f" for {for_s:g}" if for_s else ""))
        return ""


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


class FakeMachine:
    """One directory with at most one cluster in it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.cluster: FakeCluster | None = None
        self.created: list[ClusterFile] = []
        self.text = "[cluster]\nname = 'demo'\nmanagers = 3\n"
        self.removed: list[Path] = []
        self.after_connect: Callable[[FakeCluster], None] = lambda cluster: None

    def find(self, selector: str | None, start: Path) -> Path:
        if self.cluster is None or selector not in (None, self.cluster.manifest.name):
            raise FakeNoQuorum("no cluster here; start one with: swarmtui up")
        return self.cluster.directory

    def clusters(self) -> Sequence[FoundCluster]:
        if self.cluster is None:
            return []
        manifest = self.cluster.manifest
        return [
            FoundCluster(manifest.name, manifest.id, self.cluster.directory, self.cluster.running, len(manifest.nodes))
        ]

    def default_base(self) -> Path:
        return self.base / "state"

    def default_text(self) -> str:
        return self.text

    def create(self, cluster_file: ClusterFile, base: Path, file: Path | None, backup: Any = None) -> Manifest:
        directory = base / ".swarmtui"
        directory.mkdir()
        self.created.append(cluster_file)
        workers = len(cluster_file.nodes) - len(cluster_file.managers)
        cluster = FakeCluster(directory, len(cluster_file.managers), workers)
        named = [
            attrs.evolve(born, labels=wish.labels, availability=wish.availability)
            for born, wish in zip(cluster.manifest.nodes, cluster_file.nodes, strict=True)
        ]
        cluster.manifest = attrs.evolve(
            cluster.manifest,
            name=cluster_file.name,
            profile=cluster_file.profile,
            raft=cluster_file.raft,
            nodes=tuple(named),
            cluster_file="" if file is None else file.name,
        )
        cluster.play = FakeCluster.run_services
        self.cluster = cluster
        return cluster.manifest

    def manifest(self, directory: Path) -> Manifest:
        if self.cluster is None:
            raise CommandFailed(f"{directory} holds no cluster")
        return self.cluster.manifest

    def is_running(self, directory: Path) -> bool:
        return self.cluster is not None and self.cluster.running

    async def ensure_host(self, directory: Path) -> None:
        assert self.cluster is not None
        self.cluster.running = True

    async def wait_gone(self, directory: Path, limit_s: float) -> bool:
        return not self.is_running(directory)

    def remove(self, directory: Path) -> None:
        self.removed.append(directory)

    def connect(self, directory: Path) -> AbstractAsyncContextManager[FakeCluster]:
        return self._connected()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[FakeCluster]:
        assert self.cluster is not None
        self.after_connect(self.cluster)
        yield self.cluster
