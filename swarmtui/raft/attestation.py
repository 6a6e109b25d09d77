"""Linearizable reads without a message between members: whoever reads asks a quorum itself, and the members say what they know.

At the same moment one member is asked for the state and some others for a word. Each answers at once, from memory: its term
and, if it leads and has committed an entry of that term, its commit index and which of those asked together are a quorum with
it. What the first one holds may be served if (1) one of them leads, in a term T, at a commit index C, (2) everybody of the
quorum that it named has answered, (3) all of these say a term <= T, and (4) the state is that of an index >= C. Two hops
instead of ReadIndex's four (`reads`); after the idea of reads from a quorum (Charapko et al., HotStorage 2019), where nobody
need wait for what is under way, since the leader is one of the quorum.

Why nothing is missing that was acknowledged before the read was asked for:

- Of a term before T: the leader's log had it from its election on, and it has committed an entry behind that.
- Of term T: the leader committed it itself, and it speaks later.
- Of a later term: a majority had joined such a term before. It meets the quorum that the leader named in somebody, for every
  configuration that can elect meets the leader's own (as in ReadIndex, whose majority says the same: no later term yet). That
  one spoke after the read was asked for, and would have said a term > T. It cannot have forgotten it in a crash, for it takes
  part in a term only once that is on its disk (`ballot`); a term that it forgot was never told to anybody.

So the words must be spoken after the read was asked for: an answer to an earlier question vouches for no later read. Who asks
decides, the members promise nothing: an attestation binds nobody and is true when it is given. A leader of a past term may still
speak; it is outvoted by any word of its successor's quorum.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from swarmtui.raft.core import RaftCore


@attrs.frozen
class Attestation:
    """What a member says of itself. `quorum`: if it leads and may be read from, those that decide with it, itself included if
    it votes, all of whom were asked together; else empty. `commit` is its commit index then. `leader` is whom it takes for
    the leader, "" while it knows none: a hint."""

    member: str
    term: int
    leader: str = ""
    commit: int = 0
    quorum: tuple[str, ...] = ()


def attest(core: RaftCore, asked: Collection[str]) -> Attestation:
    """What `core` says now. `asked` are the members that are asked together with it; whoever is no voter counts for nothing."""
    quorum = core.quorum_among(asked)
    return Attestation(core.node_id, core.ballot.term, core.role.leader, core.log.commit if quorum else 0, quorum)


def may_serve(applied: int, attestations: Collection[Attestation]) -> bool:
    """Whether the state after `applied`, taken in the same step as the attestation of whoever gave it, is linearizable. All
    attestations were given after the read was asked for."""
    leaders = [one for one in attestations if one.quorum]
    if not leaders:
        return False
    leader = max(leaders, key=lambda one: one.term)
    vouching = {one.member for one in attestations if one.term <= leader.term}
    return vouching.issuperset(leader.quorum) and applied >= leader.commit
