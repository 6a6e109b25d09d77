"""Writes on their way to whoever leads.

Every write ends as done, refused or unknown. Two rules make that true here: what certainly did not leave is tried with the
next manager, and what left and was not answered is never sent again.

Writes that are asked for in the same moment by different tasks travel in one call: a thousand tasks that write cost a
thousand transactions and a few calls, and no task waits for another's. Each is still judged alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.client.errors import ClientError, NotReached, Refused
from swarmtui.objects.codec import MalformedObject, encode
from swarmtui.objects.manifest import NodeEntry
from swarmtui.objects.operations import Transaction
from swarmtui.wire.calls import Fate, Outcome, Propose, Proposed
from swarmtui.wire.rpc import Broken, CallRefused, NotSent

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

DIAL_TIMEOUT_S = 1.0
LOOKS_MAX = 3  # times that a leader is looked for while managers refuse for want of one
ANSWER_GRACE_S = 2.0  # beyond what the node itself was given
TRUST_SILENT_S = 1.0  # a leader that said nothing for longer is asked whether it leads before it is given a write,
TRUST_S = 5.0  # and one that was not asked for longer: it may have handed over, and would forward for ever
TOGETHER_MAX = 256  # transactions in one call, so that several calls are under way when there are many
TOGETHER_BYTES_MAX = 1024 * 1024

ELSEWHERE_RULES = frozenset({"no-quorum", "no-leader", "not-leader"})
"""Refusals by a manager that stands apart: another one may know better."""


@attrs.define(eq=False)
class _Write:
    """One transaction that a task waits for."""

    transaction: Transaction
    encoded: bytes
    timeout_s: float
    done: trio.Event = attrs.field(factory=trio.Event)
    outcome: Outcome | None = None
    error: ClientError | None = None
    abandoned: bool = False


class Writes:
    """The writing side of one `Cluster`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pending: list[_Write] = []
        self._gathering = False
        self._asked_at = float("-inf")  # when the leader last said that it leads

    # ------------------------------------------------------------------------------------------------- one at a time

    async def submit(self, transaction: Transaction, timeout_s: float) -> Outcome:
        """The outcome of one transaction, sent together with whatever else is asked for at this moment."""
        try:
            encoded = encode(transaction)
        except MalformedObject as error:
            raise Refused("invalid", str(error)) from None
        await trio.lowlevel.checkpoint_if_cancelled()
        write = _Write(transaction, encoded, timeout_s)
        self._pending.append(write)
        if not self._gathering:
            self._gathering = True
            self._cluster.nursery.start_soon(self._gather)
        try:
            await write.done.wait()
        finally:
            write.abandoned = True
        if write.error is not None:
            raise write.error
        assert write.outcome is not None
        return write.outcome

    async def _gather(self) -> None:
        """Runs when every task that is awake has had its turn."""
        pending, self._pending, self._gathering = self._pending, [], False
        batch: list[_Write] = []
        size = 0
        for write in pending:
            if write.abandoned:
                continue
            full = len(batch) >= TOGETHER_MAX or size + len(write.encoded) > TOGETHER_BYTES_MAX
            if batch and (full or write.timeout_s != batch[0].timeout_s):
                self._cluster.nursery.start_soon(self._send, batch)
                batch, size = [], 0
            batch.append(write)
            size += len(write.encoded)
        if batch:
            await self._send(batch)

    async def _send(self, batch: Sequence[_Write]) -> None:
        call = Propose(
            tuple([write.transaction for write in batch]),
            batch[0].timeout_s,
            encoded=tuple([write.encoded for write in batch]),
        )
        try:
            outcomes = await self.propose(call)
        except ClientError as error:
            for write in batch:
                write.error = error
                write.done.set()
            return
        for write, outcome in zip(batch, outcomes, strict=True):
            write.outcome = outcome
            write.done.set()

    # ------------------------------------------------------------------------------------------------------- routing

    async def propose(self, call: Propose) -> tuple[Outcome, ...]:
        """The outcome of each transaction of this call. A manager that refuses for want of a quorum or a leader may stand
        on the wrong side of a partition, so the others are asked as well. Raises NoHost or NoQuorum if none answers."""
        refused: tuple[Outcome, ...] = ()
        for _ in range(LOOKS_MAX):
            managers, hears = await self._by_promise()
            if refused and max(hears.values(), default=0) < refused[0].needed:
                return refused  # nobody else hears a quorum either
            for manager in managers:
                outcomes = await self._through(manager.name, call)
                if outcomes is None:
                    continue
                if not all(one.fate is Fate.REFUSED and one.rule in ELSEWHERE_RULES for one in outcomes):
                    return outcomes
                refused, self._cluster.leader = outcomes, ""
                break
            else:
                raise self._cluster.nobody(len(managers))
        return refused

    async def _through(self, manager: str, call: Propose) -> tuple[Outcome, ...] | None:
        """The outcomes; None if the call certainly did not leave."""
        try:
            caller = await self._cluster.link(manager).caller(DIAL_TIMEOUT_S)
            answer = await caller.call(call, call.timeout_s + ANSWER_GRACE_S)
        except (NotReached, NotSent):
            return None
        except CallRefused as error:
            if error.rule == "internal":  # it failed on the way: how far it had come is not known
                return _lost(manager, str(error), call)
            raise Refused(error.rule, error.reason) from None
        except Broken as error:
            self._cluster.leader = ""  # it may be paused or cut off: the next write looks first
            return _lost(manager, str(error), call)
        if not isinstance(answer, Proposed) or len(answer.outcomes) != len(call.transactions):
            return _lost(manager, f"{type(answer).__name__} is no answer to it", call)
        return answer.outcomes

    async def _by_promise(self) -> tuple[list[NodeEntry], dict[str, int]]:
        """The managers, those first through which a write is most likely to be done: whoever leads with a quorum, then
        those that answer at all, by how many voters they hear; and that number by name, where it was asked."""
        cluster = self._cluster
        if await self._leader_is_trusted():
            return cluster.managers(), {}
        reports = await cluster.reports(for_writing=True)
        hears = {report.name: len(report.heard) for report in reports}
        cluster.leader = next((report.name for report in reports if report.holds_quorum), "")
        self._asked_at = trio.current_time()
        order = sorted(cluster.managers(), key=lambda node: (node.name != cluster.leader, -hears.get(node.name, -1)))
        return order, hears

    async def _leader_is_trusted(self) -> bool:
        leader = self._cluster.leader
        if not leader:
            return False
        link, now = self._cluster.link(leader), trio.current_time()
        if link.silent_s < TRUST_SILENT_S and now - self._asked_at < TRUST_S:
            return True
        if not link.connected:
            return False
        report = await self._cluster.report(leader)
        self._asked_at = now
        return report is not None and report.holds_quorum


def _lost(manager: str, why: str, call: Propose) -> tuple[Outcome, ...]:
    lost = Outcome(Fate.UNKNOWN, rule="lost", reason=f"sent to {manager}, but {why}; read before you repeat")
    return tuple(lost for _ in call.transactions)
