"""One copy of some writes on its way to whoever leads.

What certainly did not leave is tried with the next manager; what left and was not answered is unknown here. Whether it is
sent once more is not decided here (`delivery`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from swarmtui.client.errors import NotReached, Refused
from swarmtui.objects.manifest import NodeEntry
from swarmtui.wire.calls import Answer
from swarmtui.wire.node_calls import Fate, Outcome, Propose, Proposed
from swarmtui.wire.rpc import FAILED_RULES, Caller, CallFailed, CallRefused, NotSent
from swarmtui.wire.rules import LOST, NO_LEADER, NO_QUORUM, NOT_A_MANAGER, NOT_LEADER

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster

DIAL_TIMEOUT_S = 1.0
LOOKS_MAX = 3  # times that a leader is looked for while managers refuse for want of one
ANSWER_GRACE_S = 2.0  # beyond what the node itself was given
TRUST_SILENT_S = 1.0  # a leader that said nothing for longer is asked whether it leads before it is given a write,
TRUST_S = 5.0  # and one that was not asked for longer: it may have handed over, and would forward for ever
BEREAVED_S = 0.3  # after the leader's connection ended any manager will do: it waits for the next one as well as we can

ELSEWHERE_RULES = frozenset({NO_QUORUM, NO_LEADER, NOT_LEADER})
"""Refusals by a manager that stands apart: another one may know better."""

FAULT_RULE = "fault"  # of an unknown outcome that no further copy would better: a node failed over this very call
READ_FIRST = "read before you repeat"


@attrs.define(eq=False)
class _Look:
    """One round of asking the managers who leads, shared by all who want to know meanwhile."""

    done: trio.Event = attrs.field(factory=trio.Event)
    hears: dict[str, int] = attrs.field(factory=dict)


class Writes:
    """Finds whoever leads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._asked_at = float("-inf")  # when the leader last said that it leads
        self._bereaved_at = float("-inf")  # when the connection to the leader ended under a write
        self._lost = ""  # the id of that leader
        self._looking: _Look | None = None

    async def propose(self, call: Propose) -> tuple[Outcome, ...]:
        """The outcome of each transaction of this call. A manager that refuses for want of a quorum or a leader may stand
        on the wrong side of a partition, so the others are asked as well. Raises NoHost or NoQuorum if none answers."""
        refused: tuple[Outcome, ...] = ()
        for _ in range(LOOKS_MAX):
            managers, hears = await self._by_promise(refused=bool(refused))
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
        if self._is_bereaved():
            call = attrs.evolve(call, lost=self._lost)
        try:
            caller = await self._cluster.link(manager).caller(DIAL_TIMEOUT_S)
        except NotReached:
            return None
        try:
            answer: Answer | CallFailed = await caller.call(call, call.timeout_s + ANSWER_GRACE_S)
        except CallFailed as error:
            answer = error
        return self.understand(caller, call, answer)

    def understand(self, caller: Caller, call: Propose, answer: Answer | CallFailed) -> tuple[Outcome, ...] | None:
        """What an answer, or its failing to come, means for the transactions of this call; None if it certainly did not
        leave. Raises Refused."""
        peer = caller.connection.identity
        manager = peer.name or peer.node_id
        if isinstance(answer, Proposed) and len(answer.outcomes) == call.count:
            return answer.outcomes
        if isinstance(answer, NotSent):
            return None
        if isinstance(answer, CallRefused):
            if answer.rule in FAILED_RULES:
                return _lost(manager, str(answer), call, FAULT_RULE)
            if answer.rule == NOT_A_MANAGER:
                return None  # it was demoted a moment ago
            raise Refused(answer.rule, answer.reason)
        if isinstance(answer, CallFailed):
            self._cluster.leader = ""  # it may be paused or cut off: the next write looks first
            if caller.connection.ended is not None:  # it is dead, as far as anybody can tell
                self._bereaved_at, self._lost = trio.current_time(), peer.node_id
            return _lost(manager, str(answer), call)
        return _lost(manager, f"{type(answer).__name__} is no answer to it", call)

    def trusted_leader(self) -> Caller | None:
        """Whoever leads, if that can be believed without asking anybody."""
        link = self._cluster.find_link(self._cluster.leader)
        caller = None if link is None else link.live  # it may have left the cluster
        if caller is None:
            return None
        now = trio.current_time()
        is_fresh = now - caller.connection.heard_at < TRUST_SILENT_S and now - self._asked_at < TRUST_S
        return caller if is_fresh else None

    async def _by_promise(self, *, refused: bool) -> tuple[list[NodeEntry], dict[str, int]]:
        """The managers, those first through which a write is most likely to be done: whoever leads with a quorum, then
        those that answer at all, by how many voters they hear; and that number by name, where it was asked. `refused`: one
        of them refused already for want of a leader, so they are asked in any case."""
        cluster = self._cluster
        if await self._leader_is_trusted():
            return cluster.managers(), {}
        if not refused and self._is_bereaved():
            return cluster.managers(), {}  # those with a connection first
        hears = await self.look()
        order = sorted(cluster.managers(), key=lambda node: (node.name != cluster.leader, -hears.get(node.name, -1)))
        return order, hears

    def _is_bereaved(self) -> bool:
        """The leader has just died, and somebody else is connected."""
        young = trio.current_time() < self._bereaved_at + BEREAVED_S
        return young and any(self._cluster.link(node.name).connected for node in self._cluster.manifest.managers)

    async def look(self) -> dict[str, int]:
        """Who leads now (`cluster.leader`), and how many voters each manager hears. A thousand writers that lost their
        leader in the same moment ask once."""
        look = self._looking
        if look is None:
            look = self._looking = _Look()
            self._cluster.nursery.start_soon(self._ask_around, look)
        await look.done.wait()
        return look.hears

    async def _ask_around(self, look: _Look) -> None:
        cluster = self._cluster
        try:
            reports = await cluster.reports(for_writing=True)
            look.hears = {report.name: len(report.heard) for report in reports}
            cluster.leader = next((report.name for report in reports if report.holds_quorum), "")
            self._asked_at = trio.current_time()
        finally:
            self._looking = None
            look.done.set()

    async def _leader_is_trusted(self) -> bool:
        leader = self._cluster.leader
        if self.trusted_leader() is not None:
            return True
        if not leader or not self._cluster.link(leader).connected:
            return False
        now = trio.current_time()
        report = await self._cluster.report(leader)
        self._asked_at = now
        return report is not None and report.holds_quorum


def _lost(manager: str, why: str, call: Propose, rule: str = LOST) -> tuple[Outcome, ...]:
    lost = Outcome(Fate.UNKNOWN, rule=rule, reason=f"sent to {manager}, but {why}; {READ_FIRST}")
    return (lost,) * call.count
