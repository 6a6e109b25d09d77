"""A whole cluster in virtual time: one queue of events, one seed, no threads.

First comes trouble, as the parameters say, with the observer's invariants at every step; then everything is healed, and
within a bounded time the cluster must be whole again: a leader, a new write applied everywhere, equal states.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from collections.abc import Callable
from itertools import combinations
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
from swarmtui.sim.history import Ending, Kind
from swarmtui.sim.invariants import Observer
from swarmtui.sim.network import Parcel, SimulatedNetwork
from swarmtui.sim.node import SimulatedNode
from swarmtui.sim.parameters import DiskParameters, Parameters, draw_parameters
from swarmtui.sim.trouble import Trouble

RECENT_LINES = 60  # of the trace, shown when something is violated
HEALING_TIMEOUTS = 40  # election timeouts (and no less than `HEALING_S`) within which a healed cluster is whole
HEALING_S = 10.0
STEADY_TIMEOUTS = 3  # election timeouts that a healed cluster is watched
MESSAGES_PER_HEARTBEAT = 2  # the message and its answer, of each follower
MESSAGES_ELSE_MAX = 20  # while that is watched
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
        self.parameters = parameters or draw_parameters(seed)
        self.say = say
        self.now = 0.0
        self.rng = random.Random(f"cluster {seed}")
        self.network = SimulatedNetwork(self.parameters.network, random.Random(f"network {seed}"))
        self.disk_parameters: DiskParameters = self.parameters.disk
        self.events = 0
        self.messages = 0  # of the consensus, sent
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
            self.now = max(self.now, time)
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
            self._heal()
            self._recover()
            self._serve_everybody()
            self.clients.check()
        except Exception as error:
            raise SimulationFailure(self.seed, self.now, f"{type(error).__name__}: {error}", self.recent()) from error
        return self.outcome()

    def begin(self) -> None:
        """Start everybody, ask the first manager to campaign, and let clients and trouble begin."""
        for node in self.nodes.values():
            node.start()
        first = next(iter(self.nodes.values()))
        first.feed(CampaignAsked())
        self.trouble.begin()
        self.clients.begin()

    def outcome(self) -> Outcome:
        last = len(self.observer.committed)
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

    @property
    def usable(self) -> list[SimulatedNode]:
        """Those that did not lose their disk for good."""
        return [node for node in self.nodes.values() if not node.lost]

    # ---- the network ----

    def transmit(self, node: SimulatedNode, message: AnyMessage) -> None:
        self.messages += 1
        self.observer.sends(node, message)
        network, target = self.network, self.nodes[message.target]
        parcel = network.pack(message)
        for at in network.arrivals(node.id, message.target, self.now):
            self.at(at, self._deliver, target, parcel)
        again_at = network.replayed_at(self.now)
        if again_at is not None:
            self.at(again_at, self._deliver_again, target, message)

    def carry(self, source: SimulatedNode, target: SimulatedNode, arrive: Callable[[], None]) -> None:
        """Something that is no message of the consensus, over the same network: once at most, as over one connection, and
        never to a later life."""
        for at in self.network.arrivals(source.id, target.id, self.now)[:1]:
            self.at(at, self._hand_over, target, target.life, arrive)

    @staticmethod
    def _hand_over(target: SimulatedNode, life: int, arrive: Callable[[], None]) -> None:
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
        if target.core is not None:
            target.feed(Received(message))

    def sync_time(self) -> float:
        disk = self.disk_parameters
        if disk.stall_chance and self.rng.random() < disk.stall_chance:
            return self.rng.uniform(0, disk.stall_max_s)
        return disk.sync_min_s + self.rng.expovariate(1.0) * disk.sync_mean_s

    # ---- healing ----

    def _heal(self) -> None:
        """All trouble ends for good: every node runs, every path is open, every disk is well."""
        self.note("", "heal", None)
        self.trouble.end()
        self.clients.end()
        self.network.heal()
        self.disk_parameters = DiskParameters()
        self.parameters = attrs.evolve(
            self.parameters, tick_late_s=0.0, batching=0.0, apply_late_s=0.0, clock_drift=0.0
        )
        for node in self.nodes.values():
            node.effects_left = 0
            if node.hung:
                self.trouble.power.crash(node)
            if node.core is not None:
                node.mend_clock()
                if node.paused_until is not None:
                    node.resume()
            elif not node.lost:
                node.start()
        for one, other in combinations(self.nodes.values(), 2):
            self.trouble.links.connect(one, other)

    def _recover(self) -> None:
        """Liveness: within a bounded time there is a leader, a new write is applied everywhere, and all states agree."""
        limit = self.now + max(HEALING_S, HEALING_TIMEOUTS * self.parameters.options.election_timeout_s)
        target, term = 0, 0
        while self.now < limit:
            self.run_until(self.now + self.parameters.options.election_timeout_s / 4)
            leader = self.leader
            if leader is None or leader.core is None:
                continue
            if leader.core.term != term:  # another leader may have overwritten the last attempt
                target, term = 0, leader.core.term
            if not target:
                committed = len(self.observer.committed)
                leader.desk.propose((b"after healing",))
                if leader.core.log.last > committed:
                    target = leader.core.log.last
            elif self._is_whole(target):
                self._stay_whole()
                return
        raise InvariantViolation("a healed cluster recovers", within_s=limit - self.parameters.duration_s)

    def _stay_whole(self) -> None:
        """Nothing more happens by itself: once what was asked before has come to its end (a transfer of leadership may), the
        leader stays, and only heartbeats are sent."""
        options = self.parameters.options
        seconds = STEADY_TIMEOUTS * options.election_timeout_s
        self.run_until(self.now + 2 * self.parameters.client_patience_s, lambda: not self.clients.undecided())
        self.run_until(self.now + seconds)
        leader, sent = self.leader, self.messages
        term = leader.core.term if leader is not None and leader.core is not None else 0
        self.run_until(self.now + seconds)
        if leader is None or self.leader is not leader or leader.core is None or leader.core.term != term:
            raise InvariantViolation("a healed cluster keeps its leader", leader=leader and leader.id, term=term)
        heartbeats = (seconds / options.heartbeat_s + 2) * (len(self.nodes) - 1)
        if self.messages - sent > MESSAGES_PER_HEARTBEAT * heartbeats + MESSAGES_ELSE_MAX:
            raise InvariantViolation("a healed cluster is quiet", sent=self.messages - sent, heartbeats=heartbeats)

    def _serve_everybody(self) -> None:
        """Liveness of clients: whatever was under way has ended, and each is served at once again, by any node."""
        patience_s = 2 * self.parameters.client_patience_s
        clients = self.clients
        for number, client in enumerate(clients.all):
            node = self.usable[number % len(self.usable)]
            asked = len(clients.history)
            client.begin(Kind.GET if number % 2 else Kind.PUT, clients.keys[number % len(clients.keys)], node)
            self.run_until(self.now + patience_s, lambda: not clients.undecided())
            if [one.ending for one in clients.history[asked:]] != [Ending.DONE]:
                raise InvariantViolation("a healed cluster serves every client", client=client.name, by=node.id)

    def _is_whole(self, target: int) -> bool:
        cores = [node.core for node in self.usable]
        if any(core is None or core.applied < target or core.log.commit != core.log.last for core in cores):
            return False
        for node in self.usable:
            self.observer.snapshots(node)
        return len({node.machine.index for node in self.usable}) == 1

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
