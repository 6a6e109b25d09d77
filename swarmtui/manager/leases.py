"""Ends leases that were not renewed (keys that vanish with their holder: locks).

A lease that was not renewed for its `ttl_s` is removed, by the version that was seen: a renewal that came first wins. The
entry decides, alike on every replica. When to propose it the leader measures on its own monotonic clock, from when it saw
the last renewal; a new leader, one that slept, and one that is shutting the cluster down give each lease its whole time
again. So a lease ends late at worst, never early, and its holder, who counts from when it *asked* for the renewal, knows
of the end before anybody else can.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from swarmtui.manager.reconciler import Decision, Moment, Narration, Reconciler
from swarmtui.manager.shutdown import is_shutting_down
from swarmtui.manager.silence import SilenceClock
from swarmtui.objects.operations import Remove
from swarmtui.objects.records import Lease
from swarmtui.store import Change, Store


class LeaseKeeper(Reconciler):
    """Keys are ids of leases."""

    name: ClassVar[str] = "leases"
    tables: ClassVar[frozenset[str]] = frozenset({Lease.TABLE})

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        super().__init__(store, new_id)
        self._silence = SilenceClock()
        self._silent: dict[str, float] = {}  # whose time is over, and since when nothing was heard, in seconds

    def notice(self, change: Change, moment: Moment) -> None:
        if isinstance(change.after, Lease):
            self._listen(change.after, moment)
        else:
            self._silence.forget(change.id)
            self._silent.pop(change.id, None)

    def look_at_everything(self, moment: Moment) -> None:
        for lease in self.store.all(Lease):
            self._listen(lease, moment)

    def _listen(self, lease: Lease, moment: Moment) -> None:
        self._silent.pop(lease.id, None)
        self._silence.listen(lease.id, moment.now, lease.ttl_s)

    def gap(self, now: float) -> None:
        """This node slept: every lease has its whole time again."""
        self._silence.gap(now)

    def step(self, moment: Moment) -> list[Decision]:
        deadline = self._silence.deadline
        if deadline is not None and deadline <= moment.now and is_shutting_down(self.store):
            self._silence.gap(moment.now)
        for id, silent_s in self._silence.expired(moment.now):
            self._silent[id] = silent_s
            self.mark([id])
        return super().step(moment)

    @property
    def deadline(self) -> float | None:
        times = [when for when in (super().deadline, self._silence.deadline) if when is not None]
        return min(times, default=None)

    def decide(self, key: str, moment: Moment) -> Decision | None:
        lease, silent_s = self.store.get(Lease, key), self._silent.get(key)
        if lease is None or silent_s is None:
            return None
        text = f"lease of {lease.name} ended: not renewed for {silent_s:.1f} s"
        says = (Narration("lock", text, object=lease.id),)
        return Decision((key,), (Remove(Lease.TABLE, key, version=lease.version),), says)
