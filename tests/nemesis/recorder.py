"""Clients of a real cluster that remember what they asked, when, and what they were told.

Every value and every created key is used once, so that whoever sees it says who wrote it. Half of what is asked goes to one
manager that was drawn (followers forward writes and confirm reads), the other half by the library's own routing.
"""

from __future__ import annotations

import random
from collections import Counter

import attrs
import trio

import swarmtui
from swarmtui.client.errors import ClientError, Conflict, Refused, Unknown
from swarmtui.objects.operations import Put, Remove, Transaction, Verdict
from swarmtui.objects.records import KeyValue
from swarmtui.sim.history import Ending, Kind, Operation
from swarmtui.wire.node_calls import Fate, GetKey, Outcome, Propose, Proposed, Records
from swarmtui.wire.rpc import FAILED_RULES

PATIENCE_S = 4.0  # of one operation; after it a write is unknown
THINK_S = 0.03  # mean, between two operations of one client
REFUSED_S = 0.1  # longer after a refusal: nobody gains by asking a cluster without a leader all the time
KINDS = (Kind.GET, Kind.GET, Kind.GET, Kind.PUT, Kind.PUT, Kind.CAS, Kind.CAS, Kind.DELETE)
CREATE_SHARE = 0.15  # of operations create a key of their own, which is never written again
CREATED = "created/"


@attrs.define
class Record:
    """Everything that was observed. `answered_at` are the moments at which a write was acknowledged."""

    history: list[Operation] = attrs.field(factory=list)
    counts: Counter[str] = attrs.field(factory=Counter)
    refusals: Counter[str] = attrs.field(factory=Counter)
    answered_at: list[float] = attrs.field(factory=list)
    refused_keys: set[str] = attrs.field(factory=set)  # created keys that must not exist

    def longest_gap_s(self) -> float:
        """The longest time without an acknowledged write."""
        return max((b - a for a, b in zip(self.answered_at, self.answered_at[1:], strict=False)), default=0.0)


class Client:
    """Asks one thing after another until cancelled. `seen`: the versions that its swaps expect."""

    def __init__(
        self, cluster: swarmtui.Cluster, record: Record, name: str, rng: random.Random, keys: list[str]
    ) -> None:
        self.cluster = cluster
        self.record = record
        self.name = name
        self.rng = rng
        self.keys = keys
        self.managers = [node.name for node in cluster.manifest.managers]
        self.turn = 0
        self.seen: dict[str, int] = {}

    async def run(self, until: trio.Event) -> None:
        while not until.is_set():
            refused = await self.once()
            await trio.sleep(REFUSED_S if refused else self.rng.expovariate(1 / THINK_S))

    async def once(self) -> bool:
        """One operation, from asking to its end. True if it was refused."""
        asked = self._next()
        manager = self.rng.choice(self.managers) if self.rng.random() < 0.5 else ""
        told: Operation | None = attrs.evolve(asked)  # unknown, unless something better is heard
        with trio.move_on_after(PATIENCE_S + 1.0):
            try:
                told = await (self._get(asked, manager) if asked.kind is Kind.GET else self._write(asked, manager))
            except Conflict as error:
                told = self._ended(asked, Ending.CONFLICT, version=error.found)
            except Unknown:
                pass
            except Refused as error:
                told = self._refused(asked, error.rule)
            except ClientError as error:
                told = self._refused(asked, type(error).__name__)
        if told is not None:
            self._remember(told)
        return told is None

    def _next(self) -> Operation:
        self.turn += 1
        kind, key = self.rng.choice(KINDS), self.rng.choice(self.keys)
        expected: int | None = None
        if self.rng.random() < CREATE_SHARE:
            kind, key, expected = Kind.CAS, f"{CREATED}{self.name}.{self.turn}", 0
        elif kind is Kind.CAS or (kind is Kind.DELETE and self.rng.random() < 0.5):
            expected = self.seen.get(key, 0)
            if kind is Kind.DELETE and not expected:
                expected = None
        value = f"{self.name}.{self.turn}".encode() if kind in (Kind.PUT, Kind.CAS) else None
        began = trio.current_time()
        return Operation(client=self.name, key=key, kind=kind, began=began, value=value, expected=expected)

    # ---- asking ----

    async def _get(self, asked: Operation, manager: str) -> Operation | None:
        if manager and self.turn % 2:
            answer = await self.cluster.ask(manager, GetKey(asked.key, timeout_s=PATIENCE_S), PATIENCE_S)
            if not isinstance(answer, Records) or answer.refused or answer.stale:
                return self._refused(asked, "read")
            found = next(iter(answer.records), None)
        else:
            found = await self.cluster.kv.get(asked.key, manager=manager)
        assert found is None or isinstance(found, KeyValue)
        return self._ended(
            asked,
            Ending.DONE,
            value=None if found is None else found.value,
            version=0 if found is None else found.version,
        )

    async def _write(self, asked: Operation, manager: str) -> Operation | None:
        transaction = transaction_of(asked)
        if not manager:
            result = await self.cluster.transact(transaction, timeout_s=PATIENCE_S)
            return self._ended(asked, Ending.DONE, version=result.index)
        answer = await self.cluster.ask(manager, Propose.of(transaction, timeout_s=PATIENCE_S), PATIENCE_S)
        assert isinstance(answer, Proposed)
        return self._outcome(asked, answer.outcomes[0])

    def _outcome(self, asked: Operation, outcome: Outcome) -> Operation | None:
        result = outcome.result
        if outcome.fate is Fate.UNKNOWN:
            return asked
        if outcome.fate is Fate.DONE and result is not None:
            return self._ended(asked, Ending.DONE, version=result.index)
        if result is not None and result.verdict is Verdict.CONFLICT:
            return self._ended(asked, Ending.CONFLICT, version=result.found)
        return self._refused(asked, outcome.rule)

    # ---- remembering ----

    def _ended(self, asked: Operation, ending: Ending, **told: object) -> Operation:
        return attrs.evolve(asked, ended=trio.current_time(), ending=ending, **told)

    def _refused(self, asked: Operation, rule: str) -> Operation | None:
        """None: certainly nothing was done."""
        if rule in FAILED_RULES and asked.kind is not Kind.GET:
            return asked
        if rule == Verdict.ABSENT:
            return self._ended(asked, Ending.ABSENT)
        self.record.refusals[rule] += 1
        if asked.key.startswith(CREATED):
            self.record.refused_keys.add(asked.key)
        return None

    def _remember(self, told: Operation) -> None:
        record = self.record
        record.counts[f"{told.kind} {told.ending}"] += 1
        if told.kind is Kind.GET and told.is_open:
            return
        record.history.append(told)
        if told.kind is not Kind.GET and told.ending is Ending.DONE:
            record.answered_at.append(told.ended)
        if told.version is not None:
            self.seen[told.key] = 0 if told.kind is Kind.DELETE else told.version


def transaction_of(asked: Operation) -> Transaction:
    if asked.kind is Kind.DELETE:
        return Transaction((Remove(KeyValue.TABLE, asked.key, version=asked.expected),))
    assert asked.value is not None
    return Transaction((Put(asked.key, asked.value, asked.expected),))
