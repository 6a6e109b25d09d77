"""A rehearsal: a small cluster that exists on the screen only, scripted and deterministic.

For pictures, tests and trying a theme where no cluster runs. It implements the console's Backend, moves only when `step` is
called, and knows just enough of Raft to stay legal: terms never fall along a log, and what is committed stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from swarmtui.console.backend import Answer, Sink
from swarmtui.console.model.observations import (
    EventSeen,
    HostSeen,
    LogSeen,
    MarkSeen,
    NodeLinked,
    NodeLost,
    OutputSeen,
    RecordsSeen,
)
from swarmtui.objects.events import Event
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.records import AnyRecord, Node, NodeStatus, Service, Task, TaskStatus
from swarmtui.objects.specs import (
    ContainerSpec,
    EndpointSpec,
    GlobalMode,
    NodeSpec,
    PortConfig,
    ReplicatedMode,
    ServiceSpec,
    TaskSpec,
)
from swarmtui.objects.states import Availability, NodeRole, NodeState, TaskState
from swarmtui.wire.calls import (
    FaultReport,
    HostReport,
    LinkFault,
    LogLine,
    LogLines,
    Mark,
    NodePower,
    NodeReport,
    OutputLine,
    OutputLines,
    Power,
    RecordsChanged,
)

BEGAN = 1_751_371_267.0  # 12:01:07 UTC on some day
FAILOVER_S = 0.083
MOVE_S = 0.6


@attrs.define
class Actor:
    """One node of the play."""

    name: str
    role: NodeRole
    power: Power = Power.RUNNING
    power_since: float = BEGAN - 500
    raft_role: str = "follower"
    term: int = 7
    log: dict[int, int] = attrs.field(factory=dict)
    commit: int = 0
    side: int = 0
    timer: float = 0.7

    @property
    def id(self) -> str:
        return f"{self.name}id"

    @property
    def last(self) -> int:
        return max(self.log, default=0)

    @property
    def lives(self) -> bool:
        return self.power is Power.RUNNING


def rehearsal_manifest(managers: int = 5, workers: int = 2, name: str = "demo") -> Manifest:
    """n1.. as managers and workers, born at BEGAN."""
    nodes = tuple(
        NodeEntry(
            id=f"n{number}id",
            name=f"n{number}",
            role=NodeRole.MANAGER if number <= managers else NodeRole.WORKER,
            address=f"127.0.0.1:{7100 + number}",
        )
        for number in range(1, managers + workers + 1)
    )
    return Manifest(id="rehearsal", name=name, profile="fast", created_at=BEGAN - 600, nodes=nodes)


class Rehearsal:
    """The play. `now` is its own clock; `ran` lists the commands that were run."""

    def __init__(
        self, manifest: Manifest | None = None, *, terms: Sequence[tuple[int, int]] = ((5, 129), (6, 140), (7, 148))
    ) -> None:
        self.manifest = manifest or rehearsal_manifest()
        self.now = BEGAN
        self.actors = {node.name: Actor(node.name, node.role) for node in self.manifest.nodes}
        self.managers = [actor for actor in self.actors.values() if actor.role is NodeRole.MANAGER]
        self.ran: list[tuple[str, ...]] = []
        self.answers: dict[str, Answer] = {}
        self.listened: list[tuple[str, str]] = []
        self.asked: list[tuple[str, int, int]] = []
        self.faults: list[FaultReport] = []
        self.tasks: dict[str, Task] = {}
        self.silent: set[str] = set()
        self.host_answers = True
        self.drained: set[str] = set()
        self._sink: Sink | None = None
        self._seq = 0
        self._serial = 0
        index = 1
        for term, last in terms:
            while index <= last:
                for actor in self.managers:
                    actor.log[index] = term
                index += 1
        for actor in self.managers:
            actor.term, actor.commit = terms[-1][0], index - 1
        self.managers[0].raft_role = "leader"
        self.services = self._services()
        self._place_all()

    # --------------------------------------------------------------------------------------------------- backend

    def start(self, sink: Sink) -> None:
        self._sink = sink

    async def stop(self) -> None:
        self._sink = None

    def ask_log(self, node: str, first: int, last: int) -> None:
        self.asked.append((node, first, last))
        actor = self.actors[node]
        if not actor.lives or node in self.silent:
            return
        lines = tuple(
            LogLine(
                index, actor.log[index], "transactions", entry_text(index, actor.log[index]), 96, index <= actor.commit
            )
            for index in range(first, last + 1)
            if index in actor.log
        )
        self.say(LogSeen(node, LogLines(lines, 1, actor.last, actor.commit)))

    def listen(self, tasks: Sequence[tuple[str, str]]) -> None:
        self.listened = list(tasks)
        for position, (node, task_id) in enumerate(tasks):
            lines = tuple(
                OutputLine(
                    self.now - 5 + step + position / 10, "stderr" if step == 3 and position == 1 else "stdout", text
                )
                for step, text in enumerate(
                    ("listening on port 20001", "GET / 200", "GET /health 200", "slow client dropped", "GET / 200")
                )
            )
            self.say(OutputSeen(node, OutputLines(task_id, lines)))

    async def run(self, words: Sequence[str]) -> Answer:
        self.ran.append(tuple(words))
        if (answer := self.answers.get(" ".join(words))) is not None:
            return answer
        self.play(*words)
        return Answer(0, (f"{' '.join(words)} done",))

    def suggestions(self) -> Sequence[str]:
        return ("kill n1", "status", "service scale web=3")

    # ------------------------------------------------------------------------------------------------------ play

    def say(self, observation: object) -> None:
        if self._sink is not None:
            self._sink(observation)  # type: ignore[arg-type]

    @property
    def leader(self) -> Actor | None:
        leaders = [actor for actor in self.managers if actor.raft_role == "leader" and actor.lives]
        return max(leaders, key=lambda actor: actor.term, default=None)

    def open(self) -> None:
        """Everything that a console hears when it comes."""
        for actor in self.actors.values():
            self.say(NodeLinked(actor.name, self.report(actor)))
        self.say_host()
        self.say_records(reset=True)

    def step(self, seconds: float, *, writes: int = 0) -> None:
        """Let time pass, with some writes committed, and let every living node say where it is."""
        self.now += seconds
        leader = self.leader
        if leader is not None and self.holds_quorum(leader):
            for _ in range(writes):
                index = leader.last + 1
                for actor in self.managers:
                    if actor.lives and actor.side == leader.side and actor.name not in self.silent:
                        actor.log[index] = leader.term
                        actor.commit = index
        self.say_marks()

    def say_marks(self) -> None:
        for actor in self.actors.values():
            if actor.lives and actor.name not in self.silent:
                self.say(MarkSeen(actor.name, self.mark(actor)))

    def hears(self, actor: Actor) -> tuple[str, ...]:
        return tuple(
            other.id
            for other in self.managers
            if other.lives and other.side == actor.side and other.name not in self.silent
        )

    def holds_quorum(self, actor: Actor) -> bool:
        return actor.raft_role == "leader" and len(self.hears(actor)) > len(self.managers) // 2

    def mark(self, actor: Actor) -> Mark:
        manager = actor.role is NodeRole.MANAGER
        leads = actor.raft_role == "leader"
        return Mark(
            node_id=actor.id,
            time=self.now,
            raft_role=actor.raft_role if manager else "",
            term=actor.term if manager else 0,
            leader_id=self.leader.id if self.leader else "",
            last=actor.last,
            commit=actor.commit,
            applied=actor.commit,
            first=1 if manager else 0,
            heard=self.hears(actor) if leads else (actor.id,),
            holds_quorum=self.holds_quorum(actor),
            timer_left_s=None if leads or not manager else actor.timer,
            timer_total_s=None if leads or not manager else 0.9,
        )

    def report(self, actor: Actor) -> NodeReport:
        mark = self.mark(actor)
        return NodeReport(
            node_id=actor.id,
            name=actor.name,
            address=next(node.address for node in self.manifest.nodes if node.name == actor.name),
            pid=4000 + int(actor.name[1:]),
            role=actor.role.value,
            raft_role=mark.raft_role,
            term=mark.term,
            leader_id=mark.leader_id,
            vote="",
            first=mark.first,
            last=mark.last,
            commit=mark.commit,
            applied=mark.applied,
            snapshot=0,
            voters=tuple((other.id, other.name) for other in self.managers),
            heard=mark.heard,
            holds_quorum=mark.holds_quorum,
            timer_left_s=mark.timer_left_s,
            timer_total_s=mark.timer_total_s,
            leader_since=self.now - 134 if mark.raft_role == "leader" else None,
            peers=(),
            started_at=BEGAN - 500,
            election_timeout_s=0.5,
        )

    def event(self, node: str, kind: str, text: str, *, term: int = 0, index: int = 0, **data: object) -> None:
        self._seq += 1
        self.say(EventSeen(Event(self.now, node, self._seq, kind, text, term, index, "", data)))

    def say_host(self) -> None:
        if not self.host_answers:
            self.say(HostSeen(None, "the host does not answer"))
            return
        nodes = tuple(
            NodePower(
                a.id, a.name, a.role.value, "", 4000 + int(a.name[1:]) if a.lives else 0, a.power, "", a.power_since
            )
            for a in self.actors.values()
        )
        links = {
            actor.id: tuple(
                LinkFault(other.id, cut_out=True, cut_in=True)
                for other in self.actors.values()
                if other.side != actor.side
            )
            for actor in self.actors.values()
        }
        report = HostReport(
            self.manifest.name, self.manifest.id, 3999, nodes, tuple(self.faults), links, {"8080": "web: 5 tasks"}, "."
        )
        self.say(HostSeen(report))

    def say_records(self, *, reset: bool = False) -> None:
        nodes = tuple(
            Node(
                id=actor.id,
                spec=NodeSpec(
                    name=actor.name,
                    role=actor.role,
                    availability=Availability.DRAIN if actor.name in self.drained else Availability.ACTIVE,
                ),
                status=NodeStatus(NodeState.READY if actor.lives else NodeState.DOWN),
                role=actor.role,
            )
            for actor in self.actors.values()
        )
        records: tuple[AnyRecord, ...] = (*nodes, *self.services, *self.tasks.values())
        self.say(RecordsSeen("n2", RecordsChanged(self.managers[1].commit, reset, records)))

    # ---------------------------------------------------------------------------------------------------- services

    def _services(self) -> tuple[Service, ...]:
        def service(name: str, mode: ReplicatedMode | GlobalMode, port: int = 0) -> Service:
            ports = EndpointSpec((PortConfig(port),)) if port else EndpointSpec()
            image = f"python:{name}"[:14]
            spec = ServiceSpec(
                name,
                mode=mode,
                endpoint_spec=ports,
                task_template=TaskSpec(ContainerSpec(image=image, args=("python", f"{name}.py"))),
            )
            return Service(id=f"{name}id", spec=spec, version=10, spec_version=10)

        return (
            service("agent", GlobalMode()),
            service("flaky", ReplicatedMode(1)),
            service("ticker", ReplicatedMode(1)),
            service("web", ReplicatedMode(5), 8080),
        )

    def _place_all(self) -> None:
        names = list(self.actors)
        for name in names:
            self.place("agent", 0, name, BEGAN - 490)
        for slot in range(1, 6):
            self.place("web", slot, names[(slot - 1) % len(names)], BEGAN - 480 + slot)
        self.place("ticker", 1, names[-1], BEGAN - 470)
        self.place("flaky", 1, names[-2], BEGAN - 31)

    def place(self, service: str, slot: int, node: str, since: float, state: TaskState = TaskState.RUNNING) -> Task:
        self._serial += 1
        task = Task(
            id=f"task{self._serial:04}",
            service_id=f"{service}id",
            service_name=service,
            slot=slot,
            node_id=f"{node}id" if node else "",
            status=TaskStatus(
                state, since, pid=5000 + self._serial, port=20_000 + self._serial if service == "web" else 0
            ),
            created_at=since,
        )
        self.tasks[task.id] = task
        return task

    def change(self, task: Task, state: TaskState, error: str = "") -> None:
        status = attrs.evolve(task.status, state=state, timestamp=self.now, error=error)
        self.tasks[task.id] = attrs.evolve(task, status=status)

    def _abandon(self, nodes: Sequence[str]) -> list[Task]:
        """The replicated tasks of these nodes, marked to be shut down."""
        lost = []
        for task in list(self.tasks.values()):
            if (
                task.node_id.removesuffix("id") in nodes
                and task.desired_state is TaskState.RUNNING
                and not task.status.state.is_terminal
            ):
                self.tasks[task.id] = attrs.evolve(task, desired_state=TaskState.SHUTDOWN)
                if task.slot:
                    lost.append(task)
        return lost

    # ------------------------------------------------------------------------------------------------------- acts

    def play(self, verb: str, *names: str) -> None:
        """Carry out a command as a cluster would, all at once but with the times it would take."""
        match verb:
            case "kill" | "stop" | "pause":
                for name in names:
                    if name in self.actors:
                        self.break_node(verb, name)
            case "start" | "restart" | "resume":
                for name in names:
                    if name in self.actors:
                        self.bring_back(name)
            case "heal" | "undo":
                for actor in self.actors.values():
                    actor.side = 0
                    if not actor.lives:
                        self.bring_back(actor.name)
                self.faults.clear()
                self.say_host()
            case "drain" | "activate":
                (self.drained.update if verb == "drain" else self.drained.difference_update)(names)
                self.say_records()
            case "partition":
                self.partition(names)
            case _:
                return

    def _fault(self, kind: str, text: str, nodes: Sequence[str]) -> None:
        self.faults.append(FaultReport(len(self.faults) + 1, kind, text, self.now, None, tuple(nodes)))
        self.event("you", "fault", text)

    def break_node(self, verb: str, name: str) -> None:
        """Kill, stop or pause one node and let the others deal with it."""
        actor = self.actors[name]
        led = self.leader is actor
        actor.power = {"kill": Power.KILLED, "stop": Power.STOPPED, "pause": Power.PAUSED}[verb]
        actor.power_since = self.now
        word = {"kill": "killed", "stop": "stopped", "pause": "paused"}[verb]
        self._fault(verb, f"{name} {word}", (name,))
        self.say_host()
        if verb != "pause":
            self.say(NodeLost(name, "connection refused", refused=True))
        began = self.now
        if led:
            self.elect([other for other in self.managers if other.lives and other.side == actor.side])
        if self.leader is not None and verb != "pause":
            self.now = began + MOVE_S
            places = [other.name for other in self.actors.values() if other.lives and other.name not in self.drained]
            for position, task in enumerate(self._abandon([name])):
                self.place(
                    task.service_name, task.slot, places[(position + 3) % len(places)], began + MOVE_S - 0.1 * position
                )
            self.say_records()
        self.say_marks()

    def elect(self, side: Sequence[Actor]) -> None:
        """The first of this side leads a new term, if the side has a quorum."""
        if len(side) <= len(self.managers) // 2:
            for actor in side:
                actor.raft_role = "pre-candidate" if actor is side[0] else "follower"
            return
        winner = side[1] if len(side) > 3 else side[0]
        winner.raft_role, term = "candidate", max(actor.term for actor in side) + 1
        for actor in side:
            actor.term = term
        self.say_marks()
        self.event(
            winner.name,
            "election",
            f"{winner.name} asks for votes: connection to leader refused, 412 ms left on the timer",
            term=term,
        )
        self.now += FAILOVER_S
        winner.raft_role = "leader"
        index = winner.last + 1
        for actor in side:
            actor.log[index] = term
            actor.commit = index
        self.event(
            winner.name,
            "election",
            f"{winner.name} leads term {term} with {len(side)} of {len(self.managers)} votes",
            term=term,
            index=index,
            role="leader",
        )
        self.now += 0.013
        self.event(
            winner.name,
            "raft",
            f"{winner.name} may write: first entry {index} of term {term} committed",
            term=term,
            index=index,
            milestone="leading",
        )
        self.say_marks()

    def bring_back(self, name: str) -> None:
        """Power and network again; it follows and catches up."""
        actor = self.actors[name]
        actor.power, actor.power_since = Power.RUNNING, self.now
        self.faults = [fault for fault in self.faults if name not in fault.nodes]
        leader = self.leader
        if leader is not None and leader is not actor and actor.role is NodeRole.MANAGER:
            actor.raft_role, actor.term = "follower", leader.term
            actor.log, actor.commit = dict(leader.log), leader.commit
        if not any(
            t.node_id == actor.id and not t.slot and t.desired_state is TaskState.RUNNING for t in self.tasks.values()
        ):
            self.place("agent", 0, name, self.now)
        self.event("host", "host", f"{name} started, pid {4000 + int(name[1:])}")
        self.say_host()
        self.say(NodeLinked(name, self.report(actor)))
        self.say_records()

    def partition(self, names: Sequence[str]) -> None:
        """These nodes on one side, all others on the other. A leader on the smaller side does not know it yet."""
        here = [name for name in names if name != "/"]
        for actor in self.actors.values():
            actor.side = 1 if actor.name in here else 0
        rest = [name for name in self.actors if name not in here]
        self._fault("partition", f"{' '.join(here)} | {' '.join(rest)}", here)
        self.say_host()
        leader = self.leader
        if leader is not None and not self.holds_quorum(leader):
            for index in (leader.last + 1, leader.last + 2):  # written on the wrong side, never committed
                leader.log[index] = leader.term
            self.elect([actor for actor in self.managers if actor.lives and actor.side != leader.side])
        self.say_marks()


def entry_text(index: int, term: int) -> str:
    """What an entry says."""
    if index % 13 == 0:
        return f"advance web.{index % 5 + 1} running on n{index % 5 + 1}"
    if index % 7 == 0:
        return f"no-op: first entry of term {term}" if index % 49 == 0 else f"put cart:{index % 31} = {index % 9}"
    return f"put ticker = {index * 3}"
