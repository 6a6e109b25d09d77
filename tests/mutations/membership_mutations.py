"""Bugs of changing members, each of which some implementation once had, or which the guards of ours are there for."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

RAFT = ("tests/raft/test_raft_members.py", "tests/raft/test_raft_membership.py", "tests/raft/test_raft_changes.py")
MEMBERSHIP = "tests/raft/test_raft_membership.py::"


def script(name: str) -> str:
    return f"tests/raft/test_raft_scripts.py::test_script[{name}]"


MUTATIONS = (
    Mutation(
        name="S14-removed-node-is-listened-to",
        rule="the term of a node that was removed is not looked at",
        file="swarmtui/raft/receiving.py",
        old="if message.source in core.belonging.barred:",
        new="if False:",
        tests=(
            script("S14_removed_node_is_told"),
            MEMBERSHIP + "test_S14_removed_node_is_told_at_once_and_on_every_word",
        ),
    ),
    Mutation(
        name="S14-removed-node-is-not-told",
        rule="a node that was removed is told so, whatever it says",
        file="swarmtui/raft/belonging.py",
        old="        core.belonging.tell_removed(message.source)\n",
        new="        return\n",
        tests=(script("S14_removed_node_is_told"),),
    ),
    Mutation(
        name="S14-told-node-stands-on",
        rule="who knows that it was removed stands no more",
        file="swarmtui/raft/belonging.py",
        old="        if self.expelled:\n            return False\n",
        new="",
        tests=(MEMBERSHIP + "test_S14_removed_node_is_told_at_once_and_on_every_word",),
    ),
    Mutation(
        name="S16-members-as-they-are-applied",
        rule="a configuration is in force when appended, applied or not",
        file="swarmtui/raft/core.py",
        old="return self.node_id in self.members.voters",
        new="return self.node_id in self.members.at(self.applied).voter_ids",
        tests=(MEMBERSHIP + "test_S16_configuration_that_is_not_applied_decides_who_campaigns",),
    ),
    Mutation(
        name="S35-snapshot-keeps-old-members",
        rule="a snapshot brings its members",
        file="swarmtui/raft/core.py",
        old="self.members.restart_at(mark.configuration, mark.index, kept)",
        new="self.members.append(kept)",
        tests=("tests/raft/test_raft_limits.py::test_S35_snapshot_brings_its_members",),
    ),
    Mutation(
        name="S38-change-before-own-commit",
        rule="no change of members before an entry of the leader's term is committed",
        file="swarmtui/raft/membership.py",
        old="if core.log.commit < self.leader.first_index:",
        new="if False:",
        tests=(script("S38_single_server_bug"), MEMBERSHIP + "test_S38_no_change_before_an_entry_of_the_own_term"),
    ),
    Mutation(
        name="S39-joint-configuration-commits-in-one-half",
        rule="a joint configuration commits in both halves",
        file="swarmtui/raft/quorum.py",
        old="return min(value, _agreed(self.outgoing, values, floor)) if self.outgoing else value",
        new="return value",
        tests=(MEMBERSHIP + "test_S39_joint_configuration_commits_in_both_halves",),
    ),
    Mutation(
        name="S39-joint-configuration-elects-in-one-half",
        rule="a joint configuration elects in both halves",
        file="swarmtui/raft/quorum.py",
        old="outcomes = {_tally(half, votes) for half in self.halves}",
        new="outcomes = {_tally(self.voters, votes)}",
        tests=(MEMBERSHIP + "test_S39_joint_configuration_elects_in_both_halves",),
    ),
    Mutation(
        name="S39-new-leader-stays-joint",
        rule="whoever leads leaves a joint configuration, also one that it finds",
        file="swarmtui/raft/membership.py",
        old="        if current.is_joint:\n",
        new="        if current.is_joint and self.core.members.index > self.leader.first_index:\n",
        tests=(script("S39_joint_configuration"), MEMBERSHIP + "test_S39_leader_fails_at_each_stage_of_a_joint_change"),
    ),
    Mutation(
        name="S39-two-voters-change-at-once",
        rule="more than one voter changes only by a joint configuration",
        file="swarmtui/raft/changes.py",
        old="outgoing=self.current.voters if voters_change > 1 else (),",
        new="outgoing=(),",
        tests=(script("S39_joint_configuration"),),
    ),
    Mutation(
        name="S40-members-stay-after-truncation",
        rule="a configuration goes with its entry",
        file="swarmtui/raft/core.py",
        old="if self.members.truncate(after):",
        new="if False:",
        tests=(script("S40_change_taken_back"), MEMBERSHIP + "test_S40_change_that_was_taken_back_is_told"),
    ),
    Mutation(
        name="S41-leader-counts-itself-after-its-removal",
        rule="a leader that is no voter any more does not count its own copy",
        file="swarmtui/raft/leader.py",
        old="index = core.members.quorum.agreed(held, 0)",
        new="index = type(core.members.quorum)((*core.members.quorum.voters, core.node_id)).agreed(held, 0)",
        tests=(MEMBERSHIP + "test_S41_leader_that_leaves_does_not_count_itself",),
    ),
    Mutation(
        name="S41-leader-stays-after-its-removal",
        rule="a leader that is no voter any more steps down when that is committed",
        file="swarmtui/raft/membership.py",
        old="        if core.node_id in members.voters:\n            self.go_on()",
        new="        if True:\n            self.go_on()",
        tests=(MEMBERSHIP + "test_S41_leader_that_leaves_with_a_joint_configuration_leads_until_that_is_committed",),
    ),
    Mutation(
        name="S42-learner-counted",
        rule="a learner counts for nothing",
        file="swarmtui/raft/members.py",
        old="tuple(member.id for member in configuration.voters),",
        new="tuple(member.id for member in (*configuration.voters, *configuration.learners)),",
        tests=(script("S42_learner_never_stands_and_grants"),),
    ),
    Mutation(
        name="S42-promotion-after-a-slow-round",
        rule="a learner is promoted after a round that took less than an election timeout",
        file="swarmtui/raft/membership.py",
        old="if catch_up.last_s < core.options.election_timeout_s:",
        new="if True:",
        tests=(script("S42_learner_is_caught_up"),),
    ),
    Mutation(
        name="S42-promotion-without-catching-up",
        rule="a learner is promoted only when it has what the log held when the round began",
        file="swarmtui/raft/membership.py",
        old="if catch_up is None or match < catch_up.target or",
        new="if catch_up is None or",
        tests=(script("S42_learner_is_caught_up"),),
    ),
    Mutation(
        name="S43-change-that-loses-the-quorum",
        rule="a change that would leave the voters in contact without a quorum is refused",
        file="swarmtui/raft/membership.py",
        old="if why := self.why_no_quorum(wanted):",
        new="if why := None:",
        tests=(script("S43_two_voters"),),
    ),
    Mutation(
        name="S44-two-changes-at-a-time",
        rule="a change waits until the one before is committed",
        file="swarmtui/raft/membership.py",
        old="if members.index > core.log.commit:",
        new="if False:",
        tests=(
            script("S44_one_change_at_a_time"),
            MEMBERSHIP + "test_S44_second_change_waits_for_the_first_and_is_told_so",
        ),
    ),
    Mutation(
        name="S50-anybody-campaigns-when-told",
        rule="a leader's word makes only a voter stand",
        file="swarmtui/raft/belonging.py",
        old="return core.is_voter or (was_voter and not asked_by_leader)",
        new="return core.is_voter or was_voter",
        tests=(script("S50_campaign_now_for_who_may_not"),),
    ),
    Mutation(
        name="who-was-a-voter-never-stands",
        rule="the only log with a configuration without its node can be elected",
        file="swarmtui/raft/belonging.py",
        old="return core.is_voter or (was_voter and not asked_by_leader)",
        new="return core.is_voter",
        tests=RAFT,
    ),
    Mutation(
        name="removed-voters-answer-counted",
        rule="from the append of its removal on, the answers of a voter count for nothing",
        file="swarmtui/raft/members.py",
        old="tuple(member.id for member in configuration.voters),",
        new="tuple(member.id for member in self.previous.voters),",
        tests=RAFT,
    ),
    Mutation(
        name="uncommitted-removal-bars",
        rule="a node is barred, and told so, only by a removal that is committed",
        file="swarmtui/raft/belonging.py",
        old="        if committed:\n            self._settle()\n",
        new="        self._settle()\n",
        tests=RAFT,
    ),
    Mutation(
        name="leader-removes-itself-without-an-heir",
        rule="a leader that would leave hands over first",
        file="swarmtui/raft/membership.py",
        old="        if core.node_id in staying:\n            return None",
        new="        if True:\n            return None",
        tests=RAFT,
    ),
    Mutation(
        name="removed-id-comes-back",
        rule="an id that was removed never comes back",
        file="swarmtui/raft/changes.py",
        old="        if member.id in self.removed:\n",
        new="        if False:\n",
        tests=RAFT,
    ),
)
