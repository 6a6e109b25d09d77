"""The manager's loops on simulated leaders, simulated agents under them, and an operator who wants things.

Each node that leads, and has applied its own first entry, runs the very `Manager` that nodes run; what it proposes goes into
the simulated log in its own term or is refused, what it sends goes over the simulated network. Checked at every entry: never
two tasks that are meant to run in one slot, and nothing placed on a node that is known to be down; when all is healed, every
service runs at its count, on machines that run, each slot once.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import attrs

from swarmtui.manager.dispatcher import Confirm, Effect, Probe, Send
from swarmtui.manager.driver import Batch
from swarmtui.manager.leadership import SessionKey
from swarmtui.manager.manager import Manager
from swarmtui.manager.reconciler import Moment
from swarmtui.objects.dispatch import DispatchMessage
from swarmtui.objects.operations import Create, Operation, Result, Transaction, Update
from swarmtui.objects.records import Cluster, Node, NodeStatus, Service, Task
from swarmtui.objects.specs import ContainerSpec, NodeSpec, ReplicatedMode, ServiceSpec, TaskSpec
from swarmtui.objects.states import Availability, NodeRole, NodeState, TaskState
from swarmtui.raft.effects import Role
from swarmtui.raft.invariants import require
from swarmtui.sim.agents import Session, SimulatedAgent
from swarmtui.sim.machine import StoreMachine
from swarmtui.sim.node import SimulatedNode
from swarmtui.sim.roles import LeaderSeats, Roles
from swarmtui.store import Store

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster

WALL = 1_700_000_000.0
RETRY_S = 0.1
PROBE_TIMEOUT_S = 1.0
REPLICAS_MAX = 4
ORDERS_EVERY_S = 1.0  # mean, of the operator
SETTLED_S = 40.0  # within which every service of a healed cluster runs at its count


class Leading:
    """The manager of one node in one term."""

    def __init__(self, scheduling: Scheduling, node: SimulatedNode, store: Store) -> None:
        assert node.core is not None
        self.scheduling = scheduling
        self.cluster = scheduling.cluster
        self.node = node
        self.term = node.core.term
        self.life = node.life
        self.sessions: dict[SessionKey, tuple[SimulatedAgent, Session]] = {}
        self.looks_at: float | None = None
        self.seats = LeaderSeats(self) if self.cluster.parameters.roles_rate else None
        self.manager = Manager(
            store,
            term=self.term,
            new_id=scheduling.new_id,
            moment=self.moment,
            wake=self.look_soon,
            members=self.seats,
        )
        self.look_soon()

    @property
    def moment(self) -> Moment:
        return Moment(self.node.clock.time, self.scheduling.wall)

    @property
    def goes_on(self) -> bool:
        core = self.node.core
        return (
            self.scheduling.goes_on
            and self.node.life == self.life
            and core is not None
            and core.role.kind is Role.LEADER
            and core.term == self.term
        )

    def look_soon(self) -> None:
        self._look_at(self.cluster.now)

    def _look_at(self, time: float) -> None:
        if self.looks_at is None or time < self.looks_at:
            self.looks_at = time
            self.cluster.at(time, self._due, time)

    def _due(self, time: float) -> None:
        if self.looks_at != time:
            return
        self.looks_at = None
        if self.goes_on:
            self.node.when_awake(self.look)

    def look(self) -> None:
        """Propose, send, and look again when something is due."""
        if not self.goes_on:
            return
        for batch in self.manager.look(self.moment):
            self.node.desk.write(batch.transaction, partial(self._decided, batch), self.term)
        for effect in self.manager.effects(self.moment):
            self._do(effect)
        for wish in self.manager.wishes():
            if self.seats is not None:
                self.seats.ask(wish)
        self.manager.says()
        deadlines = [when for when in (self.manager.deadline, self.manager.health.deadline) if when is not None]
        if deadlines and self.goes_on:
            self._look_at(self.cluster.now + max(1e-3, self.node.clock.wait_for(min(deadlines))))

    def _decided(self, batch: Batch, told: Result | str) -> None:
        if isinstance(told, str):
            self.cluster.after(RETRY_S, self._settled, batch, None)
        else:
            self._settled(batch, told)

    def _settled(self, batch: Batch, result: Result | None) -> None:
        if self.goes_on:
            self.manager.settled(batch, None if result is None else result.verdict, self.moment)
            self.look_soon()

    def meet(self) -> None:
        """The members may have changed."""
        if self.seats is not None and self.seats.have_changed():
            self.manager.members_changed(self.moment)
            self.look_soon()

    # ---- agents ----

    def hear(self, agent: SimulatedAgent, session: Session, message: DispatchMessage) -> None:
        if self.goes_on:
            key = SessionKey(agent.id, session.name, self.node.id)
            self.sessions[key] = (agent, session)
            self.manager.feed(key, message, self.moment)
            self.look_soon()

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send(key, message):
                if key in self.sessions:
                    agent, session = self.sessions[key]
                    self.scheduling.carry(self.node, agent.node, session, partial(agent.hear, session, message))
            case Confirm(keys):
                self._confirm(keys)
            case Probe(node_id, _):
                self._probe(node_id)

    def _confirm(self, keys: tuple[SessionKey, ...]) -> None:
        if self.goes_on:
            self.node.desk.read(partial(self._confirmed, keys))

    def _confirmed(self, keys: tuple[SessionKey, ...], why: str) -> None:
        if why:
            self.cluster.after(RETRY_S, self._confirm, keys)
        elif self.goes_on:
            self.manager.dispatcher.confirmed(keys)
            self.look_soon()

    def _probe(self, node_id: str) -> None:
        """A dial is refused where no process is; across a cut, or to a process that sleeps, it hangs."""
        target = self.scheduling.agents[node_id].node
        path, back = (self.node.id, target.id), (target.id, self.node.id)
        hangs = path in self.cluster.network.cuts or back in self.cluster.network.cuts
        refused = not hangs and target.core is None
        self.cluster.after(PROBE_TIMEOUT_S if hangs else 0.002, self._probed, node_id, refused)

    def _probed(self, node_id: str, refused: bool) -> None:
        if self.goes_on:
            self.manager.health.probed(node_id, refused, self.moment)
            self.look_soon()


class Scheduling:
    """Everything about tasks in one run; without services in its parameters it does nothing."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.rng = cluster.rng
        self.goes_on = self.trouble_goes_on = cluster.parameters.services > 0
        self.leading: dict[str, Leading] = {}
        self.agents: dict[str, SimulatedAgent] = {}
        self.roles = Roles(self)
        self.ids = 0
        self._placed: set[str] = set()  # tasks that were seen with a node

    @property
    def wall(self) -> float:
        return WALL + self.cluster.now

    def new_id(self) -> str:
        self.ids += 1
        return f"id{self.ids:06d}"

    def begin(self) -> None:
        if not self.goes_on:
            return
        self.agents = {id: SimulatedAgent(self, node) for id, node in self.cluster.nodes.items()}
        for agent in self.agents.values():
            agent.begin()
        self._order()
        self.roles.begin()

    # ---- leaders ----

    def turn(self, node: SimulatedNode) -> None:
        """Called whenever something happened at this node: open or close its leadership."""
        leading, core = self.leading.get(node.id), node.core
        if leading is not None and not leading.goes_on:
            leading.manager.close()
            del self.leading[node.id]
            leading = None
        if leading is not None:
            leading.meet()
        if leading is None and self.goes_on and core is not None and core.role.kind is Role.LEADER:
            first = getattr(core.role, "first_index", 0)
            if isinstance(node.machine, StoreMachine) and node.machine.index >= first:
                self.leading[node.id] = Leading(self, node, node.machine.store)
                self.cluster.counts["leaderships"] += 1

    def to_leader(self, agent: SimulatedAgent, session: Session, message: DispatchMessage) -> None:
        """From an agent to whoever its node takes for the leader."""
        leader = self.cluster.nodes[session.leader]
        self.carry(agent.node, leader, session, partial(self._arrive, leader, agent, session, message))

    def _arrive(self, leader: SimulatedNode, agent: SimulatedAgent, session: Session, message: DispatchMessage) -> None:
        leading = self.leading.get(leader.id)
        if leading is not None:
            leading.hear(agent, session, message)

    def carry(self, source: SimulatedNode, target: SimulatedNode, session: Session, arrive: partial[None]) -> None:
        """Over the connection of this session, in order; once a frame is lost nothing arrives any more."""
        if session.torn:
            return
        path = (source.id, target.id)
        if source is not target and path in self.cluster.network.cuts:
            session.torn = True
            return
        at = self.cluster.network.arrival(path, self.cluster.now)
        session.last_arrival[path] = at = max(at, session.last_arrival.get(path, 0.0))
        self.cluster.at(at, self.cluster.hand_over, target, target.life, arrive)

    # ---- the operator ----

    def _order(self) -> None:
        """Something is wanted, of whoever leads: first that there is a cluster, then changes."""
        if not self.trouble_goes_on:
            return
        self.cluster.after(self.rng.expovariate(1 / ORDERS_EVERY_S), self._order)
        leader = self.cluster.leader
        if leader is None or not isinstance(leader.machine, StoreMachine) or not leader.runs or leader.core is None:
            return
        operations = self._wish(leader.machine.store)
        if operations:
            self.cluster.counts["orders"] += 1
            leader.desk.write(Transaction(operations), lambda told: None, leader.core.term)

    def _wish(self, store: Store) -> tuple[Operation, ...]:
        if not store.count(Cluster):
            return self._birth()
        if self.rng.random() < 0.7:
            service = self.rng.choice(store.all(Service))
            spec = attrs.evolve(service.spec, mode=ReplicatedMode(self.rng.randint(0, REPLICAS_MAX)))
            return (Update(attrs.evolve(service, spec=spec), spec_version=service.spec_version),)
        node = self.rng.choice(store.all(Node))
        availability = self.rng.choice([Availability.ACTIVE, Availability.ACTIVE, Availability.DRAIN])
        spec_of_node = attrs.evolve(node.spec, availability=availability)
        return (Update(attrs.evolve(node, spec=spec_of_node), spec_version=node.spec_version),)

    def _birth(self) -> tuple[Operation, ...]:
        nodes = [
            Create(
                Node(
                    id=id,
                    spec=NodeSpec(name=id, role=NodeRole.MANAGER),
                    role=NodeRole.MANAGER,
                    status=NodeStatus(NodeState.UNKNOWN, "", f"sim:{id}"),
                )
            )
            for id in self.agents
        ]
        services = [
            Create(
                Service(
                    id=f"service-{number}",
                    spec=ServiceSpec(
                        name=f"s{number}",
                        mode=ReplicatedMode(self.rng.randint(1, REPLICAS_MAX)),
                        task_template=TaskSpec(container_spec=ContainerSpec(image="x:1", args=("run",))),
                    ),
                )
            )
            for number in range(1, self.cluster.parameters.services + 1)
        ]
        return (
            Create(Cluster(id="sim", name="sim", restart_delay_s=0.5, node_timeout_s=1.5, agent_heartbeat_s=0.4)),
            *nodes,
            *services,
        )

    # ---- what must hold ----

    def applied(self, store: Store) -> None:
        """After an entry that nobody had applied before."""
        self.roles.applied(store)
        slots: Counter[tuple[str, int]] = Counter()
        nodes = {node.id: node for node in store.all(Node)}
        for task in store.all(Task):
            if task.desired_state <= TaskState.RUNNING:
                slots[task.service_id, task.slot] += 1
                if task.status.state is not TaskState.ASSIGNED or task.id in self._placed:
                    continue  # not placed by this entry, whatever else it says of the task
                self._placed.add(task.id)
                node = nodes.get(task.node_id)
                down = node is not None and node.version < store.index and node.status.state is NodeState.DOWN
                require(
                    not down, "nothing is placed on a node that is known to be down", task=task.name, node=task.node_id
                )
        for (service, slot), count in slots.items():
            require(count <= 1, "one task that is meant to run in a slot", service=service, slot=slot, count=count)

    def heal(self) -> None:
        """The operator wants nothing more, and programs do not fail any more."""
        self.trouble_goes_on = False

    def settle(self) -> None:
        """Every service comes to run at its count, on machines that run, each slot once."""
        if not self.goes_on:
            return
        cluster = self.cluster
        cluster.run_until(cluster.now + SETTLED_S, lambda: not self._missing())
        require(not self._missing(), "every service of a healed cluster runs at its count", missing=self._missing())
        self.goes_on = False

    def _missing(self) -> str:
        leader = self.cluster.leader
        if leader is None or leader.core is None or not isinstance(leader.machine, StoreMachine):
            return "a leader"
        store = leader.machine.store
        if unsettled := self.roles.unsettled(leader.core, store):
            return unsettled
        running = Counter((task.service_id, task.slot) for agent in self.agents.values() for task in agent.running())
        if twice := [slot for slot, count in running.items() if count > 1]:
            return f"one too many of {twice}"
        active = [node.id for node in store.all(Node) if node.spec.availability is Availability.ACTIVE]
        places = [id for id in active if not self.agents[id].node.is_out]
        for service in store.all(Service):
            assert isinstance(service.mode, ReplicatedMode)
            wanted = service.mode.replicas if places else 0
            found = sum(1 for id, _ in running if id == service.id)
            if found != wanted:
                return f"{service.name}: {found} of {wanted}"
        return "" if store.count(Service) or not store.count(Cluster) else "services"
