"""What is known of each node, and the judgement what it is: one line of reasoning for every word on the node strip.

Evidence is weighed by its time. The host knows what it did to a process; a node's own mark knows better if it is later;
an ended connection says nothing but silence, unless a dial was refused.
"""

from __future__ import annotations

import enum

import attrs

from swarmtui.console.model.lanes import Lane
from swarmtui.console.model.standing import STANDING_OF_RAFT_ROLE, Standing
from swarmtui.objects.states import Availability, NodeRole, NodeState
from swarmtui.wire.host_calls import NodePower, Power
from swarmtui.wire.node_calls import Mark, NodeReport

SILENT_AFTER_S = 2.5  # without a mark or a report, though the connection stands
POWER_STANDING = {
    Power.PAUSED: Standing.PAUSED,
    Power.KILLED: Standing.KILLED,
    Power.STOPPED: Standing.STOPPED,
    Power.EXITED: Standing.EXITED,
    Power.REFUSED: Standing.REFUSED,
}


class LinkState(enum.Enum):
    NEVER = enum.auto()  # not yet answered
    LINKED = enum.auto()
    LOST = enum.auto()
    REFUSED = enum.auto()  # nobody listens there


@attrs.define
class NodeKnowledge:
    """Everything heard about one node. Times are the console's, None: never."""

    id: str
    name: str
    role: NodeRole
    address: str = ""
    link: LinkState = LinkState.NEVER
    link_reason: str = ""
    link_since: float = 0.0
    heard_at: float | None = None
    mark: Mark | None = None
    mark_at: float = 0.0
    voters: tuple[tuple[str, str], ...] = ()
    leader_since: float | None = None
    pid: int = 0
    power: NodePower | None = None
    power_at: float = 0.0
    availability: Availability = Availability.ACTIVE
    stored: NodeState | None = None
    disk: str = ""
    lane: Lane = attrs.field(factory=Lane)

    @property
    def is_manager(self) -> bool:
        return self.role is NodeRole.MANAGER

    def linked(self, report: NodeReport, now: float) -> None:
        """The node answered: its report is a mark with more to it."""
        self.link, self.link_reason, self.link_since = LinkState.LINKED, "", now
        self.reported(report, now)

    def reported(self, report: NodeReport, now: float) -> None:
        self.pid, self.disk = report.pid, report.disk
        self.address = report.address or self.address
        if report.voters:
            self.voters = report.voters
        if report.raft_role == "leader":
            self.leader_since = report.leader_since
        self.marked(
            Mark(
                node_id=report.node_id,
                time=now,
                raft_role=report.raft_role,
                term=report.term,
                leader_id=report.leader_id,
                last=report.last,
                commit=report.commit,
                applied=report.applied,
                first=report.first,
                heard=report.heard,
                holds_quorum=report.holds_quorum,
                timer_left_s=report.timer_left_s,
                timer_total_s=report.timer_total_s,
            ),
            now,
        )

    def marked(self, mark: Mark, now: float) -> None:
        before = self.mark
        if mark.raft_role != "leader":
            self.leader_since = None
        elif before is None or before.raft_role != "leader" or before.term != mark.term:
            self.leader_since = self.leader_since or mark.time
        self.mark, self.mark_at, self.heard_at = mark, now, now
        if self.link is not LinkState.LINKED:
            self.link, self.link_since = LinkState.LINKED, now

    def lost(self, reason: str, refused: bool, now: float) -> None:
        state = LinkState.REFUSED if refused else LinkState.LOST
        if self.link is not state:
            self.link, self.link_since = state, now
        self.link_reason = reason

    def powered(self, power: NodePower, now: float) -> None:
        self.power, self.power_at = power, now
        self.address = power.address or self.address
        if power.pid:
            self.pid = power.pid

    def standing(self, now: float, newest_quorum_term: int) -> Standing:
        """What the node is, on all the evidence. `newest_quorum_term`: the term of the leader that holds a quorum, 0: none."""
        if (ended := self._power_standing()) is not None:
            return ended
        if self.link is LinkState.REFUSED:
            started = (
                self.power is not None and self.power.power is Power.RUNNING and self.power.since > self.link_since
            )
            return Standing.ASKING if started else Standing.DOWN  # started since, and not yet heard
        if self.link is LinkState.NEVER:
            return Standing.ASKING
        if self.link is LinkState.LOST or self.heard_at is None or now - self.heard_at > SILENT_AFTER_S:
            return Standing.SILENT
        if self.mark is None or not self.is_manager:
            return Standing.WORKER
        standing = STANDING_OF_RAFT_ROLE.get(self.mark.raft_role, Standing.FOLLOWER)
        if standing is Standing.LEADER and (not self.mark.holds_quorum or self.mark.term < newest_quorum_term):
            return Standing.DOUBTED
        return standing

    def _power_standing(self) -> Standing | None:
        """What the host did to it, unless the node itself was heard after that."""
        if self.power is None:
            return None
        standing = POWER_STANDING.get(self.power.power)
        if standing is None:
            return None
        heard_later = self.link is LinkState.LINKED and self.heard_at is not None and self.heard_at > self.power_at
        return None if heard_later else standing

    def stands_since(self, standing: Standing) -> float | None:
        """Since when it stands so, where that is known: a death, a pause, a silence."""
        if standing in (Standing.SILENT, Standing.DOWN):
            return self.link_since if self.link is not LinkState.LINKED else self.heard_at
        if self.power is not None and (standing.is_dead or standing is Standing.PAUSED):
            return self.power.since or None
        return None

    @property
    def term(self) -> int:
        return self.mark.term if self.mark is not None else 0

    def timer(self, now: float) -> tuple[float, float] | None:
        """Seconds left and in all of the election timer, carried on from the last mark; None where none runs."""
        mark = self.mark
        if mark is None or mark.timer_left_s is None or not mark.timer_total_s:
            return None
        return max(0.0, mark.timer_left_s - (now - self.mark_at)), mark.timer_total_s
