"""Early pre-vote: a refused dial to the leader hurries an election, and can never do harm.

The hint clears the contact to that leader on this node alone; nobody clears it because another said so. What follows is a
pre-vote, which binds nothing. The first comes after rank x 2 ms; while the others still hear the leader they refuse, and it
is repeated after each pause of `hurry_retries_s`; after the last the election timer takes over. Who refused one, and then
gets a hint of its own, grants it at once without being asked again.

Two that hurry at the same moment would split the votes and then wait for their timers. So who grants an early pre-vote
lets its own next attempt wait, who comes later by id takes its question back, and who has voted refuses the pre-votes of
others for a moment (`voting.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from swarmtui.raft.candidate import Candidate
from swarmtui.raft.follower import Follower
from swarmtui.raft.inputs import LeaderLost
from swarmtui.raft.leader import Leader
from swarmtui.raft.options import RaftOptions
from swarmtui.raft.reasons import Why
from swarmtui.raft.voting import answer_pre_vote

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


@attrs.define
class Hurry:
    """`rank_s` keeps two of us apart each time; `due_at` is the next attempt."""

    cause: Why
    rank_s: float
    due_at: float
    attempts: int = 0

    def hold(self, options: RaftOptions, now: float) -> None:
        """Somebody (perhaps ourselves) is about to be elected: competing with it would split the votes."""
        self.due_at = max(self.due_at, now + options.hurry_patience_s + self.rank_s)

    def next_attempt(self, options: RaftOptions, now: float) -> bool:
        """Plan the attempt after this one; False if this is the last."""
        if self.attempts >= len(options.hurry_retries_s):
            return False
        self.due_at = now + options.hurry_retries_s[self.attempts]
        self.attempts += 1
        return True


def on_leader_lost(core: RaftCore, hint: LeaderLost) -> None:
    role = core.role
    if not isinstance(role, Follower) or role.leader != hint.leader or hint.term != core.ballot.term:
        return
    left_ms = max(0.0, role.timer.expires_at - core.now) * 1000
    cause = Why("dial-refused", left_ms=round(left_ms), leader=core.name(hint.leader))
    role.forget_leader()
    core.ballot.voted_at = None  # whoever we voted for in this term has been elected and is gone, or was not elected
    if core.options.hurry and core.is_voter and core.hurry is None:
        rank_s = _rank(core, hint.leader) * core.options.hurry_rank_s
        core.hurry = Hurry(cause, rank_s, core.now + rank_s)
    for request in role.turned_away.values():  # they knew before we did: what we refused a moment ago holds no more
        answer_pre_vote(core, request)
    role.turned_away.clear()
    hurry_on(core)
    if core.role is role:
        core.announce(cause)


def _rank(core: RaftCore, leader: str) -> int:
    """Our place among the voters that are left, by id."""
    return [id for id in core.members.voters if id != leader].index(core.node_id)


def hurry_on(core: RaftCore) -> None:
    """If the next attempt is due: one early pre-vote; our own candidacy, if it is fresh, is given time first."""
    hurry, role = core.hurry, core.role
    if hurry is None or core.now < hurry.due_at:
        return
    if isinstance(role, Candidate) and not role.pre and not role.is_overdue():
        hurry.hold(core.options, core.now)
        return
    if not hurry.next_attempt(core.options, core.now):
        core.hurry = None
    if not isinstance(role, Leader):
        core.begin_election(hurry.cause, timer=role.timer)
