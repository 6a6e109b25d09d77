"""Who gets this node's vote.

The rule that protects a living leader comes first, for pre-votes and votes alike: whoever has heard its leader within an
election timeout, or leads and has heard a quorum, refuses and does not even look at the term. So a node that was cut off
cannot depose a leader on its return. Only the leader's own wish (a transfer) is exempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmtui.raft.candidate import Candidate
from swarmtui.raft.follower import Follower
from swarmtui.raft.messages import VoteReply, VoteRequest
from swarmtui.raft.reasons import Why

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


def answer_vote_request(core: RaftCore, request: VoteRequest) -> None:
    age = core.role.contact_age()
    if age is not None and not request.transfer:
        voter, leader, age_ms = core.name(core.node_id), core.role.leader, round(age * 1000)
        if leader == core.node_id:
            _refuse(core, request, Why("living-leader/itself", voter=voter, age_ms=age_ms))
        else:
            _refuse(core, request, Why("living-leader", voter=voter, leader=core.name(leader), age_ms=age_ms))
        if request.pre and isinstance(core.role, Follower) and request.source in core.members.voters:
            core.role.turned_away[request.source] = request
    elif request.pre:
        answer_pre_vote(core, request)
    else:
        _answer_vote(core, request)


def answer_pre_vote(core: RaftCore, request: VoteRequest) -> None:
    """Would I vote so? The answer binds nothing, resets nothing and changes no term."""
    ballot = core.ballot
    could_vote = request.term > ballot.term or (request.term == ballot.term and ballot.vote in ("", request.source))
    rival = _fresh_candidate(core)
    if rival and rival != request.source:
        # Two at a time would split the votes.
        _refuse(core, request, Why("rival", rival=core.name(rival), mine=ballot.term))
    elif not could_vote:
        _refuse(core, request, Why("old-term/pre-vote", asked=request.term, mine=ballot.term))
    elif not core.log.is_up_to_date(request.last_term, request.last_index):
        _refuse(core, request, _why_behind(core, request))
    else:
        core.narrate("pre-vote granted", to=core.name(request.source), asked=request.term)
        if core.hurry is not None:
            core.hurry.hold(core.options, core.now)  # only our own early attempt waits, never the election timer
            if isinstance(core.role, Candidate):
                core.role.make_way(request.source)
        core.send(_grant(core, request))


def _fresh_candidate(core: RaftCore) -> str:
    """Whose election is under way as far as we know and may well succeed: "" if nobody's."""
    if isinstance(core.role, Candidate) and not core.role.pre:
        return "" if core.role.is_overdue() else core.node_id
    patience_s = min(core.options.candidacy_patience_s, core.options.election_timeout_s)
    voted_at = core.ballot.voted_at
    if voted_at is None or core.role.leader or core.now >= voted_at + patience_s:
        return ""
    return core.ballot.vote


def _answer_vote(core: RaftCore, request: VoteRequest) -> None:
    ballot = core.ballot
    if request.term > ballot.term:
        why = Why("newer-term/candidate", seen=request.term, of=core.name(request.source), mine=ballot.term)
        core.follow(request.term, "", why)
    if request.term < ballot.term:
        _refuse(core, request, Why("old-term/vote", asked=request.term, mine=ballot.term))
    elif ballot.vote not in ("", request.source):
        _refuse(core, request, Why("voted", vote=core.name(ballot.vote), mine=ballot.term))
    elif not core.log.is_up_to_date(request.last_term, request.last_index):
        _refuse(core, request, _why_behind(core, request))
    else:
        vote_for(core, _grant(core, request))


def vote_for(core: RaftCore, grant: VoteReply) -> None:
    """Vote for whom this is to be told, tell it once that is durable, and give the candidate time."""
    ballot, candidate = core.ballot, grant.target
    if ballot.vote != candidate:
        ballot.change(ballot.term, candidate, core.log.next_sequence)
        core.narrate("vote granted", to=core.name(candidate))
    core.hurry = None
    ballot.voted_at = core.now
    if isinstance(core.role, Follower):
        core.role.timer = core.new_timer()
    if core.hard_state_is_durable:
        core.send(grant)
    else:
        ballot.owed = grant


def _why_behind(core: RaftCore, request: VoteRequest) -> Why:
    its_last, its_term = request.last_index, request.last_term
    return Why("log-behind", its_last=its_last, its_term=its_term, my_last=core.log.last, my_term=core.log.last_term)


def _grant(core: RaftCore, request: VoteRequest) -> VoteReply:
    return VoteReply(
        cluster=core.cluster,
        source=core.node_id,
        target=request.source,
        term=request.term,
        granted=True,
        pre=request.pre,
    )


def _refuse(core: RaftCore, request: VoteRequest, why: Why) -> None:
    core.narrate("pre-vote refused" if request.pre else "vote refused", why, to=core.name(request.source))
    core.send(
        VoteReply(
            cluster=core.cluster,
            source=core.node_id,
            target=request.source,
            term=core.ballot.term,
            granted=False,
            pre=request.pre,
            why=why,
        )
    )
