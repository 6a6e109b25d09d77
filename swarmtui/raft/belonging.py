"""What the configuration in force means to this node: whether it may campaign, whom it no longer listens to, and what the
embedder is told of it.

A configuration is in force from its append, so who votes and who counts changes there and then. What is for ever waits for
the commit: an id is barred, and a node learns that it was expelled, only by a removal that no new leader can take back.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from swarmtui.raft.effects import Expelled, MembersChanged
from swarmtui.raft.follower import Follower
from swarmtui.raft.leader import Leader
from swarmtui.raft.messages import AnyMessage, RemovedNotice
from swarmtui.raft.reasons import Why

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore

NEVER = sys.maxsize  # as an index


class Belonging:
    """`settles_at` is the commit index at which the next configuration of the log is committed, `NEVER` if all are. `barred`
    are the ids that are not listened to. `expelled` says why this node is out, "" while it is not."""

    def __init__(self, core: RaftCore) -> None:
        self.core = core
        self.expelled = ""
        self.settles_at = NEVER
        self.barred: frozenset[str] = frozenset()
        self._votes = core.is_voter
        self._settle()

    def may_campaign(self, asked_by_leader: bool) -> bool:
        """A voter may. So may, by its own timer, who was one before a configuration that is not committed: where it has the
        only log with that entry, nobody else can be elected (dissertation 4.2.2: server 1 of two leaves, and crashes)."""
        core = self.core
        if self.expelled:
            return False
        was_voter = self.settles_at != NEVER and core.node_id in core.members.previous.voter_ids
        return core.is_voter or (was_voter and not asked_by_leader)

    def why_no_campaign(self, *, asked_by_leader: bool) -> Why | None:
        """Why this node asks nobody for a vote now."""
        core = self.core
        if not self.may_campaign(asked_by_leader=asked_by_leader):
            return Why("no-voter", node=core.name(core.node_id))
        if core.incoming.installing is not None:
            return Why("installing", index=core.incoming.installing.index)
        return Why("disk-hangs", patience_ms=round(core.disk_patience_s * 1000)) if core.disk_is_stuck() else None

    def changed(self) -> None:
        """Another configuration is in force: appended, taken back by truncation, or brought by a snapshot."""
        core, members = self.core, self.core.members
        if isinstance(core.role, Leader):
            core.role.meet_members()
        core.narrate("members", configuration=str(members.current), since=members.index)
        core.emit(MembersChanged(members.index, members.current, members.index <= core.log.commit))
        self._settle()
        self._announce()

    def settled(self) -> None:
        """The commit index has reached a configuration: that in force, or where much comes at once the one before."""
        index, configuration = self.core.members.standing(self.core.log.commit)
        self.core.emit(MembersChanged(index, configuration, True))
        self._settle()

    def _settle(self) -> None:
        """What is committed holds for ever."""
        members, commit = self.core.members, self.core.log.commit
        index, configuration = members.standing(commit)
        self.settles_at = next((at for at in (members.previous_index, members.index) if at > commit), NEVER)
        self.barred = configuration.gone
        if self.core.node_id in self.barred:
            self._expel(Why("removed", index=index))

    def _announce(self) -> None:
        """A follower that may vote now, or no longer, says so."""
        before, self._votes = self._votes, self.core.is_voter
        if before != self._votes and isinstance(self.core.role, Follower):
            index = self.core.members.index
            self.core.announce(Why("made-voter", index=index) if self._votes else Why("voter-no-more", index=index))

    # ---- who was removed ----

    def tell_removed(self, peer: str) -> None:
        core = self.core
        core.send(
            RemovedNotice(
                cluster=core.cluster, source=core.node_id, target=peer, term=core.ballot.term, index=core.members.index
            )
        )

    def on_notice(self, notice: RemovedNotice) -> None:
        """A removal is told only when it is committed, and nobody comes back: whoever says it, however late, is right."""
        core = self.core
        why = Why("removed/told", by=core.name(notice.source), index=notice.index)
        self._expel(why)
        if not isinstance(core.role, Follower):
            core.follow(core.ballot.term, "", why)

    def _expel(self, why: Why) -> None:
        if not self.expelled:
            self.expelled = str(why)
            self.core.emit(Expelled(why))


def on_stranger(core: RaftCore, message: AnyMessage) -> None:
    """Whoever was removed is told so, whatever it says; it is not listened to."""
    core.drop(message, Why("barred", sender=core.name(message.source)))
    if not isinstance(message, RemovedNotice):
        core.belonging.tell_removed(message.source)
