"""Simulated agents: one on every machine of a scheduling run, obeying the leader's manager as the real one does.

Sessions go through the node's own knowledge of who leads and over the simulated network. A frame that is lost ends the session
as silence, as it does for a connection: nothing later of that session arrives, until one side notices. What runs dies with its
node; which orders were obeyed last does not.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import attrs

from swarmtui.objects.dispatch import (
    Assignment,
    Beat,
    DispatchMessage,
    Register,
    Registered,
    ReportReceived,
    SessionEnded,
    StatusReport,
)
from swarmtui.objects.records import NODE_WAS_RESTARTED, NodeDescription, Task, TaskStatus
from swarmtui.objects.specs import Resources
from swarmtui.objects.states import TaskState
from swarmtui.raft.invariants import require

if TYPE_CHECKING:
    from swarmtui.sim.node import SimulatedNode
    from swarmtui.sim.scheduling import Scheduling

ACTS_EVERY_S = 0.1
STEP_SHARE = 0.7  # of looks at a task move it one step along
FAILURE_SHARE = 0.004  # of looks at a running task find that it has failed
PATIENCE_BEATS = 3.0
RESOURCES = Resources(4_000_000_000, 8 << 30)


@attrs.define
class Process:
    task: Task
    status: TaskStatus


@attrs.define(eq=False)
class Session:
    """`torn`: a frame was lost; from then on it is silent."""

    name: str
    leader: str
    heard_at: float
    beat_at: float
    is_open: bool = False
    torn: bool = False
    last_arrival: dict[tuple[str, str], float] = attrs.field(factory=dict)


class SimulatedAgent:
    """`processes` are on this machine now; `obeyed` is the highest (term, index) that was ever obeyed, on disk."""

    def __init__(self, scheduling: Scheduling, node: SimulatedNode) -> None:
        self.scheduling = scheduling
        self.cluster = scheduling.cluster
        self.id = node.id
        self.node = node
        self.rng = random.Random(f"agent {self.cluster.seed} {node.id}")
        self.life = 0
        self.obeyed = (0, 0)
        self.processes: dict[str, Process] = {}
        self.session: Session | None = None
        self.sessions = 0
        self.serial = 0
        self.unsaid: dict[str, None] = {}
        self.unacknowledged: dict[int, list[str]] = {}
        self.beat_s = 1.0

    def begin(self) -> None:
        self.cluster.after(self.rng.uniform(0, ACTS_EVERY_S), self._again)

    def move_to(self, node: SimulatedNode) -> None:
        """The machine is another member of the consensus from now on, and began anew."""
        self.node, self.life = node, -1

    def running(self) -> list[Task]:
        """What really runs here."""
        if self.node.core is None:
            return []
        states = (TaskState.STARTING, TaskState.RUNNING)
        return [one.task for one in self.processes.values() if one.status.state in states]

    def _again(self) -> None:
        if self.scheduling.goes_on:
            self.cluster.after(ACTS_EVERY_S * self.rng.uniform(0.5, 1.5), self._again)
        if self.node.life != self.life:
            self._restarted()
        if self.node.runs:
            self._act()

    def _restarted(self) -> None:
        """The node's process ended meanwhile, and its tasks with it."""
        self.life = self.node.life
        self.session = None
        for process in self.processes.values():
            if not process.status.state.is_terminal:
                self._set(process, TaskState.FAILED, error=NODE_WAS_RESTARTED)

    def _act(self) -> None:
        now, session = self.cluster.now, self.session
        for process in list(self.processes.values()):
            if self.rng.random() < STEP_SHARE:
                self._advance(process)
        if session is None:
            self._connect()
            return
        if now - session.heard_at > PATIENCE_BEATS * self.beat_s:
            self.session = None
            return
        if session.is_open and now >= session.beat_at:
            session.beat_at = now + self.beat_s
            self._say(Beat(session.name))
        if session.is_open and self.unsaid:
            self.serial += 1
            self.unacknowledged[self.serial] = list(self.unsaid)
            statuses = tuple((id, self.processes[id].status) for id in self.unsaid if id in self.processes)
            self.unsaid.clear()
            self._say(StatusReport(session.name, self.serial, statuses))

    # ---- the session ----

    def _connect(self) -> None:
        core = self.node.core
        assert core is not None
        leader = core.role.leader
        if not leader:
            return
        self.sessions += 1
        name = f"{self.id}-{self.sessions}"
        self.session = Session(name, leader, self.cluster.now, self.cluster.now)
        self.unacknowledged.clear()
        description = NodeDescription(hostname=self.id, os="sim", architecture="sim", resources=RESOURCES)
        self._say(Register(self.id, name, description, f"sim:{self.id}"))

    def _say(self, message: DispatchMessage) -> None:
        session = self.session
        assert session is not None
        self.scheduling.to_leader(self, session, message)

    def hear(self, session: Session, message: DispatchMessage) -> None:
        """From the leader, if this is still the session."""
        if session is not self.session or self.node.life != self.life:
            return
        session.heard_at = self.cluster.now
        match message:
            case Registered(heartbeat_s=beat_s):
                session.is_open, self.beat_s = True, beat_s
                self.unsaid = dict.fromkeys(self.processes)
            case SessionEnded():
                self.session = None
            case ReportReceived(serial=serial):
                self.unacknowledged.pop(serial, None)
            case Assignment():
                self._obey(message)

    # ---- tasks ----

    def _obey(self, order: Assignment) -> None:
        if (order.term, order.index) < self.obeyed:
            return
        self.obeyed = (order.term, order.index)
        for task in order.tasks:
            known = self.processes.get(task.id)
            if known is not None:
                known.task = attrs.evolve(task, desired_state=max(task.desired_state, known.task.desired_state))
            elif not task.status.state.is_terminal:
                require(task.node_id == self.id, "a node is given its own tasks", node=self.id, task=task)
                self.processes[task.id] = Process(task, task.status)
        gone = set(order.removed)
        if order.complete:
            gone |= set(self.processes) - {task.id for task in order.tasks}
        for id in gone:
            self.processes.pop(id, None)
            self.unsaid.pop(id, None)

    def _set(self, process: Process, state: TaskState, error: str = "") -> None:
        wall = max(self.scheduling.wall, process.status.timestamp + 1e-6)
        process.status = attrs.evolve(process.status, state=state, timestamp=wall, error=error)
        self.unsaid[process.task.id] = None

    def _advance(self, process: Process) -> None:
        state, desired = process.status.state, process.task.desired_state
        if state.is_terminal:
            return
        if desired >= TaskState.SHUTDOWN:
            self._set(process, TaskState.SHUTDOWN)
        elif state < TaskState.READY:
            self._set(process, TaskState.READY)
        elif state is TaskState.READY and desired >= TaskState.RUNNING:
            self._set(process, TaskState.RUNNING)
            self.cluster.counts["tasks started"] += 1
        elif state is TaskState.RUNNING and self.scheduling.trouble_goes_on and self.rng.random() < FAILURE_SHARE:
            self._set(process, TaskState.FAILED, error="it ended by itself")
