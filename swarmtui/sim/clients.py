"""Simulated clients of `kv`: each asks one thing after another of any node, gives up after a while, and remembers it all.

A write goes to the node that the client talks to, which forwards it once to the leader that it knows; a read is confirmed
where it arrives, by ReadIndex, or some of them by the client itself (`attested`). Every value is written once, so that whoever reads it says who wrote it. Some clients open a
session and send a write again, as the same request, while nobody answers. What they were told is judged for linearizability
when the run ends (`swarmtui.sim.linearizability`): what was applied twice shows there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import attrs

from swarmtui.objects.operations import Put, Remove, Result, Transaction, Verdict
from swarmtui.objects.records import KeyValue
from swarmtui.raft.invariants import InvariantViolation
from swarmtui.sim import linearizability
from swarmtui.sim.attested import AttestedReads
from swarmtui.sim.explanation import explain
from swarmtui.sim.history import Ending, Kind, Operation
from swarmtui.sim.node import SimulatedNode
from swarmtui.wire.rules import NOT_LEADER

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster

WIRE_S = 0.0005  # mean, from a client to its node and back
REFUSED_S = 0.05  # after a refusal a client waits a little longer
RETRY_S = (0.03, 0.4)  # after which a client with a session sends its request again
LEADER_SHARE = 0.4  # of operations asked of whoever seems to lead, the rest of anybody
KINDS = (Kind.GET, Kind.GET, Kind.GET, Kind.PUT, Kind.PUT, Kind.CAS, Kind.CAS, Kind.DELETE)
ENDINGS = {Verdict.DONE: Ending.DONE, Verdict.CONFLICT: Ending.CONFLICT, Verdict.ABSENT: Ending.ABSENT}


class Clients:
    """All clients of one cluster, and the history of what they asked and heard."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.history: list[Operation] = []
        parameters = cluster.parameters
        self.keys = [f"key-{n}" for n in range(1, parameters.keys + 1)]
        self.all = [Client(self, f"c{n}") for n in range(1, parameters.clients + 1)]
        self.goes_on = True

    def begin(self) -> None:
        for client in self.all:
            client.think()

    def end(self) -> None:
        """Nothing new is asked; what is under way comes to its end."""
        self.goes_on = False

    def undecided(self) -> list[str]:
        return [client.name for client in self.all if client.asked is not None]

    def check(self) -> None:
        """The whole history, judged. Raises InvariantViolation with the explanation."""
        pair = linearizability.check_versions(self.history)
        if pair is not None:
            raise InvariantViolation("versions follow real time", first=pair[0], then=pair[1])
        for judgement in linearizability.judge(self.history):
            if judgement.verdict is linearizability.Verdict.VIOLATED:
                operations = [one for one in self.history if one.key == judgement.key]
                raise InvariantViolation("histories are linearizable", because=explain(operations))
            self.cluster.counts[f"histories {judgement.verdict}"] += 1


@attrs.define
class Session:
    """`since`: the highest log index that its client had seen when it drew the number."""

    number: int
    since: int
    serial: int = 0


class Client:
    """`asked` is the operation under way, numbered by `turn` so that a late answer finds nobody, and `copies` how often it
    was sent; `seen` the last version that this client was told of each key, which its swaps expect, `seen_index` the highest
    of all."""

    def __init__(self, clients: Clients, name: str) -> None:
        self.clients = clients
        self.cluster = clients.cluster
        self.name = name
        self.rng = random.Random(f"client {self.cluster.seed} {name}")
        self.asked: Operation | None = None
        self.turn = 0
        self.node: SimulatedNode | None = None  # that was asked
        self.copies = 0
        self.seen: dict[str, int] = {}
        self.seen_index = 1
        self.attested = AttestedReads(self.cluster.seed, name, self.cluster.parameters.attested)
        self.session = self._new_session() if self.rng.random() < self.cluster.parameters.sessions else None

    def _new_session(self) -> Session:
        return Session(self.rng.randrange(1, 1 << 62), self.seen_index)

    def think(self) -> None:
        parameters = self.cluster.parameters
        self.cluster.after(self.rng.expovariate(parameters.client_rate), self.ask)

    def ask(self) -> None:
        if self.clients.goes_on:
            self.begin(self.rng.choice(KINDS), self.rng.choice(self.clients.keys), self._node())

    def begin(self, kind: Kind, key: str, node: SimulatedNode) -> None:
        """Ask this of that node, and wait no longer than the client's patience."""
        self.turn, self.node = self.turn + 1, node
        expected: int | None = None
        if kind is Kind.CAS or (kind is Kind.DELETE and self.rng.random() < 0.5):
            expected = self.seen.get(key, 0)
            if kind is Kind.DELETE and not expected:
                expected = None
        self.asked = Operation(
            client=self.name,
            key=key,
            kind=kind,
            began=self.cluster.now,
            value=f"{self.name}.{self.turn}".encode() if kind in (Kind.PUT, Kind.CAS) else None,
            expected=expected,
        )
        self.cluster.note("", f"{self.name} asks {node.id}: {self.asked}", None)
        self.copies = 0
        if kind is Kind.GET and self.attested.wanted():
            self._read_attested(node, self.turn, self.asked)
        else:
            self._send(node, self.turn, self.asked, None if kind is Kind.GET else self._transaction(self.asked))
        patience_s = self.cluster.parameters.client_patience_s
        self.cluster.after(patience_s * self.rng.uniform(0.5, 1.5), self._give_up, self.turn)

    def _read_attested(self, node: SimulatedNode, turn: int, asked: Operation) -> None:
        """By asking a quorum; else as ever."""
        self.attested.begin(node, asked.key, partial(self._found, turn), partial(self._send, node, turn, asked, None))

    def _transaction(self, asked: Operation) -> Transaction:
        transaction, session = transaction_of(asked), self.session
        if session is None:
            return transaction
        session.serial += 1
        return attrs.evolve(
            transaction, session=session.number, serial=session.serial, lowest=session.serial, since=session.since
        )

    def _send(self, node: SimulatedNode, turn: int, asked: Operation, transaction: Transaction | None) -> None:
        """With a session: again and again, to anybody, until there is an answer."""
        if turn != self.turn or self.asked is None:
            return
        self.copies += 1
        self._travel(self._arrive, node, turn, asked, transaction)
        if self.session is not None and transaction is not None:
            self.cluster.after(self.rng.uniform(*RETRY_S), self._send_again, turn, asked, transaction)

    def _send_again(self, turn: int, asked: Operation, transaction: Transaction) -> None:
        self._send(self._node(), turn, asked, transaction)

    def _node(self) -> SimulatedNode:
        leader = self.cluster.leader
        if leader is not None and self.rng.random() < LEADER_SHARE:
            return leader
        return self.rng.choice(list(self.cluster.nodes.values()))

    def _travel(self, then: Callable[..., None], *arguments: object) -> None:
        self.cluster.after(self.rng.expovariate(1.0) * WIRE_S, then, *arguments)

    # ---- at the node ----

    def _arrive(self, node: SimulatedNode, turn: int, asked: Operation, transaction: Transaction | None) -> None:
        if node.core is None:
            self._travel(self._refused, turn, "nobody listens there")
        elif transaction is None:
            node.when_awake(lambda: node.desk.read(lambda why: self._read(node, turn, asked, why)))
        else:
            node.when_awake(lambda: self._write(node, turn, transaction, None))

    def _write(self, node: SimulatedNode, turn: int, transaction: Transaction, via: SimulatedNode | None) -> None:
        """At the leader it is proposed; elsewhere it goes, once, to the leader that is known there."""
        core = node.core
        if core is None:
            return
        leader = core.role.leader
        if leader == node.id:
            node.desk.write(transaction, lambda told: self._answered(node, turn, told, via))
        elif via is not None or leader not in self.cluster.nodes:
            self._answered(node, turn, NOT_LEADER, via)
        else:
            target = self.cluster.nodes[leader]
            self.cluster.carry(node, target, lambda: self._write(target, turn, transaction, node))

    def _answered(self, node: SimulatedNode, turn: int, told: Result | str, via: SimulatedNode | None) -> None:
        """The way back, through the node that forwarded it."""
        if via is None:
            self._travel(self._told, turn, told)
        else:
            self.cluster.carry(node, via, lambda: self._travel(self._told, turn, told))

    def _read(self, node: SimulatedNode, turn: int, asked: Operation, why: str) -> None:
        if why:
            self._travel(self._refused, turn, why)
        else:
            self._travel(self._found, turn, node.machine.read(asked.key))

    # ---- at the client ----

    def _told(self, turn: int, told: Result | str) -> None:
        if isinstance(told, str):
            self._refused(turn, told)
            return
        if turn != self.turn or self.asked is None:
            return
        self.seen_index = max(self.seen_index, told.index)
        if told.verdict is Verdict.EXPIRED and self.session is not None:
            self._expired(turn)
            return
        ending = ENDINGS.get(told.verdict)
        if ending is None:
            raise InvariantViolation("a client's write is done, in conflict or absent", told=told, asked=self.asked)
        version = told.index if ending is Ending.DONE else told.found if ending is Ending.CONFLICT else None
        self._ended(attrs.evolve(self.asked, ended=self.cluster.now, ending=ending, version=version))

    def _found(self, turn: int, record: KeyValue | None) -> None:
        if turn == self.turn and self.asked is not None:
            value, version = (record.value, record.version) if record is not None else (None, 0)
            self._ended(
                attrs.evolve(self.asked, ended=self.cluster.now, ending=Ending.DONE, value=value, version=version)
            )

    def _expired(self, turn: int) -> None:
        """Its session is forgotten. What was sent once was not applied, and is asked anew; of several copies another one may
        have been."""
        assert self.asked is not None
        self.cluster.counts["sessions expired"] += 1
        self.session = self._new_session()
        if self.copies == 1:
            self.copies = 0
            assert self.node is not None
            self._send(self.node, turn, self.asked, self._transaction(self.asked))
        else:
            self._ended(self.asked)

    def _refused(self, turn: int, why: str) -> None:
        """Certainly nothing was done, unless another copy is on its way: no part of the history."""
        if turn == self.turn and self.asked is not None and (self.copies == 1 or self.asked.kind is Kind.GET):
            self.cluster.note("", f"{self.name} is refused: {why}", None)
            self.cluster.counts["client refusals"] += 1
            self.asked = None
            self.cluster.after(REFUSED_S, self.think)

    def _give_up(self, turn: int) -> None:
        if turn == self.turn and self.asked is not None:
            self._ended(self.asked)

    def _ended(self, operation: Operation) -> None:
        self.asked = None
        self.cluster.note("", f"{self.name} was told: {operation}", None)
        self.cluster.counts[f"{operation.kind} {operation.ending}"] += 1
        if operation.kind is not Kind.GET or operation.ending is Ending.DONE:
            self.clients.history.append(operation)
        if operation.version is not None:
            self.seen_index = max(self.seen_index, operation.version)
            self.seen[operation.key] = 0 if operation.kind is Kind.DELETE else operation.version
        self.think()


def transaction_of(asked: Operation) -> Transaction:
    if asked.kind is Kind.DELETE:
        return Transaction((Remove(KeyValue.TABLE, asked.key, version=asked.expected),))
    assert asked.value is not None
    return Transaction((Put(asked.key, asked.value, asked.expected),))
