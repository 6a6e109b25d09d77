"""The status of a core, read off without changing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmtui.raft.follower import Follower
from swarmtui.raft.leader import Leader
from swarmtui.raft.membership import CatchUp
from swarmtui.raft.status import CatchUpStatus, PeerStatus, Status

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


def status_of(core: RaftCore, now: float) -> Status:
    """`now` may be later than the last input."""
    role, log = core.role, core.log
    core.now = now
    leads = isinstance(role, Leader)
    heard = _heard(core)
    timer = None if isinstance(role, Leader) else role.timer
    return Status(
        node=core.node_id,
        role=role.kind,
        term=core.ballot.term,
        vote=core.ballot.vote,
        leader=role.leader,
        first=log.first,
        last=log.last,
        durable=log.durable,
        commit=log.commit,
        applied=core.applied,
        snapshot=core.snapshot.index if core.snapshot else 0,
        configuration=core.members.current,
        heard=heard,
        holds_quorum=leads and core.members.quorum.reached(heard),
        timer_left_s=None if timer is None else max(0.0, timer.expires_at - now),
        timer_total_s=None if timer is None else timer.total_s,
        leader_since=role.since if isinstance(role, Leader) else None,
        peers=_peers(role, now) if isinstance(role, Leader) else {},
        expelled=core.belonging.expelled,
    )


def _peers(leader: Leader, now: float) -> dict[str, PeerStatus]:
    core = leader.core
    return {
        peer: PeerStatus(
            state=progress.state.value,
            match=progress.match,
            next=progress.next,
            in_flight=len(progress.in_flight),
            heard_s=None if progress.heard_at is None else now - progress.heard_at,
            lag=core.log.last - progress.match,
            votes=peer in core.members.voters,
            catch_up=_catch_up(leader.membership.catching_up.get(peer), now),
        )
        for peer, progress in leader.progress.items()
    }


def _catch_up(catch_up: CatchUp | None, now: float) -> CatchUpStatus | None:
    if catch_up is None:
        return None
    return CatchUpStatus(
        round=catch_up.number,
        target=catch_up.target,
        last_s=catch_up.last_s,
        ready=catch_up.ready,
        pauses_s=None if catch_up.pause_until is None else max(0.0, catch_up.pause_until - now),
    )


def _heard(core: RaftCore) -> tuple[str, ...]:
    role = core.role
    if isinstance(role, Leader):
        return role.heard()
    heard = {core.node_id} if core.is_voter else set()
    if isinstance(role, Follower) and role.contact_age() is not None:
        heard.add(role.leader)
    return tuple(sorted(heard))
