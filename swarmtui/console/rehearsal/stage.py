"""The stage: how the rehearsed cluster stands, and what its nodes say of themselves."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from swarmtui.console.backend import Answer, Sink
from swarmtui.console.model.observations import EventSeen, HostSeen, MarkSeen, NodeLinked, RecordsSeen
from swarmtui.console.rehearsal.cast import BEGAN, Actor, rehearsal_manifest, rehearsal_services
from swarmtui.objects.events import Event
from swarmtui.objects.manifest import Manifest
from swarmtui.objects.records import AnyRecord, Node, NodeStatus, Task, TaskStatus
from swarmtui.objects.specs import NodeSpec, ReplicatedMode
from swarmtui.objects.states import Availability, NodeRole, NodeState, TaskState
from swarmtui.wire.host_calls import FaultReport, HostReport, NodePower, PublishedPort
from swarmtui.wire.node_calls import LinkFault, Mark, NodeReport, RecordsChanged


class Stage:
    """`now` is the stage's own clock; `silent` are nodes that live and do not answer,
    `counted_down` those that the managers count as down though they live."""

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
        self.counted_down: set[str] = set()
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
        self.services = rehearsal_services()
        self._place_all()

    def say(self, observation: object) -> None:
        if self._sink is not None:
            self._sink(observation)  # type: ignore[arg-type]

    @property
    def is_observed(self) -> bool:
        """Whether anybody hears what is said."""
        return self._sink is not None

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
            self.manifest.name,
            self.manifest.id,
            3999,
            nodes,
            tuple(self.faults),
            links,
            (PublishedPort(8080, "web", 5, listening=True),),
            ".",
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
                status=NodeStatus(
                    NodeState.READY if actor.lives and actor.name not in self.counted_down else NodeState.DOWN
                ),
                role=actor.role,
            )
            for actor in self.actors.values()
        )
        records: tuple[AnyRecord, ...] = (*nodes, *self.services, *self.tasks.values())
        self.say(RecordsSeen(self.managers[-1].name, RecordsChanged(self.managers[-1].commit, reset, records)))

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

    def scale(self, name: str, replicas: int) -> None:
        """Want this many of a service."""
        self.services = tuple(
            attrs.evolve(service, spec=attrs.evolve(service.spec, mode=ReplicatedMode(replicas)))
            if service.name == name
            else service
            for service in self.services
        )

    def change(self, task: Task, state: TaskState, error: str = "") -> None:
        status = attrs.evolve(task.status, state=state, timestamp=self.now, error=error)
        self.tasks[task.id] = attrs.evolve(task, status=status)
