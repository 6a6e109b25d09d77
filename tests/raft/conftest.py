"""Helpers of the raft tests: a cluster of cores in one process, with a perfect network and disk unless told otherwise."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from swarmtui.raft.changes import Change
from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import Accepted, Apply, Effect, HardState, Refused, Send, Write
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import Applied, Input, MembersAsked, Received, Tick, Written
from swarmtui.raft.log import Restored
from swarmtui.raft.options import RaftOptions

CLUSTER = "c"


def configuration(count: int) -> Configuration:
    return Configuration(tuple(Member(f"n{i}", f"n{i}", f"127.0.0.1:{7100 + i}") for i in range(1, count + 1)))


def genesis(members: Configuration) -> Restored:
    entry = Entry(1, 1, EntryKind.CONFIGURATION, encode_configuration(members))
    return Restored(HardState(1, "", 1), None, members, (entry,))


class Trio:
    """Cores n1..nN that answer one another at once; `run` lets time pass up to the next deadline or a given moment."""

    def __init__(self, count: int = 3, seed: int = 1, options: RaftOptions | None = None) -> None:
        self.now = 0.0
        self.random = random.Random(seed)
        self.options = options or RaftOptions()
        members = configuration(count)
        self.cores = {member.id: self.make(member.id, genesis(members)) for member in members.voters}
        self.applied: dict[str, list[Entry]] = {id: [] for id in self.cores}
        self.effects: dict[str, list[Effect]] = {id: [] for id in self.cores}
        self.cut: set[tuple[str, str]] = set()
        self.down: set[str] = set()

    def make(self, id: str, restored: Restored) -> RaftCore:
        return RaftCore(
            node_id=id,
            cluster=CLUSTER,
            options=self.options,
            restored=restored,
            draw=self.random.random,
            now=self.now,
        )

    def feed(self, id: str, event: Input) -> None:
        """Feed one node and carry out everything that follows, to the end."""
        self.cores[id].feed(event, self.now)
        self.settle()

    def settle(self) -> None:
        busy = True
        while busy:
            busy = False
            for id, core in self.cores.items():
                if id in self.down:
                    continue
                for effect in core.drain():
                    busy = True
                    self.effects[id].append(effect)
                    self.carry_out(id, effect)

    def carry_out(self, id: str, effect: Effect) -> None:
        core = self.cores[id]
        if isinstance(effect, Send):
            target = effect.message.target
            if target in self.cores and target not in self.down and (id, target) not in self.cut:
                self.cores[target].feed(Received(effect.message), self.now)
        elif isinstance(effect, Write):
            core.feed(Written(effect.sequence), self.now)
        elif isinstance(effect, Apply):
            self.applied[id].extend(effect.entries)
            core.feed(Applied(effect.entries[-1].index), self.now)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = self.now + seconds
        while not until():
            due = {id: core.deadline for id, core in self.cores.items() if id not in self.down}
            id = min(due, key=lambda id: due[id] if due[id] is not None else end)
            at = due[id]
            if at is None or at > end:
                self.now = end
                return
            self.now = max(self.now, at)
            self.feed(id, Tick())

    def ask(self, *changes: Change, ticket: int = 99) -> Accepted | Refused:
        """Ask the leader for these changes of members; its answer."""
        leader = self.leader
        before = len(self.effects[leader])
        self.feed(leader, MembersAsked(ticket, self.cores[leader].term, changes))
        return next(e for e in self.effects[leader][before:] if isinstance(e, Accepted | Refused))

    def join(self, member: Member) -> None:
        """Start a node that knows the cluster's members, and nothing of its log."""
        known = next(iter(self.cores.values())).members.current
        self.applied[member.id], self.effects[member.id] = [], []
        self.cores[member.id] = self.make(member.id, Restored(HardState(), None, known))

    def isolate(self, *ids: str) -> None:
        """Cut these off from all others, both ways."""
        self.cut = {(a, b) for a in self.cores for b in self.cores if (a in ids) != (b in ids)}

    def voters(self, id: str) -> str:
        """Who votes as this node knows it: `n1 n2`, or `n1 n2 / n2 n3` while joint."""
        current = self.cores[id].members.current
        halves = (current.voters, current.outgoing) if current.outgoing else (current.voters,)
        return " / ".join(" ".join(member.id for member in half) for half in halves)

    def told(self, id: str, kind: type) -> list[Any]:
        """The effects of one kind that this node has emitted."""
        return [effect for effect in self.effects[id] if isinstance(effect, kind)]

    @property
    def leader(self) -> str:
        leading = [id for id, core in self.cores.items() if core.role.kind == "leader" and id not in self.down]
        return max(leading, key=lambda id: self.cores[id].term, default="")

    def elect(self) -> str:
        self.run(10, until=lambda: bool(self.leader))
        assert self.leader
        return self.leader


@pytest.fixture
def trio() -> Trio:
    return Trio()


@pytest.fixture
def make_cluster() -> Callable[..., Trio]:
    return Trio
