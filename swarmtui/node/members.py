"""Members of the consensus and the nodes that they are: the one place that turns the one into the other.

Raft knows members only, and a node that is promoted again is a new one (`objects.membership`). Everybody else speaks of
nodes. So the status is told by nodes, and the role manager's wishes are told to raft by members.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from swarmtui.manager.membership import LeaveSeat, Refusal, Seat, Seats, TakeSeat, Wish
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.membership import node_of
from swarmtui.raft.changes import AddVoter, Change, InvalidChange, Move, Remove, next_configuration
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.leader import Leader
from swarmtui.raft.status import Status

if TYPE_CHECKING:
    from swarmtui.node.consensus import Consensus
    from swarmtui.raft.core import RaftCore


def by_nodes(status: Status) -> Status:
    """The same status with every member under its node's id."""
    if all(node_of(member.id) == member.id for member in status.configuration.members):
        return status  # as nearly always
    return attrs.evolve(
        status,
        vote=node_of(status.vote),
        leader=node_of(status.leader),
        heard=tuple(node_of(id) for id in status.heard),
        peers={node_of(id): peer for id, peer in status.peers.items()},
        configuration=_configuration_by_nodes(status.configuration),
    )


def _configuration_by_nodes(configuration: Configuration) -> Configuration:
    def named(members: tuple[Member, ...]) -> tuple[Member, ...]:
        return tuple({node_of(member.id): attrs.evolve(member, id=node_of(member.id)) for member in members}.values())

    voters, outgoing = named(configuration.voters), named(configuration.outgoing)
    vote = {member.id for member in (*voters, *outgoing)}
    return attrs.evolve(
        configuration,
        voters=voters,
        outgoing=outgoing,
        learners=tuple(member for member in named(configuration.learners) if member.id not in vote),
        removed=(),  # members for ever, but their nodes may be back
        promotions=(),
    )


def introduction(manifest: Manifest, own: NodeEntry) -> Configuration | None:
    """The members that a manager knows of which joins a cluster: all managers but itself. None if there is no other."""
    others = tuple(Member(node.member_id, node.name, node.address) for node in manifest.managers if node.id != own.id)
    return Configuration(others) if others else None


class ConsensusMembers:
    """Implements the manager's MembershipPort on the consensus of this node. `speaks_as_manager` says of a node id whether
    a connection to it stands on which it shows a manager's certificate."""

    def __init__(self, consensus: Consensus, own_id: str, speaks_as_manager: Callable[[str], bool]) -> None:
        self._consensus = consensus
        self._own_id = own_id
        self._speaks_as_manager = speaks_as_manager
        self._ring: Callable[[], None] | None = None

    def seats(self) -> Seats:
        return seats_of(self._consensus.core)

    def is_ready(self, node_id: str) -> bool:
        return node_id == self._own_id or self._speaks_as_manager(node_id)

    def watch(self, ring: Callable[[], None] | None) -> None:
        self._ring = ring

    def changed(self) -> None:
        """The members, or who speaks to us, may be different."""
        if self._ring is not None:
            self._ring()

    async def change(self, wish: Wish) -> Refusal | None:
        refused = await self._consensus.change_members((change_of(wish),))
        return None if refused is None else Refusal(refused.rule, refused.reason)

    def why_stays(self, node_id: str) -> str:
        """Why this node could not leave the consensus now, with the arithmetic; "" if it could, or is not in it."""
        core, leaving = self._consensus.core, self._consensus.member_ids(node_id)
        if not leaving:
            return ""
        if not isinstance(core.role, Leader):
            return "this manager does not lead; ask the leader"
        current = core.members.current
        if set(current.voter_ids) <= set(leaving):
            return f"{core.name(leaving[0])} is the last manager of the swarm"
        if current.is_joint:
            return ""  # another change is about to end: this one waits for it
        try:
            wanted = next_configuration(current, [Remove(id) for id in leaving])
        except InvalidChange as error:
            return str(error)
        why = core.role.membership.why_no_quorum(wanted)
        return "" if why is None else str(why)


def seats_of(core: RaftCore) -> Seats:
    """Who is a member, as this core's log has it."""
    members = core.members
    current, votes = members.current, members.current.voter_ids
    return Seats(
        taken=tuple(Seat(one.id, one.name, one.address, one.id in votes) for one in current.members),
        removed=frozenset(current.removed),
        settled=members.index <= core.log.commit and not current.is_joint,
    )


def change_of(wish: Wish) -> Change:
    """The wish in raft's terms."""
    member = Member(wish.seat.id, wish.seat.name, wish.seat.address)
    match wish:
        case TakeSeat():
            return AddVoter(member)
        case LeaveSeat():
            return Remove(member.id)
        case _:
            return Move(member)
