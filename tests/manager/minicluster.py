"""A whole swarm without network, disk, raft or time: the real store and the real manager, agents that are a table.

`MiniCluster` gives the manager what a node would give it. Proposals are applied in order, each at an index of its own, at
once or (with `lag`) some rounds later; agents move their tasks along at once; time jumps from deadline to deadline. After
every applied transaction the invariants are checked.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable

import attrs

from swarmtui.manager.dispatcher import Confirm, Probe, Send
from swarmtui.manager.driver import Batch
from swarmtui.manager.leadership import SessionBroken, SessionKey
from swarmtui.manager.manager import Manager
from swarmtui.manager.nodes import is_down
from swarmtui.manager.reconciler import Moment
from swarmtui.objects import codec
from swarmtui.objects.dispatch import Assignment, Beat, Register, Registered, ReportReceived, SessionEnded, StatusReport
from swarmtui.objects.operations import Advance, Create, Operation, Remove, Result, Transaction, Update, Verdict
from swarmtui.objects.records import Cluster, Node, NodeDescription, NodeStatus, Service, Task, TaskStatus
from swarmtui.objects.specs import (
    ContainerSpec,
    GlobalMode,
    NodeSpec,
    Placement,
    ReplicatedMode,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from swarmtui.objects.states import Availability, NodeRole, NodeState, TaskState, UpdateOrder
from swarmtui.objects.transactions import encode_transactions
from swarmtui.store import Store
from swarmtui.store.validation import check

WALL = 1_700_000_000.0
BEAT_S = 1.0
ROUNDS_MAX = 20_000


@attrs.frozen
class Program:
    """What a service's program does on the fake nodes: `ends` after so many seconds (None: never) with this code."""

    ends: float | None = None
    code: int = 0
    rejected: bool = False
    stop_s: float = 0.0


@attrs.define
class Process:
    task: Task
    status: TaskStatus
    ends_at: float | None = None


class FakeAgent:
    """Obeys like the real one: by (term, index), complete sets and increments; reports every status."""

    def __init__(self, cluster: MiniCluster, node_id: str) -> None:
        self.cluster = cluster
        self.node_id = node_id
        self.alive = True
        self.paused = False
        self.session = ""
        self.obeyed = (0, 0)
        self.tasks: dict[str, Process] = {}
        self.inbox: deque[object] = deque()
        self.outbox: list[object] = []
        self.serial = 0
        self.beat_at: float | None = None
        self.reconnect_at: float | None = 0.0
        self.unsaid: dict[str, None] = {}
        self.unacknowledged: dict[int, list[str]] = {}

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.node_id, self.session, "n1")

    def running(self) -> list[Task]:
        states = (TaskState.STARTING, TaskState.RUNNING)
        return [process.task for process in self.tasks.values() if process.status.state in states]

    def set(self, process: Process, state: TaskState, **fields: object) -> None:
        wall = max(self.cluster.moment.wall, process.status.timestamp + 1e-6)
        process.status = attrs.evolve(process.status, state=state, timestamp=wall, message=state.word.lower(), **fields)
        self.unsaid[process.task.id] = None

    def act(self) -> bool:
        """One round. Returns whether anything happened."""
        if not self.alive or self.paused:
            return False
        now = self.cluster.now
        busy = False
        if not self.session and self.reconnect_at is not None and now >= self.reconnect_at:
            self.session = f"s{next(self.cluster.counter)}"
            self.reconnect_at = None
            self.unacknowledged.clear()
            self.cluster.tell(self, Register(self.node_id, self.session, self.cluster.description(self.node_id), "a:1"))
            busy = True
        while self.inbox:
            self.receive(self.inbox.popleft())
            busy = True
        for process in list(self.tasks.values()):
            busy |= self.advance(process, now)
        if self.session and self.beat_at is not None and now >= self.beat_at:
            self.beat_at = now + BEAT_S
            self.cluster.tell(self, Beat(self.session))
        if self.unsaid and self.beat_at is not None:
            self.serial += 1
            statuses = tuple((id, self.tasks[id].status) for id in self.unsaid if id in self.tasks)
            self.unacknowledged[self.serial] = list(self.unsaid)
            self.unsaid.clear()
            self.cluster.tell(self, StatusReport(self.session, self.serial, statuses))
            busy = True
        return busy

    def receive(self, message: object) -> None:
        match message:
            case Registered(session=session) if session == self.session:
                self.beat_at = self.cluster.now + BEAT_S
                self.unsaid = dict.fromkeys(self.tasks)
            case SessionEnded(session=session) if session == self.session:
                self.lose_session()
            case ReportReceived(session=session, serial=serial) if session == self.session:
                self.unacknowledged.pop(serial, None)
            case Assignment(session=session) if session == self.session:
                self.obey(message)

    def lose_session(self) -> None:
        self.session = ""
        self.beat_at = None
        self.reconnect_at = self.cluster.now + 0.1

    def obey(self, order: Assignment) -> None:
        if (order.term, order.index) < self.obeyed:
            return
        self.obeyed = (order.term, order.index)
        for task in order.tasks:
            known = self.tasks.get(task.id)
            if known is not None:
                known.task = attrs.evolve(task, desired_state=max(task.desired_state, known.task.desired_state))
            elif not task.status.state.is_terminal:
                self.tasks[task.id] = Process(task, task.status)
        gone = set(order.removed)
        if order.complete:
            gone |= set(self.tasks) - {task.id for task in order.tasks}
        for task_id in gone:
            self.tasks.pop(task_id, None)
            self.unsaid.pop(task_id, None)

    def advance(self, process: Process, now: float) -> bool:
        state, desired = process.status.state, process.task.desired_state
        program = self.cluster.programs.get(process.task.service_name, Program())
        if state.is_terminal:
            return False
        if desired >= TaskState.SHUTDOWN:
            if state is TaskState.RUNNING and program.stop_s:
                if process.ends_at is None or process.ends_at > now + program.stop_s:
                    process.ends_at = now + program.stop_s
                if now < process.ends_at:
                    return False
            self.set(process, TaskState.SHUTDOWN)
        elif program.rejected and state < TaskState.READY:
            self.set(process, TaskState.REJECTED, error="no such program")
        elif state < TaskState.READY:
            self.set(process, TaskState.READY)
        elif state is TaskState.READY and desired >= TaskState.RUNNING:
            self.set(process, TaskState.RUNNING, pid=next(self.cluster.counter), port=next(self.cluster.ports))
            process.ends_at = None if program.ends is None else now + program.ends
            self.cluster.check_one_process_a_slot(process.task)
        elif state is TaskState.RUNNING and process.ends_at is not None and now >= process.ends_at:
            self.set(process, TaskState.FAILED if program.code else TaskState.COMPLETE, exit_code=program.code)
        else:
            return False
        return True

    @property
    def deadline(self) -> float | None:
        if not self.alive or self.paused:
            return None
        times = [process.ends_at for process in self.tasks.values() if not process.status.state.is_terminal]
        return min((when for when in (self.beat_at, self.reconnect_at, *times) if when is not None), default=None)


class MiniCluster:
    def __init__(self, nodes: int = 3, *, seed: int | None = None, zones: str = "abc", **cluster: object) -> None:
        self.store = Store()
        self.now = 100.0
        self.counter = itertools.count(1)
        self.ports = itertools.count(20_000)
        self.random = random.Random(seed)
        self.lag = 0.0  # chance that an applied proposal waits another round
        self.programs: dict[str, Program] = {}
        self.said: list[str] = []
        self.placed: list[tuple[str, str]] = []  # (task's name, node)
        self.agents: dict[str, FakeAgent] = {}
        self.in_flight: deque[Batch] = deque()
        self.transactions: list[Transaction] = []
        self.resources = Resources(4_000_000_000, 8 << 30)
        self.overlap_allowed = False  # start-first, partitions
        self.mailbox: deque[tuple[SessionKey, object]] = deque()
        records: list[Operation] = [Create(Cluster(id="c", name="test", **cluster))]  # type: ignore[arg-type]
        records += [
            Create(self.make_node(f"n{number}", zones[(number - 1) % len(zones)])) for number in range(1, nodes + 1)
        ]
        self.apply(*records)
        self.term = 0
        self.lead()

    # ---- making things

    def make_node(self, name: str, zone: str = "a", **spec: object) -> Node:
        self.agents[name] = FakeAgent(self, name)
        return Node(
            id=name,
            spec=NodeSpec(name=name, labels={"zone": zone}, role=NodeRole.MANAGER, **spec),  # type: ignore[arg-type]
            role=NodeRole.MANAGER,
            status=NodeStatus(NodeState.UNKNOWN, "", f"127.0.0.1:{7000 + int(name[1:])}"),
        )

    def add_node(self, name: str, zone: str = "a", **spec: object) -> None:
        self.apply(Create(self.make_node(name, zone, **spec)))

    def description(self, node_id: str) -> NodeDescription:
        return NodeDescription(hostname=node_id, os="linux", architecture="x86_64", resources=self.resources)

    def service(self, name: str = "web", replicas: int | None = 1, **wishes: object) -> Service:
        """Creates a service; `replicas` None: a global one."""
        self.apply(Create(Service(id=f"id-{name}", spec=make_spec(name, replicas, **wishes))))
        return self.store.get(Service, f"id-{name}")

    def respec(self, name: str = "web", replicas: int | None = 1, **wishes: object) -> None:
        service = self.store.get(Service, f"id-{name}")
        record = attrs.evolve(service, spec=make_spec(name, replicas, **wishes))
        self.apply(Update(record, spec_version=service.spec_version))

    def scale(self, name: str, replicas: int) -> None:
        service = self.store.get(Service, f"id-{name}")
        spec = attrs.evolve(service.spec, mode=ReplicatedMode(replicas))
        self.apply(Update(attrs.evolve(service, spec=spec), spec_version=service.spec_version))

    def remove_service(self, name: str) -> None:
        self.apply(Remove(Service.TABLE, f"id-{name}"))

    def edit_node(self, name: str, **spec: object) -> None:
        node = self.store.get(Node, name)
        record = attrs.evolve(node, spec=attrs.evolve(node.spec, **spec))
        self.apply(Update(record, spec_version=node.spec_version))

    def drain(self, name: str) -> None:
        self.edit_node(name, availability=Availability.DRAIN)

    def activate(self, name: str) -> None:
        self.edit_node(name, availability=Availability.ACTIVE)

    def edit_cluster(self, **fields: object) -> None:
        cluster = self.store.get(Cluster, "c")
        self.apply(Update(attrs.evolve(cluster, **fields), version=cluster.version))

    def kill(self, name: str) -> None:
        """SIGKILL: the tasks are gone, the connection ends, a dial is refused."""
        agent = self.agents[name]
        agent.alive = False
        for process in agent.tasks.values():
            if not process.status.state.is_terminal:
                process.status = attrs.evolve(
                    process.status,
                    state=TaskState.FAILED,
                    error="node was restarted",
                    timestamp=self.moment.wall,
                    exit_code=None,
                )
        self.break_session(name)

    def break_session(self, name: str) -> None:
        agent = self.agents[name]
        if agent.session:
            self.mailbox.append((agent.key, SessionBroken("the connection ended")))
            agent.lose_session()

    def start(self, name: str) -> None:
        agent = self.agents[name]
        agent.alive = True
        agent.inbox.clear()
        agent.reconnect_at = self.now

    def pause(self, name: str) -> None:
        self.agents[name].paused = True

    def resume(self, name: str) -> None:
        self.agents[name].paused = False

    # ---- leadership

    @property
    def moment(self) -> Moment:
        return Moment(self.now, WALL + self.now)

    def lead(self, **options: object) -> None:
        """A new leader: nothing in memory survives; undecided proposals of the old one are applied first."""
        while self.in_flight:
            self.commit(self.in_flight.popleft().transaction)
        if self.term:
            self.manager.close()
        self.term += 1
        self.mailbox.clear()
        self.manager = Manager(
            self.store,
            term=self.term,
            new_id=lambda: f"id{next(self.counter):06d}",
            moment=self.moment,
            wake=lambda: None,
            **options,  # type: ignore[arg-type]
        )
        for agent in self.agents.values():
            if agent.session:
                agent.lose_session()

    def tell(self, agent: FakeAgent, message: object) -> None:
        self.mailbox.append((agent.key, message))

    # ---- the log

    def apply(self, *operations: Operation) -> Result:
        result = self.commit(Transaction(operations))
        assert result.verdict is Verdict.DONE, result
        return result

    def commit(self, transaction: Transaction) -> Result:
        fault = check(transaction)
        assert fault is None, fault
        data = encode_transactions([codec.encode(transaction)], WALL + self.now)
        (result,) = self.store.apply(self.store.index + 1, max(self.store.term, 1), data)
        self.transactions.append(transaction)
        self.check_slots(transaction)
        if result.verdict is Verdict.DONE:
            self.chronicle(transaction)
        return result

    def chronicle(self, transaction: Transaction) -> None:
        for operation in transaction.operations:
            match operation:
                case Update(Node() as node):
                    self.said.append(f"{node.name} {node.status.state}: {node.status.message}")
                case (
                    Advance(node_id=str(node_id))
                    | Advance(status=TaskStatus(state=TaskState.ASSIGNED), node_id=node_id)
                ):
                    task = self.store.get(Task, operation.task_id)
                    if task is not None:
                        self.placed.append((task.name, node_id or task.node_id))

    # ---- running

    def round(self) -> bool:
        """Everything that can happen without time going on, once."""
        busy = False
        for batch in self.manager.look(self.moment):
            self.in_flight.append(batch)
            busy = True
        while self.in_flight and self.random.random() >= self.lag:
            batch = self.in_flight.popleft()
            result = self.commit(batch.transaction)
            self.manager.settled(batch, result.verdict, self.moment)
            busy = True
        busy |= bool(self.in_flight)
        for effect in self.manager.effects(self.moment):
            busy = True
            match effect:
                case Send(key, message):
                    agent = self.agents.get(key.node_id)
                    if agent is not None and agent.session == key.session and agent.alive:
                        agent.inbox.append(message)
                case Confirm(keys):
                    self.manager.dispatcher.confirmed(keys)
                case Probe(node_id, _):
                    self.manager.health.probed(node_id, not self.agents[node_id].alive, self.moment)
        self.said += [said.text for said in self.manager.says()]
        for agent in self.agents.values():
            busy |= agent.act()
        while self.mailbox:
            key, message = self.mailbox.popleft()
            busy |= self.manager.feed(key, message, self.moment)  # type: ignore[arg-type]
        return busy

    def settle(self) -> None:
        """Until nothing more happens at this time."""
        for _ in range(ROUNDS_MAX):
            if not self.round():
                return
        raise AssertionError("the cluster does not come to rest")

    def run(self, seconds: float) -> None:
        """Lets so much time pass."""
        end = self.now + seconds
        while True:
            self.settle()
            times = [self.manager.deadline, self.manager.health.deadline, *(a.deadline for a in self.agents.values())]
            upcoming = [when for when in times if when is not None]
            following = min(upcoming, default=float("inf"))
            if following > end:
                self.now = end
                self.settle()
                return
            self.now = max(following, self.now + 1e-4)

    def run_until(self, condition: Callable[[], bool], limit_s: float = 120.0) -> float:
        """Runs in small steps; returns how long it took."""
        began = self.now
        while not condition():
            assert self.now < began + limit_s, "waited in vain"
            self.run(0.01)
        return self.now - began

    # ---- looking

    def tasks(self, name: str = "web") -> list[Task]:
        tasks = self.store.tasks(service_id=f"id-{name}")
        return sorted(tasks, key=lambda task: (task.slot, task.node_id if not task.slot else "", task.spec_version))

    def running(self, name: str = "web") -> list[Task]:
        """Running, as far as anybody knows, and meant to."""
        return [
            task
            for task in self.tasks(name)
            if task.status.state is TaskState.RUNNING
            and task.desired_state is TaskState.RUNNING
            and not is_down(self.store.get(Node, task.node_id))
        ]

    def on(self, node: str, name: str = "web") -> list[Task]:
        return [task for task in self.running(name) if task.node_id == node]

    def spread(self, name: str = "web") -> dict[str, int]:
        return {node: len(self.on(node, name)) for node in self.agents}

    # ---- invariants

    def check_slots(self, transaction: Transaction) -> None:
        """Never two tasks that are meant to run in one slot, start-first apart."""
        for operation in transaction.operations:
            if not isinstance(operation, Create | Advance):
                continue
            id = operation.record.id if isinstance(operation, Create) else operation.task_id
            task = self.store.get(Task, id)
            service = None if task is None else self.store.get(Service, task.service_id)
            if task is None or service is None or service.spec.update_config.order is UpdateOrder.START_FIRST:
                continue
            if task.slot:
                rivals = self.store.tasks(service_id=task.service_id, slot=task.slot)
            else:
                rivals = self.store.tasks(service_id=task.service_id, node_id=task.node_id)
            runnable = [rival.id for rival in rivals if rival.desired_state <= TaskState.RUNNING]
            assert len(runnable) <= 1, f"{task.name} has {runnable}"

    def check_one_process_a_slot(self, task: Task) -> None:
        if self.overlap_allowed:
            return
        alive = [
            other.id
            for agent in self.agents.values()
            if agent.alive and not agent.paused
            for other in agent.running()
            if other.service_id == task.service_id
            and other.slot == task.slot
            and (task.slot or other.node_id == task.node_id)
        ]
        assert len(alive) == 1, f"{task.name} runs {len(alive)} times"


def make_spec(
    name: str,
    replicas: int | None,
    *,
    args: tuple[str, ...] = ("sleep", "inf"),
    constraints: tuple[str, ...] = (),
    spread: tuple[str, ...] = (),
    max_per_node: int = 0,
    cpus: float = 0.0,
    restart: RestartPolicy | None = None,
    update: UpdateConfig | None = None,
    force: int = 0,
) -> ServiceSpec:
    return ServiceSpec(
        name=name,
        mode=GlobalMode() if replicas is None else ReplicatedMode(replicas),
        task_template=TaskSpec(
            container_spec=ContainerSpec(image="x:1", args=args),
            placement=Placement(constraints, spread, max_per_node),
            resources=ResourceRequirements(reservations=Resources(nano_cpus=int(cpus * 1e9))),
            restart_policy=restart or RestartPolicy(),
            force_update=force,
        ),
        update_config=update or UpdateConfig(),
    )
