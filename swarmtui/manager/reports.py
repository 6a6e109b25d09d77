"""What agents report about their tasks, on its way into the store.

Reports of all nodes are gathered and written by one transaction every few milliseconds; while one is on its way the next
fills. A report is acknowledged when everything in it is in the store, or needs not be: only a task's own node may report
on it, only from ACCEPTED to REJECTED, and what the store knows better is skipped (the store's `advance` would skip it too).
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from swarmtui.manager.leadership import SessionKey
from swarmtui.manager.reconciler import Decision, Loop, Moment
from swarmtui.manager.shutdown import as_ordered, is_shutting_down
from swarmtui.objects.dispatch import StatusReport
from swarmtui.objects.operations import OPERATIONS_MAX, Advance, Verdict
from swarmtui.objects.records import Task, TaskStatus
from swarmtui.objects.states import TaskState
from swarmtui.store import Change, Store

GATHER_S = 0.004
"""Between two transactions of reports; the first one after a pause goes at once."""

BATCHES_IN_FLIGHT_MAX = 2
RETRY_S = 0.1  # after a refusal: there is no quorum, or the disk is full
TEXT_LENGTH_MAX = 1000  # characters of a status' message and of its error


@attrs.define(eq=False)
class _Receipt:
    """One report: how many of its statuses are still undecided."""

    key: SessionKey
    serial: int
    open: int


@attrs.define(eq=False)
class _Waiting:
    """The best news of one task, and all the reports that wait for it to be written."""

    status: TaskStatus
    receipts: list[_Receipt]


class Reports(Loop):
    """One key a batch, `batch|n`; what it holds is in `_flying`. Unlike its siblings it watches nothing."""

    name: ClassVar[str] = "reports"
    tables: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, store: Store) -> None:
        super().__init__(store, lambda: "")
        self._waiting: dict[str, _Waiting] = {}
        self._flying: dict[str, dict[str, _Waiting]] = {}
        self._batches = 0
        self._not_before = 0.0
        self._alone = False  # the last batch was malformed: one task at a time finds out which
        self.received: list[tuple[SessionKey, int]] = []
        """Reports to acknowledge; whoever sends takes them."""

    def notice(self, change: Change, moment: Moment) -> None:
        """Watches nothing: reports come from agents."""

    def look_at_everything(self, moment: Moment) -> None:
        """Nothing in the store asks for a report."""

    def take_in(self, key: SessionKey, report: StatusReport) -> None:
        """A report of a session's node."""
        receipt = _Receipt(key, report.serial, 1)
        ordered = is_shutting_down(self.store)
        for task_id, reported in report.statuses:
            status = as_ordered(reported) if ordered else reported
            if not self._is_news(task_id, status, key.node_id):
                continue
            receipt.open += 1
            known = self._waiting.get(task_id)
            if known is None:
                self._waiting[task_id] = _Waiting(_clipped(status), [receipt])
            else:
                known.receipts.append(receipt)
                if _is_later(status, known.status):
                    known.status = _clipped(status)
        self._close(receipt)

    def _is_news(self, task_id: str, status: TaskStatus, node_id: str) -> bool:
        task = self.store.get(Task, task_id)
        if task is None or task.node_id != node_id:
            return False
        if not TaskState.ACCEPTED <= status.state <= TaskState.REJECTED:
            return False
        return _is_later(status, task.status)

    def _close(self, receipt: _Receipt) -> None:
        receipt.open -= 1
        if receipt.open == 0:
            self.received.append((receipt.key, receipt.serial))

    @property
    def deadline(self) -> float | None:
        if not self._waiting or len(self._flying) >= BATCHES_IN_FLIGHT_MAX:
            return None
        return self._not_before

    def step(self, moment: Moment) -> list[Decision]:
        decisions: list[Decision] = []
        while self._waiting and len(self._flying) < BATCHES_IN_FLIGHT_MAX and moment.now >= self._not_before:
            batch = self._take(1 if self._alone else OPERATIONS_MAX)
            if not batch:
                continue
            self._batches += 1
            key = f"batch|{self._batches}"
            self._flying[key] = batch
            operations = tuple(Advance(task_id, status=waiting.status) for task_id, waiting in batch.items())
            decisions.append(Decision((key,), operations, alone=True))
        if decisions:
            self._not_before = moment.now + GATHER_S
        return decisions

    def _take(self, count: int) -> dict[str, _Waiting]:
        """The next batch: what is still news. What is not any more counts as written."""
        batch: dict[str, _Waiting] = {}
        while self._waiting and len(batch) < count:
            task_id = next(iter(self._waiting))
            waiting = self._waiting.pop(task_id)
            task = self.store.get(Task, task_id)
            if task is not None and _is_later(waiting.status, task.status):
                batch[task_id] = waiting
            else:
                self._written(waiting)
        return batch

    def _written(self, waiting: _Waiting) -> None:
        for receipt in waiting.receipts:
            self._close(receipt)

    def settled(self, decision: Decision, verdict: Verdict | None, moment: Moment) -> None:
        """A batch that was not done goes back in the queue, where `_take` compares it with the store again."""
        batch = self._flying.pop(decision.keys[0])
        if verdict is Verdict.DONE or (verdict is Verdict.INVALID and len(batch) == 1):
            self._alone = self._alone and bool(self._waiting) and verdict is Verdict.INVALID
            for waiting in batch.values():
                self._written(waiting)  # or never to be: one that is malformed must not come back for ever
            return
        self._alone = verdict is Verdict.INVALID
        self._not_before = moment.now + (GATHER_S if verdict is not None else RETRY_S)
        for task_id, waiting in batch.items():
            newer = self._waiting.get(task_id)
            if newer is None:
                self._waiting[task_id] = waiting
                continue
            newer.receipts += waiting.receipts
            if _is_later(waiting.status, newer.status):
                newer.status = waiting.status


def _is_later(status: TaskStatus, than: TaskStatus) -> bool:
    """As the store's `advance` judges it."""
    return status.state > than.state or (status.state == than.state and status.timestamp > than.timestamp)


def _clipped(status: TaskStatus) -> TaskStatus:
    if len(status.message) <= TEXT_LENGTH_MAX and len(status.error) <= TEXT_LENGTH_MAX:
        return status
    return attrs.evolve(status, message=status.message[:TEXT_LENGTH_MAX], error=status.error[-TEXT_LENGTH_MAX:])
