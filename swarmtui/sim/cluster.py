"""A whole cluster in virtual time: one queue of events, one seed, no threads.

First comes trouble, as the parameters say, with the observer's invariants at every step; then `healing`.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import attrs

from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.effects import Effect, Role
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import (
    CampaignAsked,
    Input,
    Received,
)
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.raft.messages import AnyMessage
from swarmtui.sim.clients import Clients
from swarmtui.sim.epoch import NewEpoch
from swarmtui.sim.healing import Healing
from swarmtui.sim.invariants import Observer
from swarmtui.sim.network import Parcel, SimulatedNetwork
from swarmtui.sim.node import SimulatedNode
from swarmtui.sim.parameters import DiskParameters, Parameters
from swarmtui.sim.scheduling import Scheduling
from swarmtui.sim.themes import parameters_of
from swarmtui.sim.trouble import Trouble

RECENT_LINES = 60  # of the trace, shown when something is violated
EVENTS_MAX = 250_000  # more than ten times what the busiest parameters need: beyond that messages beget messages


class SimulationFailure(Exception):
    """An invariant does not hold, or a healed cluster does not recover; carries the seed and the end of the trace."""

    def __init__(self, seed: int, now: float, reason: str, recent: list[str]) -> None:
        self.seed = seed
        self.reason = f"seed {seed} at {now:.6f}: {reason}"
        super().__init__(self.reason + "\n" + "\n".join(recent))


@attrs.frozen
class Outcome:
    """What happened in a run: the same for the same seed."""

    seed: int
    simulated_s: float
    events: int
    term: int
    committed: int
    digest: int
    counts: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in self.counts)
        return (
            f"seed {self.seed}: {self.simulated_s:.1f} s, {self.events} events, term {self.term}, "
            f"{self.committed} committed, state {self.digest:08x}; {counts}"
        )


class SimulatedCluster:
    """`now` is the simulated time in seconds; `say`, if given, gets every line of the trace."""

    def __init__(
        self, seed: int, parameters: Parameters | None = None, say: Callable[[str], None] | None = None
    ) -> None:
        self.seed = seed
        self.parameters = parameters or parameters_of(seed)
        self.say = say
        self.now = 0.0
        self.rng = random.Random(f"cluster {seed}")
        self.network = SimulatedNetwork(self.parameters.network, random.Random(f"network {seed}"))
        self.disk_parameters: DiskParameters = self.parameters.disk
        self.events = 0
        self.messages = 0  # of the consensus, sent, but for what those who are out say to one another
        self.echoes_until = 0.0  # when the last old message comes once more
        self.counts: Counter[str] = Counter()
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._recent: deque[tuple[float, SimulatedNode | None, str, Input | Effect | None]] = deque(maxlen=RECENT_LINES)
        members = Configuration(
            tuple(Member(f"n{i}", f"n{i}", f"sim:{i}") for i in range(1, self.parameters.nodes + 1))
        )
        genesis = Entry(1, 1, EntryKind.CONFIGURATION, encode_configuration(members))
        self.nodes = {member.id: SimulatedNode(self, member.id, members, genesis) for member in members.voters}
        self.observer = Observer(self.nodes)
        self.trouble = Trouble(self)
        self.clients = Clients(self)
        self.scheduling = Scheduling(self)
        self.healing = Healing(self)
        self.lookers: list[Callable[[SimulatedNode], None]] = []  # told whenever something happened at a node
        if self.parameters.services:
            self.lookers.append(self.scheduling.turn)
        if self.parameters.ambushes:
            self.lookers.append(self.trouble.ambush.look)

    # ---- time ----

    def at(self, time: float, action: Callable[..., None], *arguments: Any) -> None:
        self._order += 1
        heapq.heappush(self._queue, (time, self._order, action, arguments))

    def after(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        self.at(self.now + delay, action, *arguments)

    def run_until(self, end: float, done: Callable[[], bool] | None = None) -> bool:
        """Let time pass; True if `done` came true (it is asked after every event)."""
        queue = self._queue
        while queue and queue[0][0] <= end:
            time, _, action, arguments = heapq.heappop(queue)
            if time > self.now:
                self.now = time
            self.events += 1
            action(*arguments)
            if done is not None and done():
                return True
            if self.events > EVENTS_MAX:
                raise InvariantViolation("a run has a bounded number of events", events=self.events)
        self.now = end
        return False

    # ---- a run ----

    def run(self) -> Outcome:
        """The whole life of this cluster. Raises SimulationFailure."""
        try:
            self.begin()
            self.run_until(self.parameters.duration_s)
            self.healing.heal()
            self.scheduling.settle()
            self.healing.recover()
            self.healing.stay_whole()
            self.healing.serve_everybody()
            self.clients.check()
            if self.parameters.loses_majority:
                NewEpoch(self).begin_anew()
        except Exception as error:
            raise SimulationFailure(self.seed, self.now, f"{type(error).__name__}: {error}", self.recent()) from error
        return self.outcome()

    def begin(self) -> None:
        """Start everybody, ask the first manager to campaign, and let clients and trouble begin."""
        for node in list(self.nodes.values()):
            node.start()
        first = next(iter(self.nodes.values()))
        first.feed(CampaignAsked())
        self.trouble.begin()
        self.clients.begin()
        self.scheduling.begin()

    def outcome(self) -> Outcome:
        last = self.observer.last
        return Outcome(
            seed=self.seed,
            simulated_s=self.now,
            events=self.events,
            term=max((node.core.term for node in self.nodes.values() if node.core), default=0),
            committed=last,
            digest=self.observer.committed[last].digest if last else 0,
            counts=tuple(sorted(self.counts.items())),
        )

    @property
    def leader(self) -> SimulatedNode | None:
        """Who leads in the highest term."""
        leading = [node for node in self.nodes.values() if node.core and node.core.role.kind is Role.LEADER]
        return max(leading, key=lambda node: node.core.term if node.core else 0, default=None)

    def add_node(self, introduction: Configuration) -> SimulatedNode:
        """A machine that is no member yet, not started, with an empty log."""
        id = f"n{len(self.nodes) + 1}"
        node = self.nodes[id] = SimulatedNode(self, id, introduction, None)
        self.counts["nodes added"] += 1
        return node

    # ---- the network ----

    def transmit(self, node: SimulatedNode, message: AnyMessage) -> None:
        if not {node.id, message.target} <= self.observer.removed:
            self.messages += 1
        self.observer.sends(node, message)
        network, target = self.network, self.nodes.get(message.target)
        if target is None:
            return  # its seat was taken before its host has made it
        parcel = network.pack(message)
        for at in network.arrivals(node.id, message.target, self.now):
            self.at(at, self._deliver, target, parcel)
        again_at = network.replayed_at(self.now)
        if again_at is not None:
            self.echoes_until = max(self.echoes_until, again_at)
            self.at(again_at, self._deliver_again, target, message)

    def carry(self, source: SimulatedNode, target: SimulatedNode, arrive: Callable[[], None]) -> None:
        """Something that is no message of the consensus, over the same network: once at most, as over one connection, and
        never to a later life."""
        for at in self.network.arrivals(source.id, target.id, self.now)[:1]:
            self.at(at, self.hand_over, target, target.life, arrive)

    @staticmethod
    def hand_over(target: SimulatedNode, life: int, arrive: Callable[[], None]) -> None:
        """Unless the target has died since."""
        if target.core is not None and target.life == life:
            target.when_awake(arrive)

    def _deliver(self, target: SimulatedNode, parcel: Parcel) -> None:
        if target.core is None:
            return
        if parcel.connection == self.network.connections[parcel.path]:
            target.feed(Received(parcel.unpack()))
        else:
            parcel.tear(self.rng)

    def _deliver_again(self, target: SimulatedNode, message: AnyMessage) -> None:
        """What is answered to it at once is not counted: nobody meant to send it."""
        if target.core is not None:
            sent = self.messages
            target.feed(Received(message))
            self.messages = sent

    def sync_time(self) -> float:
        disk = self.disk_parameters
        if disk.stall_chance and self.rng.random() < disk.stall_chance:
            return self.rng.uniform(0, disk.stall_max_s)
        return disk.sync_min_s + self.rng.expovariate(1.0) * disk.sync_mean_s

    # ---- the trace ----

    def note(self, id: str, mark: str, what: Input | Effect | None) -> None:
        node = self.nodes.get(id)
        self._recent.append((self.now, node, mark, what))
        if self.say is not None:
            self.say(self._line(self.now, node, mark, what))

    @staticmethod
    def _line(time: float, node: SimulatedNode | None, mark: str, what: Input | Effect | None) -> str:
        return f"{time:11.6f} {node.id} {node.line(mark, what)}" if node is not None else f"{time:11.6f} -- {mark}"

    def recent(self) -> list[str]:
        return [self._line(*item) for item in self._recent]
