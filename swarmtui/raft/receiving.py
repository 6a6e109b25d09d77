"""What happens to a message before its role sees it: is it ours, whose term is newer, who may speak so.

In this order: cluster, addressee and sender first, so that a stranger's term is never looked at (who was removed is told
so); then the request for a vote, whose term counts only if no living leader protects itself; then the terms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from swarmtui.raft.belonging import on_stranger
from swarmtui.raft.candidate import Candidate
from swarmtui.raft.follower import Follower
from swarmtui.raft.invariants import require
from swarmtui.raft.messages import AnyMessage, Append, AppendReply, RemovedNotice, SnapshotChunk, VoteReply, VoteRequest
from swarmtui.raft.reasons import Why
from swarmtui.raft.voting import answer_vote_request

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


def receive(core: RaftCore, message: AnyMessage) -> None:
    why = why_not_ours(core, message)
    if why is not None:
        core.drop(message, why)
        return
    if message.source in core.belonging.barred:
        on_stranger(core, message)
        return
    if core.unreachable:
        core.unreachable.discard(message.source)
    apart = _TERM_APART.get(type(message))
    if apart is not None:
        apart(core, message)
    else:
        mine = core.ballot.term
        if message.term > mine:
            _adopt_term(core, message)
        elif message.term < mine:
            _answer_stale(core, message)
            return
        if not isinstance(core.role, Follower) and isinstance(message, _OF_A_LEADER):
            require(
                isinstance(core.role, Candidate), "one leader in a term", term=core.ballot.term, other=message.source
            )
            core.follow(core.ballot.term, message.source, Why("leader-heard", leader=core.name(message.source)))
        core.role.receive(message)


def why_not_ours(core: RaftCore, message: AnyMessage) -> Why | None:
    """Why this message is dropped before its term is looked at; None if it is for us."""
    if message.cluster != core.cluster:
        return Why("another-cluster", cluster=message.cluster, mine=core.cluster)
    if message.target != core.node_id:
        return Why("another-addressee", target=message.target, mine=core.node_id)
    if message.source == core.node_id or message.term < 1:
        return Why("malformed/message", sender=message.source, term=message.term)
    return None


def _adopt_term(core: RaftCore, message: AnyMessage) -> None:
    core.follow(
        message.term, "", Why("newer-term", seen=message.term, of=core.name(message.source), mine=core.ballot.term)
    )


def _on_vote_reply(core: RaftCore, message: VoteReply) -> None:
    """The term of a granted pre-vote is only asked for, nobody's; that of a refusal is the voter's own."""
    if message.term > core.ballot.term and not (message.pre and message.granted):
        _adopt_term(core, message)
    if isinstance(core.role, Candidate):
        core.role.on_vote_reply(message)


def _on_removed_notice(core: RaftCore, notice: RemovedNotice) -> None:
    core.belonging.on_notice(notice)


def _answer_stale(core: RaftCore, message: AnyMessage) -> None:
    """A leader of an older term learns of ours; so does a candidate stuck above its leader's term free the cluster."""
    if isinstance(message, _OF_A_LEADER):
        why = Why("old-term/leader", asked=message.term, mine=core.ballot.term)
        core.narrate("append refused", why, to=core.name(message.source))
        core.send(
            AppendReply(
                cluster=core.cluster,
                source=core.node_id,
                target=message.source,
                term=core.ballot.term,
                session=message.session,
                accepted=False,
                match=0,
                previous_index=0,
            )
        )


_OF_A_LEADER = (Append, SnapshotChunk)

_TERM_APART: dict[type, Callable[[RaftCore, Any], None]] = {
    VoteRequest: answer_vote_request,
    VoteReply: _on_vote_reply,
    RemovedNotice: _on_removed_notice,
}
"""Messages whose term is not simply the sender's, to be believed at once."""
