"""Keys of applications: linearizable reads, compare-and-swap, watching."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import attrs

from swarmtui.client.errors import Refused
from swarmtui.client.locks import GRACE_S, Fence, hold_lock
from swarmtui.client.lookups import Lookups
from swarmtui.objects.codec import OnePut
from swarmtui.objects.operations import Remove, Transaction, Verdict
from swarmtui.objects.records import KeyValue
from swarmtui.wire.node_calls import Consistency

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster


@attrs.frozen
class KeyChange:
    """`record` None: the key was deleted."""

    key: str
    record: KeyValue | None


class Keys:
    """`cluster.kv`. Values are bytes; a text is taken as UTF-8."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.get = Lookups(cluster).get
        """The key's record, None if there is none. The lookup itself, and no method that calls it: one call more is 4 % of what
        a read costs in a process of a thousand tasks, which is at its full core."""

    async def put(self, key: str, value: bytes | str) -> int:
        """Write whatever is there; returns the new version."""
        return (await self._cluster.transact(OnePut(key, _bytes(value)))).index

    async def cas(self, key: str, expected: int, value: bytes | str) -> int:
        """Write if the key is at version `expected` (0: does not exist); returns the new version. Raises Conflict."""
        return (await self._cluster.transact(OnePut(key, _bytes(value), expected))).index

    async def delete(self, key: str, *, expected: int | None = None) -> None:
        """Raises Refused if it does not exist, Conflict if it is not at `expected`."""
        try:
            await self._cluster.transact(Transaction((Remove(KeyValue.TABLE, key, version=expected),)))
        except Refused as error:
            if error.rule == Verdict.ABSENT:
                raise Refused(error.rule, f"no such key: {key}") from None
            raise

    async def list(
        self, prefix: str = "", *, consistency: Consistency = Consistency.LINEARIZABLE
    ) -> Sequence[KeyValue]:
        """All keys with this prefix, in order."""
        records = await self._cluster.records(KeyValue.TABLE, consistency=consistency, prefix=prefix)
        return [record for record in records.records if isinstance(record, KeyValue)]

    def lock(
        self,
        name: str,
        *,
        timeout_s: float | None = None,
        ttl_s: float | None = None,
        grace_s: float = GRACE_S,
        holder: str = "",
    ) -> AbstractAsyncContextManager[Fence]:
        """`async with cluster.kv.lock("deploy") as fence`: at most one holder in the whole cluster; `fence.version` rises
        with every holder. Waits for `timeout_s` (None: for ever, 0: not at all). A holder that is killed keeps the
        lock for up to `ttl_s` (None: 6 s, more where elections are slow). When the lock is lost the body is
        cancelled, `grace_s` before somebody else can have it, and LockLost is raised. Raises LockHeld, LockLost."""
        return hold_lock(self._cluster, name, timeout_s=timeout_s, ttl_s=ttl_s, grace_s=grace_s, holder=holder)

    async def watch(self, prefix: str = "") -> AsyncIterator[KeyChange]:
        """Changes from now on, through whichever manager answers; what was missed while none did is told afterwards."""
        known: dict[str, KeyValue] | None = None
        reset: dict[str, KeyValue] | None = None  # what has come of it
        async for change in self._cluster.watch_records(KeyValue.TABLE, prefix=prefix):
            found = {key.id: key for key in change.records if isinstance(key, KeyValue) and key.id.startswith(prefix)}
            gone = [id for _, id in change.removed]
            if change.reset:
                reset = {}
            if reset is not None:
                reset.update(found)
                if change.more:
                    continue
                found, gone, reset = reset, [key for key in known or () if key not in reset], None
                if known is None:
                    known = found
                    continue
            assert known is not None
            for told in _differences(known, found, gone):
                yield told


def _differences(known: dict[str, KeyValue], found: dict[str, KeyValue], gone: Sequence[str]) -> list[KeyChange]:
    """What is new, folded into `known`."""
    changes = [KeyChange(key, None) for key in gone if known.pop(key, None) is not None]
    for key, record in found.items():
        if key not in known or known[key].version < record.version:
            known[key] = record
            changes.append(KeyChange(key, record))
    return changes


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value
