"""The short names in refusals and outcomes (`rule`) by which the other end decides what to do.

The sentence beside a rule is for people and may be worded anew; these names are part of the protocol. A rule that nobody
decides by has its name only where it is said, and a verdict of the store (`objects.operations.Verdict`) is its own rule.
"""

from __future__ import annotations

# raft gives these too, by the same names (`raft.reasons`): it imports nothing, so a test compares the two
NO_QUORUM = "no-quorum"  # this manager hears too few others
NO_LEADER = "no-leader"
NOT_LEADER = "not-leader"
WRONG_TERM = "wrong-term"  # it leads, and another term than was asked for
TRANSFER = "transfer"  # it is handing leadership over

OVERWRITTEN = "overwritten"  # another entry took its place, the leader had lost its quorum: the next leader is asked
LOST = "lost"  # of an unknown outcome: it left, and no answer came back
NOT_A_MANAGER = "not-a-manager"  # a worker has no log to answer from

INTERNAL = "internal"  # the call failed while it was carried out
TOO_LARGE = "too-large"  # it was carried out, and no frame holds the answer
