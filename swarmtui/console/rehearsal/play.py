"""The play: what happens on the stage when somebody breaks a node, cuts the network or heals, all with the times it takes."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from swarmtui.console.backend import Answer, Sink
from swarmtui.console.model.observations import LogSeen, NodeLinked, NodeLost, OutputSeen
from swarmtui.console.rehearsal.cast import Actor, entry_text
from swarmtui.console.rehearsal.stage import Stage
from swarmtui.objects.records import Task
from swarmtui.objects.states import NodeRole, TaskState
from swarmtui.wire.host_calls import FaultReport, Power
from swarmtui.wire.node_calls import LogLine, LogLines, OutputLine, OutputLines

FAILOVER_S = 0.083
FIRST_WRITE_S = 0.013  # after the election
MOVE_S = 0.6


class Rehearsal(Stage):
    """A Backend of the console. `ran` lists the commands that were run."""

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

    def listen(self, tasks: Sequence[tuple[str, str]], *, anew: bool = True) -> None:
        known = () if anew else self.listened
        fresh = [task for task in tasks if task not in known]
        self.listened = list(tasks)
        for position, (node, task_id) in enumerate(fresh):
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
        return ("kill", "status", "service ls", "service scale")

    # ------------------------------------------------------------------------------------------------------- acts

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
                self.counted_down.clear()
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
        self._fault(verb, f"{verb} {name}", (name,))
        self.say_host()
        if verb != "pause":
            self.say(NodeLost(name, "connection refused", refused=True))
        began = self.now
        if led:
            self.elect([other for other in self.managers if other.lives and other.side == actor.side])
        if self.leader is not None and verb != "pause":
            self.now = began + MOVE_S
            self._move([name])
        self.say_marks()

    def count_down(self, *names: str) -> None:
        """The managers have not heard of these nodes for too long: they count as down, and their tasks run elsewhere too."""
        self.counted_down.update(names)
        self._move(names)

    def _move(self, nodes: Sequence[str]) -> None:
        """Place anew what ran on these nodes."""
        places = [
            other.name
            for other in self.actors.values()
            if other.lives and other.name not in self.drained and other.name not in nodes
        ]
        for position, task in enumerate(self._abandon(nodes)):
            self.place(task.service_name, task.slot, places[(position + 3) % len(places)], self.now - 0.1 * position)
        self.say_records()

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
        self.now += FIRST_WRITE_S
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
        self.counted_down.discard(name)
        self.faults = [fault for fault in self.faults if fault.nodes != (name,)]
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
        self._fault("partition", f"partition {' '.join(here)} / {' '.join(rest)}", list(self.actors))
        self.say_host()
        leader = self.leader
        if leader is not None and not self.holds_quorum(leader):
            for index in (leader.last + 1, leader.last + 2):  # written on the wrong side, never committed
                leader.log[index] = leader.term
            self.elect([actor for actor in self.managers if actor.lives and actor.side != leader.side])
        self.say_marks()
