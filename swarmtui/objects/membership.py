"""Who a node is in the consensus: its own id, until it has been demoted and promoted again. And how many decide there.

A member that leaves the consensus is removed for ever: it forgets its log and its vote, and a voter that forgot its vote
must never speak under the same id again. So a node that becomes a manager anew is a new member, `ID.1`, `ID.2` and so on,
by the number of its promotions (swarmkit draws a new random raft id each time). Everything else, its certificate, its
tasks, its name, goes by the node's own id.
"""

from __future__ import annotations

from functools import lru_cache

_SEPARATOR = "."  # in no node id: those are letters and digits


def member_id(node_id: str, promotions: int) -> str:
    """The id of this node in the consensus, after so many promotions."""
    return f"{node_id}{_SEPARATOR}{promotions}" if promotions else node_id


def majority(voters: int) -> int:
    """How many of so many voters decide. `raft.quorum` has its own, for it knows nothing of this room."""
    return voters // 2 + 1


@lru_cache(maxsize=1024)  # asked of every message
def node_of(member: str) -> str:
    """The node that is, or was, this member of the consensus."""
    return member.partition(_SEPARATOR)[0]
