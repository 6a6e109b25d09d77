"""Answers to clients: one short method a call. Which certificate may make which call was checked before.

Views are answered from this node's own store. `VIEW` tries to confirm with a quorum for one election timeout and else
answers what is here, marked stale; `LINEARIZABLE` is confirmed or refused; `STALE` does not ask. Keys are given unconfirmed to
whoever confirms them by itself, with this manager's word (`raft.attestation`).
"""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import accumulate
from typing import cast

import attrs
import trio

from swarmtui.agent.agent import Agent
from swarmtui.node.consensus import Consensus
from swarmtui.node.logview import log_lines
from swarmtui.node.observing import Observing
from swarmtui.node.peers import Peers
from swarmtui.node.state_stream import stream_state
from swarmtui.node.writes import Writes
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.records import TABLES, AnyRecord, KeyValue, Record, Task
from swarmtui.raft.attestation import Attestation
from swarmtui.raft.configuration import Member
from swarmtui.raft.status import PeerStatus
from swarmtui.raft.text import catch_up_line
from swarmtui.store import Frozen, Store
from swarmtui.wire.calls import Answer, Call
from swarmtui.wire.certificates import Identity
from swarmtui.wire.faults import LinkFaults
from swarmtui.wire.key_calls import (
    ASKED_TOGETHER_MAX,
    KEYS_BYTES_MAX,
    KEYS_TOGETHER_MAX,
    Attest,
    GetKeys,
    KeyRows,
)
from swarmtui.wire.node_calls import (
    Consistency,
    Done,
    GetKey,
    GetStatus,
    ListRecords,
    LogRange,
    MayLeave,
    NodeReport,
    Observe,
    PeerReport,
    Propose,
    ReadRole,
    Records,
    SetLinkFaults,
    SignalTask,
    StopNode,
    StreamState,
    TakeSnapshot,
    TaskOutput,
    TransferLeadership,
    WatchRecords,
)
from swarmtui.wire.responder import Answering, Pending
from swarmtui.wire.rpc import CallRejected
from swarmtui.wire.rules import NOT_A_MANAGER

HEARD_S = 1.5  # without a leader: who said anything at all in this time counts as answering (or two election timeouts)


@attrs.define
class Manager:
    """What only a manager has to answer with."""

    consensus: Consensus
    writes: Writes
    take_snapshot: Callable[[], None]
    disk_refuses: Callable[[], str]
    why_stays: Callable[[str], str]  # why this node could not leave the consensus now
    let_go: Callable[[Frozen], None]  # of a state that nobody reads any more


@attrs.define
class Answers:
    node: NodeEntry
    election_timeout_s: float
    started_at: float
    peers: Peers
    agent: Agent
    observing: Observing
    faults: LinkFaults
    stop: Callable[[], None]
    read_role: Callable[[], Awaitable[str]]  # "" once it is acted upon, else why not
    manager: Manager | None = None

    def __call__(self, call: Call, caller: Identity) -> Pending | Answering | AsyncIterator[Answer]:
        """The wire's `Answerer`."""
        match call:
            case Propose():
                return self._manager(call).writes.begin(call)
            case GetKeys():
                _check_number(len(call.keys), KEYS_TOGETHER_MAX, "keys")
                return self._get_keys_attested(call) if call.asked else self._get_keys(call)
            case Attest():
                return _given(self._word(call))
            case Observe():
                return self.observing.observe(call)
            case WatchRecords():
                self._manager(call)
                return self.observing.watch_records(call)
            case TaskOutput():
                return self.agent.output(call.task_id, call.tail, call.follow)
            case StreamState():
                patience_s = min(call.timeout_s, 2 * self.election_timeout_s)
                manager = self._manager(call)
                return stream_state(manager.consensus, patience_s, manager.let_go, stale=call.stale)
            case _:
                return self._answer(call)

    async def _answer(self, call: Call) -> Answer:
        match call:
            case GetStatus():
                return self.report()
            case ListRecords():
                return await self._list(call)
            case GetKey():
                return await self._get_key(call)
            case LogRange():
                consensus = self._manager(call).consensus
                return log_lines(consensus.core, consensus.store, call.first, call.last, consensus.status().commit)
            case SignalTask():
                return Done(refused=await self.agent.signal_task(call.task_id, call.action))
            case TransferLeadership():
                return await self._transfer(call)
            case TakeSnapshot():
                self._manager(call).take_snapshot()
                return Done("a snapshot is being taken")
            case MayLeave():
                return Done(refused=self._manager(call).why_stays(call.node_id))
            case ReadRole():
                return Done(refused=await self.read_role())
            case SetLinkFaults():
                self.faults.set(call.faults)
                return Done()
            case StopNode():
                self.stop()
                return Done("stopping")
            case _:
                raise CallRejected("host-only", f"{type(call).__name__} is asked of the host, not of a node")

    def _manager(self, call: Call) -> Manager:
        if self.manager is None:
            raise CallRejected(NOT_A_MANAGER, f"{self.node.name} is a worker and has no log; ask a manager")
        return self.manager

    # ------------------------------------------------------------------------------------------------------- status

    def report(self) -> NodeReport:
        """What this node says of itself, from memory."""
        manager = self.manager
        base = NodeReport(
            node_id=self.node.id,
            name=self.node.name,
            address=self.node.address,
            pid=os.getpid(),
            role=str(self.node.role),
            raft_role="",
            term=0,
            leader_id="",
            vote="",
            first=0,
            last=0,
            commit=0,
            applied=0,
            snapshot=0,
            voters=(),
            heard=(),
            holds_quorum=False,
            timer_left_s=None,
            timer_total_s=None,
            leader_since=None,
            peers=(),
            started_at=self.started_at,
            election_timeout_s=self.election_timeout_s,
        )
        return base if manager is None else self._manager_report(base, manager)

    def _peer_report(self, member: Member, peer: PeerStatus | None) -> PeerReport:
        """`peer` is None unless this node leads."""
        connected = self.peers.connection(member.id) is not None
        if peer is None:
            return PeerReport(member.id, member.name, "", 0, None, connected)
        catch_up = "" if peer.catch_up is None else catch_up_line(peer.catch_up)
        return PeerReport(member.id, member.name, peer.state, peer.match, peer.heard_s, connected, peer.lag, catch_up)

    def _manager_report(self, base: NodeReport, manager: Manager) -> NodeReport:
        status = manager.consensus.status()
        members = status.configuration.members
        since = status.leader_since
        return attrs.evolve(
            base,
            raft_role=str(status.role),
            term=status.term,
            leader_id=status.leader,
            vote=status.vote,
            first=status.first,
            last=status.last,
            commit=status.commit,
            applied=status.applied,
            snapshot=status.snapshot,
            voters=tuple((member.id, member.name) for member in members if member.id in status.configuration.voter_ids),
            learners=tuple((member.id, member.name) for member in status.configuration.learners),
            heard=tuple(self.reachable()),
            holds_quorum=status.holds_quorum,
            timer_left_s=status.timer_left_s,
            timer_total_s=status.timer_total_s,
            leader_since=time.time() - (trio.current_time() - since) if since is not None else None,
            peers=tuple(
                self._peer_report(member, status.peers.get(member.id))
                for member in members
                if member.id != self.node.id
            ),
            disk=manager.disk_refuses(),
            store_index=manager.consensus.store.index,
        )

    def reachable(self) -> list[str]:
        """The voters this manager can vouch for: as raft says where there is a leader, else who speaks to us."""
        if self.manager is None:
            return []
        status = self.manager.consensus.status()
        if status.holds_quorum:
            return [id for id in status.heard if id == self.node.id or self.peers.connection(id) is not None]
        heard = {self.node.id, *self.peers.heard_within(max(HEARD_S, 2 * self.election_timeout_s))}
        return [id for id in status.configuration.voter_ids if id in heard]

    # -------------------------------------------------------------------------------------------------------- reads

    async def _confirm(self, manager: Manager, consistency: Consistency, timeout_s: float) -> str:
        """Why the local state may not be served as linearizable; "" if it may."""
        if consistency is Consistency.STALE:
            return "a stale read was asked for"
        patience_s = (
            self.election_timeout_s if consistency is Consistency.VIEW else min(timeout_s, 2 * self.election_timeout_s)
        )
        return await manager.consensus.reads.confirm(patience_s)

    async def _list(self, call: ListRecords) -> Records:
        manager = self._manager(call)
        why = await self._confirm(manager, call.consistency, call.timeout_s)
        store = manager.consensus.store
        if why and call.consistency is Consistency.LINEARIZABLE:
            return Records(store.index, store.term, True, (), why, self.node.id)
        records = cast(
            tuple[AnyRecord, ...], tuple(record for table in call.tables for record in _select(store, table, call))
        )
        return Records(store.index, store.term, bool(why), records, node=self.node.id)

    async def _get_key(self, call: GetKey) -> Records:
        manager = self._manager(call)
        why = await self._confirm(manager, call.consistency, call.timeout_s)
        store = manager.consensus.store
        if why and call.consistency is Consistency.LINEARIZABLE:
            return Records(store.index, store.term, True, (), why, self.node.id)
        found = store.get(KeyValue, call.key)
        records = () if found is None else (found,)
        return Records(store.index, store.term, bool(why), records, node=self.node.id)

    def _get_keys(self, call: GetKeys) -> Pending:
        """Confirmed once, all of them together; if that fails, a task tries on as long as the call has patience."""
        reads = self._manager(call).consensus.reads
        pending = Pending()

        def told(why: str) -> None:
            if why:
                pending.leave_to(self._get_keys_patiently(call))
            else:
                pending.give(self._key_rows(call, ""))

        reads.begin(told)
        return pending

    def _get_keys_attested(self, call: GetKeys) -> Pending:
        """As they are here: whoever asks judges them. The rows and the word are of one step. A leader that knows already that
        its word would not do, for it has not applied all that it has committed, confirms them as ever."""
        word = self._word(call)
        rows = self._key_rows(call, "")
        if word.leader == word.member and not (word.quorum and rows.index >= word.commit):
            return self._get_keys(call)
        rows.attestation = word
        return _given(rows)

    def _word(self, call: Attest | GetKeys) -> Attestation:
        """What this manager says to whoever reads from a quorum."""
        _check_number(len(call.asked), ASKED_TOGETHER_MAX, "nodes")
        word = self._manager(call).consensus.attest(call.asked)
        if word is None:
            raise CallRejected("stops", f"{self.node.name} stops")
        return word

    async def _get_keys_patiently(self, call: GetKeys) -> KeyRows:
        return self._key_rows(call, await self._confirm(self._manager(call), Consistency.LINEARIZABLE, call.timeout_s))

    def _key_rows(self, call: GetKeys, why: str) -> KeyRows:
        """What the confirmed local state holds, or `why` it is not confirmed."""
        store = self._manager(call).consensus.store
        rows = [] if why else store.key_rows(call.keys)
        sizes = [0 if row is None else len(row.value) for row in rows]
        if sum(sizes) > KEYS_BYTES_MAX:
            rows = rows[: max(1, bisect_right(list(accumulate(sizes)), KEYS_BYTES_MAX))]
        return KeyRows(store.index, store.term, tuple(rows), why)

    # ------------------------------------------------------------------------------------------------------ changes

    async def _transfer(self, call: TransferLeadership) -> Done:
        consensus = self._manager(call).consensus
        answered = trio.Event()
        reasons: list[str] = []

        def answer(reason: str) -> None:
            reasons.append(reason)
            answered.set()

        consensus.transfer(call.target, answer)
        with trio.move_on_after(2 * self.election_timeout_s):
            await answered.wait()
        return Done(refused=reasons[0] if reasons else "no answer in time; see `swarmtui status`")


def _check_number(count: int, limit: int, of: str) -> None:
    if count > limit:
        raise CallRejected("too-many", f"{count} {of}, at most {limit} in one call")


def _given(answer: Answer) -> Pending:
    """An answer that is there at once, without a task of its own."""
    pending = Pending()
    pending.give(answer)
    return pending


def _select(store: Store, table: str, call: ListRecords) -> list[Record]:
    if table == KeyValue.TABLE:
        return list(store.keys(call.prefix))
    if table == Task.TABLE and (call.service_id or call.node_id):
        return list(store.tasks(service_id=call.service_id or None, node_id=call.node_id or None))
    return (
        [record for record in store.all(TABLES[table]) if record.id.startswith(call.prefix)] if table in TABLES else []
    )
