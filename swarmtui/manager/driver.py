"""Steps one reconciler: merges what it decides into transactions and tells it what became of them.

Decisions are independent of each other, so they may share a transaction for speed: one round for the fifty services that
a dead node held. If a shared transaction is not done, one of them was out of date; each of them is then looked at again
and travels alone, so that one stubborn decision never holds up the others.
"""

from __future__ import annotations

import attrs

from swarmtui.manager.reconciler import Decision, Loop, Moment, Narration
from swarmtui.manager.sizes import TRANSACTION_WEIGHT_MAX, weight
from swarmtui.objects.operations import OPERATIONS_MAX, Operation, Require, Transaction, Verdict

IN_FLIGHT_MAX = 16
"""Transactions of one reconciler without a result; natural batching does the rest."""


@attrs.frozen(eq=False)
class Batch:
    """One transaction on its way and the decisions in it."""

    driver: Driver
    decisions: tuple[Decision, ...]
    transaction: Transaction


class Driver:
    def __init__(self, reconciler: Loop) -> None:
        self.reconciler = reconciler
        self.tables = reconciler.tables
        self._in_flight = 0
        self._alone: set[str] = set()

    @property
    def deadline(self) -> float | None:
        return self.reconciler.deadline if self._in_flight < IN_FLIGHT_MAX else None

    def step(self, moment: Moment) -> list[Batch]:
        """What to propose now."""
        if self._in_flight >= IN_FLIGHT_MAX:
            return []  # what is dirty stays dirty; a result will bring us back
        decisions = self.reconciler.step(moment)
        batches = [
            Batch(self, tuple(group), Transaction(operations=_operations(group))) for group in self._group(decisions)
        ]
        self._in_flight += len(batches)
        return batches

    def settled(self, batch: Batch, verdict: Verdict | None, moment: Moment) -> list[Narration]:
        """`verdict` None: refused, or unknown and since decided. Returns what is to be told."""
        self._in_flight -= 1
        done = verdict is Verdict.DONE
        says: list[Narration] = []
        for decision in batch.decisions:
            self._alone.difference_update(decision.keys)
            if done:
                says.extend(decision.says)
            elif len(batch.decisions) > 1:
                self._alone.update(decision.keys)
            self.reconciler.settled(decision, verdict, moment)
        return says

    def _group(self, decisions: list[Decision]) -> list[list[Decision]]:
        groups: list[list[Decision]] = []
        open_group: list[Decision] = []
        operations = load = 0
        for decision in decisions:
            if decision.alone or not self._alone.isdisjoint(decision.keys):
                groups.append([decision])
                continue
            own_load = sum(map(weight, decision.operations))
            count = len(decision.operations)
            if open_group and (operations + count > OPERATIONS_MAX or load + own_load > TRANSACTION_WEIGHT_MAX):
                groups.append(open_group)
                open_group, operations, load = [], 0, 0
            open_group.append(decision)
            operations += count
            load += own_load
        if open_group:
            groups.append(open_group)
        return groups


def _operations(decisions: list[Decision]) -> tuple[Operation, ...]:
    """All operations in order, every guard only once."""
    guards: set[Require] = set()
    operations: list[Operation] = []
    for decision in decisions:
        for operation in decision.operations:
            if isinstance(operation, Require):
                if operation in guards:
                    continue
                guards.add(operation)
            operations.append(operation)
    return tuple(operations)
