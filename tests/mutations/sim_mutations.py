"""Bugs that the simulator alone has to find: each test is its run over seeds, fresh ones or a few that are made for the rule.

What it found in earnest is in tests/sim/seeds.txt. Here are bugs of membership, sessions, storage and scheduling that were
planted to see whether it would; most of those in raft_mutations.py name it as well.
"""

from __future__ import annotations

import attrs

from tests.mutations import manager_mutations, membership_mutations, raft_mutations, storage_mutations
from tests.mutations.mutation import Mutation

SIMULATOR = ("tests/sim/test_sim_seeds.py::test_fresh_seeds",)

SCHEDULING = ("two-undecided-about-one-key", "old-task-goes-on-being-wanted")
OVERLOADED = ("refused-is-taken-for-done",)
"""Bugs of the manager's table that the simulator finds too; the latter in runs full of refusals, not among fresh seeds."""

MEMBERSHIP = ("removal-waits-for-the-change-behind-it",)
"""Bugs of the members' table that the simulator finds too."""

STORAGE = ("S57-noted-commit-forgotten", "S57-start-counted-outside-first", "S57-note-in-place-of-the-count")
EPOCHS = ("epoch-repeats-versions", "epoch-lets-old-members-speak", "epoch-puts-the-log-away-first")
"""Bugs of the storage's table that the simulator finds too."""

ATTESTED = (
    "attested-whatever-the-term",
    "attested-state-may-lag",
    "attested-by-some",
    "attested-without-quorum",
    "attested-before-own-commit",
)
"""Bugs of consensus that the simulator finds too, in its runs full of attested reads."""

MUTATIONS = (
    *(
        attrs.evolve(mutation, name=f"simulated-{mutation.name}", tests=("tests/sim/test_sim_attested.py",))
        for mutation in raft_mutations.MUTATIONS
        if mutation.name in ATTESTED
    ),
    *(
        attrs.evolve(mutation, name=f"simulated-{mutation.name}", tests=SIMULATOR)
        for mutation in storage_mutations.MUTATIONS
        if mutation.name in STORAGE
    ),
    *(
        attrs.evolve(mutation, name=f"simulated-{mutation.name}", tests=("tests/sim/test_sim_epoch.py",))
        for mutation in storage_mutations.MUTATIONS
        if mutation.name in EPOCHS
    ),
    *(
        attrs.evolve(mutation, name=f"simulated-{mutation.name}", tests=SIMULATOR)
        for mutation in manager_mutations.MUTATIONS
        if mutation.name in SCHEDULING
    ),
    *(
        attrs.evolve(mutation, name=f"simulated-{mutation.name}", tests=("tests/sim/test_sim_scheduling.py",))
        for mutation in manager_mutations.MUTATIONS
        if mutation.name in OVERLOADED
    ),
    *(
        attrs.evolve(mutation, name=f"simulated-{mutation.name}", tests=SIMULATOR)
        for mutation in membership_mutations.MUTATIONS
        if mutation.name in MEMBERSHIP
    ),
    Mutation(
        name="simulated-only-voter-waits",
        rule="the only voter can be replaced",
        file="swarmtui/raft/membership.py",
        old='return why.rule == "leader-leaves" and len(current.voters) == 1',
        new="return False",
        tests=SIMULATOR,
    ),
    Mutation(
        name="simulated-change-before-own-term",
        rule="no change of the members before an entry of the leader's term is committed",
        file="swarmtui/raft/membership.py",
        old="if core.log.commit < self.leader.first_index:  # the bug",
        new="if False:  # the bug",
        tests=SIMULATOR,
    ),
    Mutation(
        name="simulated-second-change-in-flight",
        rule="one change of the members at a time",
        file="swarmtui/raft/membership.py",
        old="if members.index > core.log.commit:\n            return Why(",
        new="if False:\n            return Why(",
        tests=SIMULATOR,
    ),
    Mutation(
        name="simulated-joint-needs-one-half",
        rule="a joint configuration needs both majorities",
        file="swarmtui/raft/quorum.py",
        old="return min(value, _agreed(self.outgoing, values, floor)) if self.outgoing else value",
        new="return value",
        tests=SIMULATOR,
    ),
    Mutation(
        name="simulated-truncation-keeps-members",
        rule="a configuration that is truncated is taken back",
        file="swarmtui/raft/members.py",
        old="while len(self._stack) > 1 and self._stack[-1][0] > after:",
        new="while False:",
        tests=SIMULATOR,
    ),
    Mutation(
        name="simulated-worker-with-a-seat",
        rule="a seat is given up before its node is recorded as a worker",
        file="swarmtui/manager/roles.py",
        old="        if own:\n            self._give_up(node.id, own, moment)\n            return None\n",
        new="",
        tests=("tests/sim/test_sim_scheduling.py",),
    ),
    Mutation(
        name="simulated-promoted-without-a-seat",
        rule="a node that is promoted takes a seat when it is ready",
        file="swarmtui/manager/roles.py",
        old="            self._wish(node.id, TakeSeat(seat), moment)",
        new="            self._wait(node, str(seat), moment)",
        tests=("tests/sim/test_sim_scheduling.py",),
    ),
    Mutation(
        name="simulated-session-forgets-results",
        rule="a repeated request is applied once",
        file="swarmtui/store/sessions.py",
        old="if kept is not None:\n            return",
        new="if False:\n            return",
        tests=SIMULATOR,
    ),
    Mutation(
        name="simulated-sessions-left-out-of-snapshots",
        rule="the table of sessions is part of every snapshot",
        file="swarmtui/store/sessions.py",
        old="self._by_id[id] = ClientSession(id, since, used, lowest, dict(results), text)",
        new="pass",
        tests=SIMULATOR,
    ),
    Mutation(
        name="simulated-read-of-an-old-round",
        rule="a read is confirmed by a round that began after it was asked",
        file="swarmtui/raft/reads.py",
        old="self.number += 1",
        new="self.number += 0",
        tests=SIMULATOR,
    ),
    Mutation(
        name="simulated-fsync-gate",
        rule="after a failed sync nothing is written by this process",
        file="swarmtui/storage/log.py",
        old="            self.failure = DiskFailure(what, self._segments[-1].path, error)\n            raise self.failure from error",
        new="            raise DiskFailure(what, self._segments[-1].path, error) from error",
        tests=SIMULATOR,
    ),
    Mutation(
        name="version-told-to-the-wrong-write",
        rule="whose a told version is depends on which unknown writes came before",
        file="swarmtui/sim/linearizability.py",
        old="        tells = register.version is None\n",
        new="        tells = False\n",
        tests=("tests/sim/test_sim_linearizability.py",),
    ),
)
