"""Reads of single keys, those of one moment together: a thousand tasks that read cost a thousand rows and a few calls.

The usual read is confirmed by the manager that is asked and answered at once. Where it is not, because nobody answers or
nobody leads, each key goes its own long way (`Cluster.read`), which asks the others as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.client.errors import ClientError
from swarmtui.objects.records import KeyValue
from swarmtui.wire.node_calls import KEYS_TOGETHER_MAX, GetKeys, KeyRow, KeyRows

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

PATIENCE_S = 2.0  # with the one manager; the long way has its own


@attrs.define(eq=False)
class _Lookup:
    """One key that a task waits for. `found` says whether `row` tells what there is."""

    key: str
    task: trio.lowlevel.Task | None  # None: it does not wait any more
    found: bool = False
    row: KeyRow | None = None

    def abandon(self, _: object) -> trio.lowlevel.Abort:
        """Whoever waits for it was cancelled."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def wake(self) -> None:
        task, self.task = self.task, None
        if task is not None:
            trio.lowlevel.reschedule(task)


class Lookups:
    """The reading side of one `Cluster`, for keys."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pending: dict[str, list[_Lookup]] = {}  # by the manager to ask, "": whoever is nearest

    async def get(self, key: str, manager: str = "") -> tuple[bool, KeyValue | None]:
        """Whether that could be told, and what there is: linearizable, by this manager or, where none is named, by whoever
        led last. Raises Refused for a manager that there is not."""
        if manager:
            self._cluster.link(manager)
        lookup = _Lookup(key, trio.lowlevel.current_task())
        pending = self._pending.get(manager)
        if pending is None:
            pending = self._pending[manager] = []
            self._cluster.nursery.start_soon(self._gather, manager)
        pending.append(lookup)
        await trio.lowlevel.wait_task_rescheduled(lookup.abandon)
        row = lookup.row
        if row is None:
            return lookup.found, None
        version, created_at, updated_at, value, lease = row
        record = KeyValue(
            id=key,
            version=version,
            spec_version=version,
            created_at=created_at,
            updated_at=updated_at,
            value=value,
            lease=lease,
        )
        return True, record

    async def _gather(self, manager: str) -> None:
        """Runs when every task that is awake has had its turn."""
        pending = [lookup for lookup in self._pending.pop(manager) if lookup.task is not None]
        for start in range(KEYS_TOGETHER_MAX, len(pending), KEYS_TOGETHER_MAX):
            self._cluster.nursery.start_soon(self._ask, manager, pending[start : start + KEYS_TOGETHER_MAX])
        if pending:
            await self._ask(manager, pending[:KEYS_TOGETHER_MAX])

    async def _ask(self, manager: str, lookups: list[_Lookup]) -> None:
        name = manager or self._cluster.managers()[0].name
        try:
            answer = await self._cluster.ask(name, GetKeys(tuple([lookup.key for lookup in lookups])), PATIENCE_S)
        except ClientError:
            answer = None
        if isinstance(answer, KeyRows) and not answer.refused and len(answer.rows) == len(lookups):
            for lookup, row in zip(lookups, answer.rows, strict=True):
                lookup.found, lookup.row = True, row
        for lookup in lookups:
            lookup.wake()
