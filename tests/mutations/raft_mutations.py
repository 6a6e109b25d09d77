"""Bugs of consensus, each of which some implementation once had (reference: the issues named in swarmtui/raft)."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

SIMULATOR = ("tests/sim/test_sim_seeds.py::test_fresh_seeds",)
RAFT = ("tests/raft",)
ATTESTED = ("tests/raft/test_raft_attestation.py",)

MUTATIONS = (
    Mutation(
        name="acknowledge-before-sync",
        rule="an entry is acknowledged only once it is durable",
        file="swarmtui/raft/follower.py",
        old="match = min(agreed, log.durable)",
        new="match = agreed",
        tests=SIMULATOR,
    ),
    Mutation(
        name="leader-counts-its-unsynced-copy",
        rule="the leader's own copy counts only once it is durable",
        file="swarmtui/raft/leader.py",
        old="held[core.node_id] = log.durable",
        new="held[core.node_id] = log.last",
        tests=SIMULATOR,
    ),
    Mutation(
        name="reads-wait-without-bound-to-be-applied",
        rule="no unbounded queue: reads that wait for the state machine count as well",
        file="swarmtui/raft/follower.py",
        old="        waiting = len(self.forwarded) + len(core.reads)\n",
        new="        waiting = len(self.forwarded)\n",
        tests=("tests/raft/test_raft_limits.py",),
    ),
    Mutation(
        name="notice-for-what-an-append-has-told",
        rule="a commit is told once: by the Append that follows it, or else by a message of its own",
        file="swarmtui/raft/leader.py",
        old="        if has_sent and self.notice_at is not None and self.replication.has_told(self.core.log.commit):\n",
        new="        if False:\n",
        tests=RAFT,
    ),
    Mutation(
        name="commit-that-nobody-is-told",
        rule="a commit is told once: by the Append that follows it, or else by a message of its own",
        file="swarmtui/raft/replication.py",
        old="    return progress.state is REPLICATE and progress.commit_sent < commit\n",
        new="    return False\n",
        tests=RAFT,
    ),
    Mutation(
        name="silent-while-it-installs",
        rule="a voter that installs a snapshot is heard by its leader meanwhile",
        file="swarmtui/raft/follower.py",
        old="            self.reply_due = True\n            return\n",
        new="            return\n",
        tests=("tests/raft/test_raft_limits.py",),
    ),
    Mutation(
        name="commit-of-an-old-term-by-counting",
        rule="only entries of the leader's own term are committed by counting",
        file="swarmtui/raft/leader.py",
        old="if index <= log.commit or log.term_at(index) != core.ballot.term:",
        new="if index <= log.commit:",
        tests=(*RAFT, *SIMULATOR),
    ),
    Mutation(
        name="vote-told-before-durable",
        rule="a vote is durable before it is told",
        file="swarmtui/raft/voting.py",
        old="""    if core.hard_state_is_durable:
        core.send(grant)
    else:""",
        new="""    if True:
        core.send(grant)
    else:""",
        tests=SIMULATOR,
    ),
    Mutation(
        name="candidacy-told-before-durable",
        rule="a candidate's own vote is durable before it asks for others'",
        file="swarmtui/raft/candidate.py",
        old="if self.pre or self.core.hard_state_is_durable:",
        new="if True:",
        tests=SIMULATOR,
    ),
    Mutation(
        name="vote-forgotten-on-disk",
        rule="one vote in a term, also over a restart",
        file="swarmtui/raft/ballot.py",
        old="return HardState(self.term, self.vote, commit)",
        new='return HardState(self.term, "", commit)',
        tests=SIMULATOR,
    ),
    Mutation(
        name="answer-of-a-term-that-is-over",
        rule="a vote that waits for the disk is void once its term is over",
        file="swarmtui/raft/ballot.py",
        old="        self.owed = None\n",
        new="",
        tests=RAFT,
    ),
    Mutation(
        name="stale-append-truncates",
        rule="entries that agree are never truncated by a stale append",
        file="swarmtui/raft/follower.py",
        old="""            entries = entries[skip:]
""",
        new="""            core.truncate(max(previous, log.commit))
            entries = tuple(entry for entry in entries if entry.index > log.last)
""",
        tests=(*RAFT, *SIMULATOR),
    ),
    Mutation(
        name="follower-commits-unverified-tail",
        rule="a follower commits only what was verified against the leader's log",
        file="swarmtui/raft/follower.py",
        old="self.core.commit_to(min(index, self.verified))",
        new="self.core.commit_to(min(index, self.core.log.last))",
        tests=(*RAFT, *SIMULATOR),
    ),
    Mutation(
        name="commits-while-a-snapshot-is-installed",
        rule="the commit index stays while a snapshot takes the log's place",
        file="swarmtui/raft/follower.py",
        old="""        if not self.core.incoming.is_installing:
            self.core.commit_to""",
        new="""        if True:
            self.core.commit_to""",
        tests=RAFT,
    ),
    Mutation(
        name="all-are-promoted-or-none",
        rule="who does not replace the leader is promoted first where all at once would leave it nobody to hand over to",
        file="swarmtui/raft/membership.py",
        old='if why.name == "leader-leaves/nobody" and first',
        new="if False and first",
        tests=RAFT,
    ),
    Mutation(
        name="append-without-matching-predecessor",
        rule="entries are taken only after a predecessor that agrees",
        file="swarmtui/raft/follower.py",
        old="if previous > log.commit and log.term_at(previous) != message.previous_term:",
        new="if previous > log.last:",
        tests=SIMULATOR,
    ),
    Mutation(
        name="apply-ahead-of-durable",
        rule="nothing is applied that is not durable here",
        file="swarmtui/raft/core.py",
        old="ready = min(self.log.commit, self.log.durable)",
        new="ready = self.log.commit",
        tests=SIMULATOR,
    ),
    Mutation(
        name="longer-log-wins-over-newer",
        rule="who gets a vote has the newer last term, then the longer log",
        file="swarmtui/raft/log.py",
        old="return (last_term, last_index) >= (self.last_term, self.last)",
        new="return last_index >= self.last",
        tests=SIMULATOR,
    ),
    Mutation(
        name="vote-twice-in-a-term",
        rule="one vote in a term",
        file="swarmtui/raft/voting.py",
        old="""    elif ballot.vote not in ("", request.source):""",
        new="""    elif ballot.vote == core.node_id and ballot.vote != request.source:""",
        tests=SIMULATOR,
    ),
    Mutation(
        name="late-grants-counted",
        rule="a grant counts only in the term that it was asked for",
        file="swarmtui/raft/candidate.py",
        old="if message.term == self.core.ballot.term + (1 if self.pre else 0):",
        new="if True:",
        tests=(*RAFT, *SIMULATOR),
    ),
    Mutation(
        name="overwritten-write-vouches",
        rule="the report of a write that was overwritten makes nothing durable",
        file="swarmtui/raft/log.py",
        old="""            write.vouches = min(write.vouches, after)
""",
        new="""            write.vouches = write.vouches
""",
        tests=(*RAFT, *SIMULATOR),
    ),
    Mutation(
        name="snapshot-keeps-a-conflicting-tail",
        rule="behind a snapshot only entries that agree with it are kept",
        file="swarmtui/raft/incoming.py",
        old="""        kept = tuple(log.between(mark.index + 1, log.last)) if log.term_at(mark.index) == mark.term else ()
""",
        new="""        kept = tuple(log.between(mark.index + 1, log.last))
""",
        tests=(*RAFT, *SIMULATOR),
    ),
    Mutation(
        name="read-without-own-commit",
        rule="a new leader reads only once an entry of its own term is committed",
        file="swarmtui/raft/leader.py",
        old="return self.core.log.commit >= self.first_index",
        new="return True",
        tests=(*RAFT, *SIMULATOR),
    ),
    Mutation(
        name="read-without-quorum",
        rule="a read is confirmed by a quorum that answered after it was asked for",
        file="swarmtui/raft/leader.py",
        old="self.reads.confirm(core.members.quorum.agreed(rounds, 0))",
        new="self.reads.confirm(self.reads.number)",
        tests=SIMULATOR,
    ),
    Mutation(
        name="question-of-a-follower-is-a-quorum",
        rule="a follower's question vouches for its own read like one answer, and a majority is needed as ever",
        file="swarmtui/raft/leader.py",
        old="core.members.quorum.reached((core.node_id, read.source))",
        new="True",
        tests=RAFT,
    ),
    Mutation(
        name="question-of-anybody-beside-three-voters",
        rule="a learner's question vouches for nothing, and one half of a joint configuration is not enough",
        file="swarmtui/raft/leader.py",
        old="core.members.quorum.reached((core.node_id, read.source))",
        new="len(core.members.current.voters) <= 3",
        tests=("tests/raft/test_raft_membership.py",),
    ),
    Mutation(
        name="read-confirmed-by-an-old-round",
        rule="an answer to an earlier round confirms no later read",
        file="swarmtui/raft/leader.py",
        old="""        round_is_news = message.round > progress.round
        if round_is_news:
            progress.round = min(message.round, self.reads.number)
""",
        new="""        round_is_news = True
        progress.round = self.reads.number
""",
        tests=RAFT,
    ),
    Mutation(
        name="attested-whatever-the-term",
        rule="who has heard of a later term vouches for no leader of an earlier one",
        file="swarmtui/raft/attestation.py",
        old=" for one in attestations if one.term <= leader.term}",
        new=" for one in attestations}",
        tests=ATTESTED,
    ),
    Mutation(
        name="attested-state-may-lag",
        rule="an attested read serves no state from before the leader's commit index",
        file="swarmtui/raft/attestation.py",
        old=" and applied >= leader.commit",
        new="",
        tests=ATTESTED,
    ),
    Mutation(
        name="attested-by-some",
        rule="everybody of the quorum that the leader named has spoken since the read was asked for",
        file="swarmtui/raft/attestation.py",
        old="vouching.issuperset(leader.quorum)",
        new="not vouching.isdisjoint(leader.quorum)",
        tests=ATTESTED,
    ),
    Mutation(
        name="attested-without-quorum",
        rule="a leader names a majority of its configuration, or none",
        file="swarmtui/raft/leader.py",
        old="members.quorum.reached(found)",
        new="found",
        tests=ATTESTED,
    ),
    Mutation(
        name="attested-before-own-commit",
        rule="a new leader attests no commit index before an entry of its own term is committed",
        file="swarmtui/raft/leader.py",
        old="self.may_read and members.quorum",
        new="members.quorum",
        tests=ATTESTED,
    ),
    Mutation(
        name="hint-clears-anothers-contact",
        rule="a node that hears its leader refuses its vote, whatever another node was told",
        file="swarmtui/raft/voting.py",
        old="if age is not None and not request.transfer:",
        new="if age is not None and not request.transfer and False:",
        tests=RAFT,
    ),
    Mutation(
        name="no-pre-vote",
        rule="a node that was cut off raises nobody's term",
        file="swarmtui/raft/core.py",
        old="        if transfer:\n            self.stand(cause, transfer=True)",
        new="        if True:\n            self.stand(cause, transfer=True)",
        tests=RAFT,
    ),
    Mutation(
        name="no-quorum-check",
        rule="a leader that hears no quorum steps down",
        file="swarmtui/raft/leader.py",
        old="core, patience = self.core, self.core.options.election_timeout_s",
        new="core, patience = self.core, self.core.options.election_timeout_s * 1e6",
        tests=RAFT,
    ),
    Mutation(
        name="another-sessions-answer-counted",
        rule="an answer to an earlier life of a peer acknowledges nothing",
        file="swarmtui/raft/leader.py",
        old="if progress is None or message.session != progress.session:",
        new="if progress is None:",
        tests=RAFT,
    ),
    Mutation(
        name="term-before-cluster",
        rule="a stranger's term is never looked at",
        file="swarmtui/raft/receiving.py",
        old="""    if message.cluster != core.cluster:
        return Why("another-cluster", cluster=message.cluster, mine=core.cluster)
""",
        new="",
        tests=RAFT,
    ),
    Mutation(
        name="refuse-after-appending",
        rule="a leader in contact with fewer than a quorum refuses before it appends",
        file="swarmtui/raft/leader.py",
        old="if not quorum.reached(reachable):",
        new="if False:",
        tests=RAFT,
    ),
    Mutation(
        name="window-of-a-peer-too-large-for-one-turn",
        rule="whoever comes back does not stop the others' writes",
        file="swarmtui/raft/options.py",
        old="inflight_bytes_max: int = 2 * 1024 * 1024",
        new="inflight_bytes_max: int = 8 * 1024 * 1024",
        tests=("tests/raft/test_raft_limits.py",),
    ),
)
