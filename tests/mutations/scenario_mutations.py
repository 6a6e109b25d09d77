"""The bugs that scenarios of docs/raft.md guard against: each turns exactly the tests of its own number red."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

SCENARIOS = "tests/raft/test_raft_scenarios.py::"
STORE = "tests/store/test_store_scenarios.py::"
STORAGE = "tests/storage/test_storage_scenarios.py::"


def script(name: str) -> str:
    return f"tests/raft/test_raft_scripts.py::test_script[{name}]"


MUTATIONS = (
    Mutation(
        name="S13-leader-that-hears-nobody-goes-on",
        rule="a leader that can send and not hear is replaced",
        file="swarmtui/raft/leader.py",
        old="core, patience = self.core, self.core.options.election_timeout_s",
        new="core, patience = self.core, self.core.options.election_timeout_s * 1e6",
        tests=(script("S13_one_way_cut"),),
    ),
    Mutation(
        name="S13-stand-without-asking",
        rule="a node that can send and not hear raises no term and deposes nobody",
        file="swarmtui/raft/core.py",
        old="        if transfer:\n            self.stand(cause, transfer=True)",
        new="        if True:\n            self.stand(cause, transfer=True)",
        tests=(script("S13_one_way_cut_of_a_follower"),),
    ),
    Mutation(
        name="S19-old-term-committed-by-counting",
        rule="only entries of the leader's own term are committed by counting",
        file="swarmtui/raft/leader.py",
        old="if index <= log.commit or log.term_at(index) != core.ballot.term:",
        new="if index <= log.commit:",
        tests=(script("S19_figure_8"), script("S19_figure_8_overwritten")),
    ),
    Mutation(
        name="S20-truncate-on-stale-append",
        rule="entries that agree are never truncated by a stale append",
        file="swarmtui/raft/follower.py",
        old="""            entries = entries[skip:]
""",
        new="""            core.truncate(max(previous, log.commit))
            entries = tuple(entry for entry in entries if entry.index > log.last)
""",
        tests=(script("S20_stale_append"),),
    ),
    Mutation(
        name="S21-commit-of-the-unverified-tail",
        rule="a follower commits only what was verified against the leader's log",
        file="swarmtui/raft/follower.py",
        old="self.core.commit_to(min(index, self.verified))",
        new="self.core.commit_to(min(index, self.core.log.last))",
        tests=(script("S21_unverified_tail"),),
    ),
    Mutation(
        name="S24-answer-of-a-former-life-counted",
        rule="an answer to an earlier session of a peer acknowledges nothing",
        file="swarmtui/raft/leader.py",
        old="if progress is None or message.session != progress.session:",
        new="if progress is None:",
        tests=(f"{SCENARIOS}test_S24_acknowledgement_of_a_former_life_counts_for_nothing",),
    ),
    Mutation(
        name="S26-overwritten-write-vouches",
        rule="the report of a write that was overwritten makes nothing durable",
        file="swarmtui/raft/log.py",
        old="""            write.vouches = min(write.vouches, after)
""",
        new="""            write.vouches = write.vouches
""",
        tests=(f"{SCENARIOS}test_S26_report_of_an_overwritten_write_makes_nothing_durable",),
    ),
    Mutation(
        name="S32-snapshot-keeps-a-conflicting-tail",
        rule="behind a snapshot only entries that agree with it are kept",
        file="swarmtui/raft/incoming.py",
        old="""        kept = tuple(log.between(mark.index + 1, log.last)) if log.term_at(mark.index) == mark.term else ()
""",
        new="""        kept = tuple(log.between(mark.index + 1, log.last))
""",
        tests=(f"{SCENARIOS}test_S32_snapshot_discards_a_log_that_conflicts",),
    ),
    Mutation(
        name="S32-snapshot-discards-what-agrees",
        rule="entries behind a snapshot that agree with it are kept",
        file="swarmtui/raft/incoming.py",
        old="""        kept = tuple(log.between(mark.index + 1, log.last)) if log.term_at(mark.index) == mark.term else ()
""",
        new="""        kept = ()
""",
        tests=(f"{SCENARIOS}test_S32_snapshot_keeps_what_agrees_behind_it",),
    ),
    Mutation(
        name="S45-read-without-own-commit",
        rule="a new leader reads only once an entry of its own term is committed",
        file="swarmtui/raft/leader.py",
        old="return self.core.log.commit >= self.first_index",
        new="return True",
        tests=(script("S45_read_before_own_commit"),),
    ),
    Mutation(
        name="S46-read-without-quorum",
        rule="a read is confirmed by a quorum that answered after it was asked for",
        file="swarmtui/raft/leader.py",
        old="self.reads.confirm(core.members.quorum.agreed(rounds, 0))",
        new="self.reads.confirm(self.reads.number)",
        tests=(script("S46_deposed_leader_reads"),),
    ),
    Mutation(
        name="S47-read-confirmed-by-an-old-round",
        rule="an answer to an earlier round confirms no later read",
        file="swarmtui/raft/leader.py",
        old="""        round_is_news = message.round > progress.round
        if round_is_news:
            progress.round = min(message.round, self.reads.number)
""",
        new="""        round_is_news = True
        progress.round = self.reads.number
""",
        tests=(script("S47_late_answer_confirms_no_later_read"),),
    ),
    Mutation(
        name="S48-read-from-a-lease",
        rule="a read is never served because the quorum was heard a moment ago",
        file="swarmtui/raft/leader.py",
        old="""        core = self.core
        rounds = {peer: progress.round for peer, progress in self.progress.items()}
""",
        new="""        core = self.core
        rounds = {peer: self.reads.number if self.contact_age() is not None else 0 for peer in self.progress}
""",
        tests=(script("S48_no_read_from_a_lease"),),
    ),
    Mutation(
        name="S51-repeat-applied-again",
        rule="a request that is sent again is answered with its first result",
        file="swarmtui/store/sessions.py",
        old="        kept = session.results.get(serial)\n",
        new="        kept = None\n",
        tests=(f"{STORE}test_S51_request_sent_again_is_applied_once",),
    ),
    Mutation(
        name="S51-sessions-forgotten-at-a-snapshot",
        rule="a request is applied once, across snapshots",
        file="swarmtui/store/snapshot.py",
        old="every = attrs.evolve(head.sessions, sessions=tuple(sessions))",
        new="every = head.sessions",
        tests=(f"{STORE}test_S51_request_sent_again_is_applied_once",),
    ),
    Mutation(
        name="S52-unknown-session-opened",
        rule="a request of a session that was forgotten is refused on every replica, and never applied",
        file="swarmtui/store/sessions.py",
        old="if not self.floor < since <= index:",
        new="if since > index:",
        tests=(f"{STORE}test_S52_request_of_a_forgotten_session_is_refused_everywhere",),
    ),
    Mutation(
        name="S53-writes-after-a-failed-sync",
        rule="a failed write or sync is final, though the next one would succeed",
        file="swarmtui/storage/log.py",
        old="            self.failure = DiskFailure(what, self._segments[-1].path, error)\n            raise self.failure from error",
        new="            raise DiskFailure(what, self._segments[-1].path, error) from error",
        tests=(f"{STORAGE}test_S53_disk_that_failed_once_is_never_written_again",),
    ),
    Mutation(
        name="S54-damage-taken-for-a-torn-tail",
        rule="a frame that was written whole and does not agree with its checksum is damage, never a torn end",
        file="swarmtui/storage/frames.py",
        old='    return Bad(offset, "a frame was written whole and does not agree with its checksum")',
        new='    return End(offset, "a frame that does not agree with its checksum")',
        tests=(f"{STORAGE}test_S54_torn_last_frame_is_cut_off_and_damage_before_a_whole_one_is_refused",),
    ),
    Mutation(
        name="S54-whole-frames-behind-a-torn-one-dropped",
        rule="a bad frame before a whole one is damage",
        file="swarmtui/storage/frames.py",
        old="            if found > number and chain ==",
        new="            if found < 0 and chain ==",
        tests=(f"{STORAGE}test_S54_torn_last_frame_is_cut_off_and_damage_before_a_whole_one_is_refused",),
    ),
    Mutation(
        name="S57-older-directory-believed",
        rule="a voter that forgot what it promised does not start",
        file="swarmtui/storage/seen.py",
        old="    if inner.starts < outer.starts:",
        new="    if False:",
        tests=(f"{STORAGE}test_S57_copy_from_before_the_last_start_is_refused",),
    ),
)
