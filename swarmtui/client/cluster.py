"""The one object that everything outside a node uses: a cluster, its nodes, its host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from swarmtui.client.delivery import Delivery
from swarmtui.client.discovery import find_cluster, read_manifest
from swarmtui.client.errors import (
    ClientError,
    NoCluster,
    NoHost,
    NoLeader,
    NoQuorum,
    NotReached,
    Refused,
    Unknown,
)
from swarmtui.client.events import merged_events
from swarmtui.client.host import HostClient
from swarmtui.client.kv import Keys
from swarmtui.client.links import Link
from swarmtui.client.nodes import Nodes
from swarmtui.client.roster import Roster
from swarmtui.client.services import Services
from swarmtui.client.status import STATUS_TIMEOUT_S, ClusterStatus, gather_status
from swarmtui.client.tasks import Tasks
from swarmtui.client.writes import Writes
from swarmtui.host.info import running_host
from swarmtui.objects.codec import OnePut
from swarmtui.objects.events import Event
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.membership import majority
from swarmtui.objects.operations import Result, Transaction
from swarmtui.wire.calls import Answer, Call, Peerage
from swarmtui.wire.certificates import Credentials, NotCertified, load_credentials
from swarmtui.wire.node_calls import (
    Consistency,
    GetKey,
    GetStatus,
    ListRecords,
    NodeReport,
    Outcome,
    Records,
    RecordsChanged,
    WatchRecords,
)
from swarmtui.wire.rpc import Broken, CallRefused, NotSent
from swarmtui.wire.rules import NOT_A_MANAGER

if TYPE_CHECKING:
    from swarmtui.storage.backup import Saved

T = TypeVar("T")

CALL_TIMEOUT_S = 5.0
LEADER_GRACE_S = 0.03  # for the leader itself to answer, once a manager that hears a quorum has
PROPOSE_TIMEOUT_S = 10.0
REJOIN_PAUSE_S = 0.1  # before a broken watch goes on with another manager


@asynccontextmanager
async def connect(directory: Path | str | None = None, *, role: str = "") -> AsyncIterator[Cluster]:
    """The cluster found from here (see `discovery`), or in this directory, or of this name.

    `role` is whose certificate is shown: `admin` may do anything, `observer` only look, `task` reach `kv` alone. By default
    the admin's, and inside a task the task's. Raises NoCluster.
    """
    path = find_cluster(directory)
    manifest = read_manifest(path)
    role = role or _default_role(path)
    try:
        credentials = load_credentials(path / f"{role}.pem", path / "ca" / "ca.pem")
    except (OSError, NotCertified) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise NoCluster(f"{path} has no certificate for {role} that can be read: {reason}") from None
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield Cluster(path, manifest, credentials, nursery)
        except Exception as error:
            failure = error  # raised outside of the nursery, which would wrap it
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _default_role(path: Path) -> str:
    """A task's own directory holds the certificate for tasks and no other."""
    admin, task = str(Peerage.ADMIN), str(Peerage.TASK)
    return task if (path / f"{task}.pem").exists() and not (path / f"{admin}.pem").exists() else admin


class Cluster:
    """One cluster. Made by `connect`; every method may be called by any number of tasks at once."""

    def __init__(self, directory: Path, manifest: Manifest, credentials: Credentials, nursery: trio.Nursery) -> None:
        self.directory = directory
        self.nursery = nursery
        self._role = credentials.identity.role
        self._roster = Roster(directory, manifest, credentials, nursery)
        self._delivery = Delivery(self, Writes(self))
        self.leader = ""  # the name of whoever led when we last heard
        self.index_seen = 0  # the highest log index that anybody told of
        self.term_seen = 0  # the highest term in which somebody said to lead with a quorum
        self.host = HostClient(directory, credentials, nursery)
        self.kv = Keys(self)
        self.services = Services(self)
        self.nodes = Nodes(self)
        self.tasks = Tasks(self)

    @property
    def manifest(self) -> Manifest:
        """What the cluster was created as, and the nodes of this machine as they are now."""
        return self._roster.manifest

    # ------------------------------------------------------------------------------------------------- single nodes

    async def ask(self, node: str, call: Call, timeout_s: float = CALL_TIMEOUT_S) -> Answer:
        """One call to one node, by name or id. Raises NotReached, Refused, Unknown."""
        return await self.link(node).ask(call, timeout_s)

    async def stream(self, node: str, call: Call) -> AsyncIterator[Answer]:
        """The answers of one node to a stream call. Raises NotReached, Refused; ends with the stream or its connection."""
        link = self.link(node)
        caller = await link.caller()
        try:
            async with caller.stream(call) as answers:
                async for answer in answers:
                    yield answer
        except CallRefused as error:
            raise Refused(error.rule, error.reason) from None
        except (NotSent, Broken) as error:
            raise NotReached(link.name, str(error)) from None

    def link(self, node: str) -> Link:
        """The way to this node, by name or id. Raises Refused if there is none."""
        link = self.find_link(node)
        if link is None:
            raise Refused("absent", f"there is no node {node}; see swarmtui node ls")
        return link

    def find_link(self, node: str) -> Link | None:
        """`link`, or None if there is no such node."""
        entry = self._roster.entry(node)
        return None if entry is None else self._roster.link(entry.id)

    def managers(self) -> list[NodeEntry]:
        """The managers, whoever led last first, those with a connection next."""
        return sorted(
            self.manifest.managers,
            key=lambda node: (node.name != self.leader, not self._roster.link(node.id).connected, node.name),
        )

    # ------------------------------------------------------------------------------------------------------- writes

    async def propose(self, *transactions: Transaction, timeout_s: float = PROPOSE_TIMEOUT_S) -> tuple[Outcome, ...]:
        """The outcome of each. What is not answered is sent again until the time is over, and applied once. Raises NoHost
        or NoQuorum if no manager answers at all."""
        return await self._delivery.submit_all(transactions, timeout_s)

    def transact(
        self, transaction: Transaction | OnePut, *, timeout_s: float = PROPOSE_TIMEOUT_S
    ) -> Coroutine[Any, Any, Result]:
        """Its result once it is done; applied once, however often it had to be sent. Raises Conflict, Refused, NoQuorum,
        NoLeader, Unknown, NoHost, by blame."""
        return self._delivery.submit(transaction, timeout_s)

    @property
    def _may_run(self) -> bool:
        """False if nothing of this cluster can run. A task, which runs itself, knows nothing of the host."""
        return self._role is Peerage.TASK or running_host(self.directory) is not None

    def nobody(self, asked: int) -> ClientError:
        """What it means that none of so many managers answers."""
        if not self._may_run:
            return NoHost(f"the cluster {self.manifest.name} does not run; start it with swarmtui up")
        return NoQuorum(0, majority(asked), asked)

    # -------------------------------------------------------------------------------------------------------- reads

    async def records(
        self,
        *tables: str,
        consistency: Consistency = Consistency.VIEW,
        service_id: str = "",
        node_id: str = "",
        prefix: str = "",
    ) -> Records:
        """The objects of these tables, from the most advanced manager that answers; `stale` says if no quorum vouches
        for them. Raises NoQuorum (linearizable reads only), NotReached, NoHost."""
        return await self.read(ListRecords(tables, consistency, service_id, node_id, prefix))

    async def read(self, call: ListRecords | GetKey) -> Records:
        """The first fresh answer of all managers side by side, else the most advanced stale one."""
        for manager in self.managers()[:1]:
            records = await self.read_one(manager.name, call)
            if records is not None and not records.stale and not records.refused:
                return records
        found = await self._everybody(lambda name: self.read_one(name, call))
        fresh = [records for records in found if not records.stale and not records.refused]
        if fresh:
            return fresh[0]
        shown = [records for records in found if not records.refused]
        if shown:
            return max(shown, key=lambda records: records.index)
        if not found:
            raise self.nobody(len(self.manifest.managers))
        quorum = (await self.status()).quorum
        if quorum.reachable < quorum.needed:
            raise NoQuorum(quorum.reachable, quorum.needed, quorum.voters)
        raise NoLeader(f"no leader yet ({found[0].refused}); try again, or read with --stale")

    async def read_one(self, name: str, call: ListRecords | GetKey) -> Records | None:
        """What this manager answers; None if it does not."""
        try:
            answer = await self.ask(name, call)
        except (NotReached, Unknown):
            return None
        except Refused as error:
            if error.rule == NOT_A_MANAGER:
                return None  # it was demoted a moment ago
            raise
        return answer if isinstance(answer, Records) else None

    async def _everybody(self, ask: Callable[[str], Awaitable[T | None]]) -> list[T]:
        """What each manager answers, side by side; those that do not are left out."""
        found: list[T] = []

        async def one(name: str) -> None:
            answer = await ask(name)
            if answer is not None:
                found.append(answer)

        async with trio.open_nursery() as nursery:
            for manager in self.manifest.managers:
                nursery.start_soon(one, manager.name)
        return found

    async def status(self) -> ClusterStatus:
        """Everybody asked side by side, 300 ms each: what `swarmtui status` shows."""
        status = await gather_status(self)
        self.leader = status.leader or self.leader
        return status

    async def report(self, node: str, timeout_s: float = STATUS_TIMEOUT_S) -> NodeReport | None:
        """What this node says of itself; None if it does not answer in time."""
        with trio.move_on_after(timeout_s):
            try:
                answer = await self.ask(node, GetStatus(), timeout_s)
            except (NotReached, Unknown, Refused):
                return None
            if isinstance(answer, NodeReport):
                self._take_note(answer)
                return answer
        return None

    def _take_note(self, report: NodeReport) -> None:
        self.index_seen = max(self.index_seen, report.store_index or report.applied)
        if report.holds_quorum:
            self.term_seen = max(self.term_seen, report.term)

    async def reports(self, *, for_writing: bool = False, timeout_s: float = STATUS_TIMEOUT_S) -> list[NodeReport]:
        """What the managers say of themselves, those that answer in time. `for_writing`: no longer than it takes to find
        one that leads with a quorum, and hardly longer than to find one that hears a quorum: it will know of the leader,
        or wait for the next one."""
        found: list[NodeReport] = []
        async with trio.open_nursery() as nursery:

            async def ask(name: str) -> None:
                report = await self.report(name, timeout_s)
                if report is None:
                    return
                found.append(report)
                if for_writing and report.holds_quorum:
                    nursery.cancel_scope.cancel()
                elif for_writing and len(report.heard) > len(report.voters) // 2:
                    soon = trio.current_time() + LEADER_GRACE_S
                    nursery.cancel_scope.deadline = min(nursery.cancel_scope.deadline, soon)

            for manager in self.manifest.managers:
                nursery.start_soon(ask, manager.name)
        return found

    async def save_backup(self, path: Path, *, node: str = "", replace: bool = False, stale: bool = False) -> Saved:
        """All of the state at a linearizable index, in a new file that only its owner can read; `swarmtui up --restore`
        makes a new cluster of it. `stale`: without asking a quorum, from the most advanced manager that answers. Raises
        NoQuorum, NoLeader, Refused, NotReached."""
        from swarmtui.client.backup import save_backup  # what a `status` need not wait for

        return await save_backup(self, path, node=node, replace=replace, stale=stale)

    # ------------------------------------------------------------------------------------------------------ streams

    async def watch_records(self, *tables: str, prefix: str = "") -> AsyncIterator[RecordsChanged]:
        """Everything in these tables whose id begins with `prefix` (`reset`), then changes, for ever: when a manager is lost
        another one goes on, again with everything first. Raises NoHost when nothing runs any more."""
        while True:
            for manager in self.managers():
                try:
                    async for change in self.stream(manager.name, WatchRecords(tables, prefix)):
                        assert isinstance(change, RecordsChanged)
                        yield change
                except NotReached:
                    continue
                except Refused as error:
                    if error.rule != NOT_A_MANAGER:
                        raise
            if not self._may_run:
                raise self.nobody(0)
            await trio.sleep(REJOIN_PAUSE_S)

    def events(
        self, *, since: float | None = None, until: float | None = None, follow: bool = True
    ) -> AsyncIterator[Event]:
        """Events of all nodes and the host in order of time; `since` is seconds since the epoch (None: from now on when
        following, else all that is held). They end at `until`, at once if that is past."""
        return merged_events(self, since, until, follow)
