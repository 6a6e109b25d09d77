"""Bugs that were planted one by one to see whether anything notices, and that nothing but `test_raft_guards` did."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

GUARDS = ("tests/raft/test_raft_guards.py",)

MUTATIONS = (
    Mutation(
        name="term-below-that-of-the-log",
        rule="a node's term is never below that of its log, whatever its disk says of the term",
        file="swarmtui/raft/core.py",
        old='            self.term, self.vote = self.log.last_term, ""\n',
        new="            pass\n",
        tests=GUARDS,
    ),
    Mutation(
        name="stands-while-a-snapshot-is-installed",
        rule="nobody stands for election while a snapshot takes the place of its log",
        file="swarmtui/raft/belonging.py",
        old='        if core.incoming.installing is not None:\n            return Why("installing", index=core.incoming.installing.index)\n',
        new="",
        tests=GUARDS,
    ),
    Mutation(
        name="stands-with-a-stuck-disk",
        rule="nobody stands for election whose disk hangs",
        file="swarmtui/raft/belonging.py",
        old='return Why("disk-hangs", patience_ms=round(core.disk_patience_s * 1000)) if core.disk_is_stuck() else None',
        new="return None",
        tests=GUARDS,
    ),
    Mutation(
        name="unheard-voters-count-as-reachable",
        rule="a new leader takes nobody for reachable who has not answered it",
        file="swarmtui/raft/leader.py",
        old="            progress.heard_at = core.now if votes.get(peer) else None",
        new="            progress.heard_at = core.now",
        tests=GUARDS,
    ),
    Mutation(
        name="compacted-entries-appended-again",
        rule="what a stale Append brings from before the log's base is passed over",
        file="swarmtui/raft/follower.py",
        old="                if entry.index > log.base and term != entry.term:",
        new="                if term != entry.term:",
        tests=GUARDS,
    ),
    Mutation(
        name="reads-left-unanswered-by-a-change-of-leader",
        rule="a read that was forwarded is refused when the leader changes",
        file="swarmtui/raft/follower.py",
        old='        self.abandon_reads(Why("leader-changed"))',
        new="        pass",
        tests=GUARDS,
    ),
    Mutation(
        name="any-answer-begins-the-snapshot-again",
        rule="a snapshot under way is ended by an acknowledgement that reaches the log, and by no other",
        file="swarmtui/raft/replication.py",
        old="            if message.match >= log.base:",
        new="            if True:",
        tests=GUARDS,
    ),
    Mutation(
        name="write-vouches-for-a-log-that-was-replaced",
        rule="a write from before a snapshot vouches for nothing behind it",
        file="swarmtui/raft/log.py",
        old="        for write in self._outstanding:\n            write.vouches = 0",
        new="        pass",
        tests=GUARDS,
    ),
    Mutation(
        name="overtaken-snapshot-installed",
        rule="a snapshot never takes back the commit index",
        file="swarmtui/raft/incoming.py",
        old="            if event.mark.index > core.log.commit and isinstance(core.role, Follower):",
        new="            if isinstance(core.role, Follower):",
        tests=GUARDS,
    ),
    Mutation(
        name="candidate-installs-a-snapshot",
        rule="whoever stands meanwhile installs no snapshot",
        file="swarmtui/raft/incoming.py",
        old="            if event.mark.index > core.log.commit and isinstance(core.role, Follower):",
        new="            if event.mark.index > core.log.commit:",
        tests=GUARDS,
    ),
    Mutation(
        name="older-writes-behind-the-snapshot",
        rule="what came before a snapshot is written before it",
        file="swarmtui/raft/incoming.py",
        old="        core.write_now()  # the disk gets everything older first\n",
        new="",
        tests=GUARDS,
    ),
    Mutation(
        name="snapshot-acknowledged-before-durable",
        rule="a snapshot of what is committed is acknowledged when that is durable here",
        file="swarmtui/raft/incoming.py",
        old="            if mark.index <= core.log.durable:\n                self._reply",
        new="            if True:\n                self._reply",
        tests=GUARDS,
    ),
    Mutation(
        name="grant-of-a-pre-vote-counted-as-a-vote",
        rule="a grant of a pre-vote binds nobody, and is no vote in the term that it names",
        file="swarmtui/raft/candidate.py",
        old="        if message.pre != self.pre or not self.asked:",
        new="        if not self.asked:",
        tests=GUARDS,
    ),
)
