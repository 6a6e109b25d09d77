"""Reads of single keys, those of one moment together: a thousand tasks that read cost a thousand rows and a few calls.

The usual read is asked of a manager to which there is a connection, is confirmed by it and answered at once; no task waits
for the answer but those who want it. Everything else takes a task of its own; and where nobody answers, or nobody leads,
each key goes its own long way (`Cluster.read`), which asks the others as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.client.errors import ClientError
from swarmtui.client.links import Link
from swarmtui.client.together import Together
from swarmtui.objects.records import KeyValue
from swarmtui.wire.calls import Answer
from swarmtui.wire.key_calls import KEYS_TOGETHER_MAX, GetKeys, KeyRow, KeyRows
from swarmtui.wire.rpc import CallFailed

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

PATIENCE_S = 2.0  # with the one manager; the long way has its own
KEYS_EARLY = 50  # leave at once while no call is under way: the manager's work begins before all have asked


class Untold(Exception):
    """No manager that was asked could tell."""


@attrs.define(eq=False)
class _Lookup:
    """One key that a task waits for. `found` says whether `row` tells what there is."""

    key: str
    task: trio.lowlevel.Task | None = None  # that waits for it, parked
    abandoned: bool = False
    settled: bool = False
    found: bool = False
    row: KeyRow | None = None

    def abandon(self, _: object) -> trio.lowlevel.Abort:
        """Whoever waits for it was cancelled."""
        self.task, self.abandoned = None, True
        return trio.lowlevel.Abort.SUCCEEDED


@attrs.define(eq=False)
class _Asked:
    """One call that is under way and for whose answer no task waits. An object, not two functions that know each other:
    those would be a cycle, left to the garbage collector with every read."""

    lookups: Lookups
    together: Together[_Lookup]
    items: list[_Lookup]
    overdue_at: float

    def heard(self, answer: Answer | CallFailed | None) -> None:
        self.lookups.heard(self, answer)


class Lookups:
    """The reading side of one `Cluster`, for keys."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._together: dict[str, Together[_Lookup]] = {}  # by the manager to ask, "": whoever is nearest
        self._asked: dict[_Asked, None] = {}  # the oldest first
        self._looking = False

    async def get(self, key: str, manager: str = "") -> KeyValue | None:
        """What there is: linearizable, by this manager or, where none is named, by whoever led last. Raises Untold, and Refused
        for a manager that there is not."""
        if manager:
            self._cluster.link(manager)
        together = self._together.get(manager) or self._new(manager)
        lookup = _Lookup(key)
        if not together.join(lookup):
            await together.lead(lookup)
        if not lookup.settled:
            lookup.task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(lookup.abandon)
        row = lookup.row
        if row is None:
            if not lookup.found:
                raise Untold
            return None
        version, created_at, updated_at, value, lease = row
        return KeyValue(
            id=key,
            version=version,
            spec_version=version,
            created_at=created_at,
            updated_at=updated_at,
            value=value,
            lease=lease,
        )

    def _new(self, manager: str) -> Together[_Lookup]:
        together = self._together[manager] = Together(partial(self._send_all, manager), KEYS_EARLY)
        return together

    def _send_all(self, manager: str, lookups: list[_Lookup]) -> None:
        wanted = [lookup for lookup in lookups if not lookup.abandoned]
        link = self._cluster.find_link(manager or self._cluster.leader)
        for start in range(0, len(wanted), KEYS_TOGETHER_MAX):
            self._send(manager, link, wanted[start : start + KEYS_TOGETHER_MAX])

    def _send(self, manager: str, link: Link | None, lookups: list[_Lookup]) -> None:
        """Mostly there is a connection: then the call leaves now, and its answer wakes the tasks where it arrives."""
        call = GetKeys(tuple([lookup.key for lookup in lookups]))
        caller = None if link is None else link.live
        if caller is not None:
            together = self._together[manager]
            asked = _Asked(self, together, lookups, trio.current_time() + PATIENCE_S)
            self._asked[asked] = None
            together.full = KEYS_TOGETHER_MAX
            if caller.ask(call, asked.heard):
                if not self._looking:
                    self._looking = True
                    self._cluster.nursery.start_soon(self._look_after)
                return
            self._forget(asked)  # the connection is full, or has just ended
        self._cluster.nursery.start_soon(self._ask, manager, call, lookups)

    async def _ask(self, manager: str, call: GetKeys, lookups: list[_Lookup]) -> None:
        """Where somebody must be dialled first."""
        try:
            name = manager or self._cluster.managers()[0].name
            answer = await self._cluster.ask(name, call, PATIENCE_S)
        except ClientError:
            self._settle(lookups, None)
        else:
            self._settle(lookups, answer)

    def heard(self, asked: _Asked, answer: Answer | CallFailed | None) -> None:
        """What came of it; None if it was given up. Only the first counts."""
        if asked in self._asked:
            self._forget(asked)
            asked.together.answered(len(asked.items))
            self._settle(asked.items, answer)

    def _forget(self, asked: _Asked) -> None:
        del self._asked[asked]
        if not self._asked:
            asked.together.full = KEYS_EARLY

    @staticmethod
    def _settle(lookups: list[_Lookup], answer: Answer | CallFailed | None) -> None:
        rows: Sequence[KeyRow | None] = ()
        if isinstance(answer, KeyRows) and not answer.refused and len(answer.rows) == len(lookups):
            rows = answer.rows
        reschedule = trio.lowlevel.reschedule  # a thousand times
        for lookup, row in zip_longest(lookups, rows):
            lookup.settled, lookup.found, lookup.row = True, bool(rows), row
            task = lookup.task
            if task is not None:
                lookup.task = None
                reschedule(task)

    async def _look_after(self) -> None:
        """While calls are under way: give those up that take too long."""
        while self._asked:
            oldest = next(iter(self._asked))
            await trio.sleep_until(oldest.overdue_at)
            if oldest in self._asked:
                oldest.heard(None)
        self._looking = False
