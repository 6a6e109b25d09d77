"""What the leader has still to be told: a task's last status, until a report that held it is acknowledged.

Pure. Only the last status of a task matters (states rise), so what happened within one report's time is one status. On a
new session everything is told again.
"""

from __future__ import annotations

import attrs

from swarmtui.objects.records import TaskStatus
from swarmtui.objects.states import TaskState

STATUSES_PER_REPORT_MAX = 100  # a report becomes one transaction of the store
REPORTS_IN_FLIGHT_MAX = 2  # so that reports grow instead of multiplying when many tasks change at once
RESEND_S = 2.0


@attrs.define
class _Flight:
    sent_at: float
    statuses: dict[str, TaskStatus]


class Reports:
    def __init__(self) -> None:
        self.statuses: dict[str, TaskStatus] = {}
        """The last status of every task that is known here."""
        self._untold: dict[str, None] = {}  # in the order in which they changed
        self._flights: dict[int, _Flight] = {}
        self._serial = 0

    def put(self, task_id: str, status: TaskStatus) -> None:
        self.statuses[task_id] = status
        self._untold[task_id] = None

    def repeat(self, task_id: str) -> None:
        """Tell this one again: the leader does not seem to know it."""
        if task_id in self.statuses:
            self._untold[task_id] = None

    def forget(self, task_id: str) -> None:
        self.statuses.pop(task_id, None)
        self._untold.pop(task_id, None)

    def start_session(self) -> None:
        """Nothing that was told in an earlier session counts."""
        self._flights.clear()
        self._untold = dict.fromkeys(self.statuses)

    def next(self, now: float) -> tuple[int, tuple[tuple[str, TaskStatus], ...]] | None:
        """The next report to send: its serial and statuses. None if all is told, or enough is in flight."""
        if not self.waiting:
            return None
        chosen = list(self._untold)[:STATUSES_PER_REPORT_MAX]
        batch = {task_id: self.statuses[task_id] for task_id in chosen}
        for task_id in chosen:
            del self._untold[task_id]
        self._serial += 1
        self._flights[self._serial] = _Flight(now, batch)
        return self._serial, tuple(batch.items())

    def acknowledge(self, serial: int) -> None:
        self._flights.pop(serial, None)

    def expire(self, now: float) -> None:
        """Reports that were not acknowledged in time are told again, unless there is newer to tell anyway."""
        for serial in [serial for serial, flight in self._flights.items() if flight.sent_at + RESEND_S <= now]:
            for task_id, status in self._flights.pop(serial).statuses.items():
                if self.statuses.get(task_id) is status:
                    self._untold[task_id] = None

    @property
    def waiting(self) -> bool:
        """True when something could be told now."""
        return bool(self._untold) and len(self._flights) < REPORTS_IN_FLIGHT_MAX

    @property
    def urgent(self) -> bool:
        """True when there is news of a task that runs or has ended; the states on the way there can wait for it."""
        return any(self.statuses[task_id].state >= TaskState.RUNNING for task_id in self._untold)

    @property
    def settled(self) -> bool:
        """True when everything was told and acknowledged."""
        return not self._untold and not self._flights

    @property
    def expires_at(self) -> float | None:
        """When `expire` has something to do."""
        return min((flight.sent_at + RESEND_S for flight in self._flights.values()), default=None)
