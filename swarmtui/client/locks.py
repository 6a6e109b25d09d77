"""A lock for applications: `async with cluster.kv.lock("deploy") as fence`.

    locks/NAME                  who holds it. Its version is the fencing version: it rises with every holder
    locks/NAME/LEASE            who waits; whose version is lowest is next

All of it vanishes with the lease of whoever wrote it, and a holder keeps its lease alive. The lock is taken by a
compare-and-swap that needs the key to be absent, so there is one holder whatever a waiter believes; the queue is for
fairness, and the watch only wakes those who wait.

**Losing it.** A lease that was renewed by a request *sent* at t is ended by no leader before t + its time (see
`manager.leases`). So the holder needs no clock but its own: at that instant, less the grace that it needs to stop, the
body is cancelled, and LockLost is raised when it has ended. A holder that cannot even notice (a stopped process) is
what the fencing version is for: whatever it writes to must refuse a version lower than one it has seen.

**Waiting for the dead.** Whoever holds a lock and is killed keeps it until its lease ends. That its connection ended says
nothing: it may live behind another manager, believing in the time that it was given. So a lease is short, and no shorter
than what a change of leader takes.
"""

from __future__ import annotations

import math
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.client.errors import UNKNOWN, ClientError, Conflict, NoHost, Refused
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.operations import (
    LEASE_HOLDER_LENGTH_MAX,
    LEASE_TTL_MAX_S,
    Create,
    Operation,
    Put,
    Remove,
    Result,
    Transaction,
    Update,
    Verdict,
)
from swarmtui.objects.records import KeyValue, Lease

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

PREFIX = "locks/"
TTL_MIN_S = 6.0  # of a lease, unless it is asked for: so long others wait for the lock of a holder that was killed
GRACE_S = 2.0  # for the body to end, before the lease does
RENEWALS = 5  # in the time of a lease
ELECTIONS = 2  # that a lease outlasts, each of up to two election timeouts
RETRY_S = 0.1  # after a refusal for want of a leader or a quorum
LOOK_S = 2.0  # a waiter looks so often though nothing woke it: the manager that it watches may be cut off
RELEASE_S = 3.0  # for the release; then the lease ends by itself

LOCK_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def usual_ttl_s(election_timeout_s: float, grace_s: float = GRACE_S) -> float:
    """The lease's time for a cluster with such elections: what is left of it just before a renewal, less the grace, is
    enough for a leader to be replaced, and for its successor to die as well."""
    wanted_s = (ELECTIONS * 2 * election_timeout_s + grace_s) / (1 - 1 / RENEWALS)
    return min(max(TTL_MIN_S, wanted_s), LEASE_TTL_MAX_S)


class LockHeld(Refused):
    """Somebody else holds the lock, and it was not waited for (any longer)."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__("held", f"lock {name} {reason}")


class LockLost(ClientError):
    """The lock was held, or waited for, and the lease could not be kept: what was done under it was ended, somewhere."""

    exit_code = UNKNOWN

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"lock {name} was lost: {reason}")


@attrs.frozen
class Fence:
    """A lock that is held. `version` is higher than that of every holder before."""

    name: str
    version: int


@asynccontextmanager
async def hold_lock(
    cluster: Cluster,
    name: str,
    *,
    timeout_s: float | None = None,
    ttl_s: float | None = None,
    grace_s: float = GRACE_S,
    holder: str = "",
) -> AsyncIterator[Fence]:
    """Holds the lock while the body runs, by a lease of `ttl_s` (None: what elections here take). Waits for it for `timeout_s`
    (None: for ever, 0: not at all). Raises LockHeld, LockLost, and what writes raise."""
    if not LOCK_NAME.fullmatch(name):
        raise Refused("invalid", f"a lock's name has 1 to 128 letters, digits and . _ : -, not {name!r}")
    if ttl_s is None:
        ttl_s = usual_ttl_s(cluster.manifest.raft.election_timeout_s, grace_s)
    if not 0 <= grace_s < ttl_s / 2:
        raise Refused("invalid", f"a grace of {grace_s:g} s is not less than half of the lease's {ttl_s:g} s")
    lease = Lease(id=new_id(), holder=(holder or _myself())[:LEASE_HOLDER_LENGTH_MAX], ttl_s=ttl_s)
    contender = _Contender(cluster, name, lease, grace_s)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(contender.keep)
        try:
            with contender.scope:
                yield await contender.take(timeout_s)
        except Exception as error:
            failure = error  # raised outside of the nursery, which would wrap it
        finally:
            nursery.cancel_scope.cancel()
            with trio.move_on_after(RELEASE_S, shield=True):
                await contender.give_up()
    if failure is not None:
        raise failure
    if contender.lost:
        raise LockLost(name, contender.lost)


class _Contender:
    """One who wants the lock, has it, or had it. `scope` is cancelled when it is lost (`lost` says why)."""

    def __init__(self, cluster: Cluster, name: str, lease: Lease, grace_s: float) -> None:
        self.scope = trio.CancelScope()
        self.lost = ""
        self._cluster = cluster
        self._name = name
        self._key = PREFIX + name
        self._place = f"{self._key}/{lease.id}"
        self._lease = lease
        self._grace_s = grace_s
        self._asked = False  # the lease may exist
        self._begun = trio.Event()  # it does
        self._version = 0  # of the lease, as far as is known
        self._valid_until = math.inf
        self._moved = trio.Event()

    async def _write(self, *operations: Operation) -> Result:
        return await self._cluster.transact(Transaction(operations))

    # -------------------------------------------------------------------------------------------------------- taking

    async def take(self, timeout_s: float | None) -> Fence:
        """Returns when the lock is held."""
        deadline = math.inf if timeout_s is None else trio.current_time() + timeout_s
        held, waiting = await self._look()
        if held is None and not waiting and (version := await self._begin(self._key)):
            return Fence(self._name, version)
        if timeout_s != 0:
            place = await self._begin(self._place)
            with trio.move_on_at(deadline):
                return Fence(self._name, await self._wait(place))
        held, _ = await self._look()
        raise LockHeld(
            self._name, f"is held by {held.value.decode()}" if held is not None else "is waited for by others"
        )

    async def _look(self) -> tuple[KeyValue | None, list[KeyValue]]:
        """Who holds it, and who waits."""
        records = await self._cluster.kv.list(self._key)
        waiting = [record for record in records if record.id.startswith(self._key + "/")]
        return next((record for record in records if record.id == self._key), None), waiting

    def _put(self, key: str) -> Put:
        return Put(key, self._lease.holder.encode(), 0, self._lease.id)

    async def _begin(self, key: str) -> int:
        """The lease and its first key in one step. The version of both; 0 if somebody has the key."""
        asked_at = trio.current_time()
        self._asked = True
        try:
            self._version = (await self._write(Create(self._lease), self._put(key))).index
        except Conflict:
            return 0
        self._valid_until = asked_at + self._lease.ttl_s
        self._begun.set()
        return self._version

    async def _wait(self, place: int) -> int:
        """Until the lock is ours; its version."""
        version = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            while not version:
                self._moved = trio.Event()
                version = await self._try(place)
                if not version:
                    with trio.move_on_after(LOOK_S):
                        await self._moved.wait()
            nursery.cancel_scope.cancel()
        return version

    async def _watch(self) -> None:
        try:
            async for _ in self._cluster.watch_records(KeyValue.TABLE, prefix=self._key):
                self._moved.set()
        except NoHost:
            return  # whoever looks will meet it

    async def _try(self, place: int) -> int:
        """Takes the lock if it is free and it is our turn; 0 if not."""
        try:
            held, waiting = await self._look()
            if held is not None or any((other.version, other.id) < (place, self._place) for other in waiting):
                return 0
            return (await self._write(Remove(KeyValue.TABLE, self._place), self._put(self._key))).index
        except Conflict:
            return 0  # somebody came from before the queue
        except (Refused, NoHost):
            raise
        except ClientError:
            await trio.sleep(RETRY_S)
            return 0

    # ------------------------------------------------------------------------------------------------------- keeping

    async def keep(self) -> None:
        """Renews the lease until cancelled, or until it is lost."""
        await self._begun.wait()
        renewed = True
        while renewed:
            await trio.sleep(self._lease.ttl_s / RENEWALS)
            renewed = False
            with trio.move_on_at(self._valid_until - self._grace_s):
                renewed = await self._renew()
        self.lost = self.lost or f"its lease could not be renewed for {self._lease.ttl_s - self._grace_s:g} s"
        self.scope.cancel()

    async def _renew(self) -> bool:
        """Until the lease is renewed; False if it has ended."""
        while True:
            asked_at = trio.current_time()
            try:
                self._version = (await self._write(Update(self._lease, version=self._version))).index
                self._valid_until = asked_at + self._lease.ttl_s
                return True
            except Conflict as error:  # a renewal of ours whose answer did not come
                self._version = error.found or self._version
            except Refused as error:
                if error.rule == Verdict.ABSENT:
                    self.lost = "its lease was ended"
                    return False
                await trio.sleep(RETRY_S)
            except ClientError:
                await trio.sleep(RETRY_S)

    async def give_up(self) -> None:
        """Ends the lease, and with it all that is left of us. If that fails it ends by itself."""
        if not self._asked:
            return
        try:
            await self._write(Remove(Lease.TABLE, self._lease.id))
        except ClientError:
            return


def _myself() -> str:
    """For people: who holds the lock."""
    service, slot, node = (os.environ.get(f"SWARMTUI_{word}", "") for word in ("SERVICE", "SLOT", "NODE"))
    who = f"{service}.{slot} on {node}" if service and node else socket.gethostname()
    return f"{who}, pid {os.getpid()}"
