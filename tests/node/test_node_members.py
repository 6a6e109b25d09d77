"""Members of the consensus and the nodes that they are; whom a node dials, by all who say where managers listen."""

import attrs

from swarmtui.manager.membership import LeaveSeat, MoveSeat, Seat, TakeSeat
from swarmtui.node.acquaintances import Acquaintances
from swarmtui.node.members import by_nodes, change_of, introduction
from swarmtui.objects.dispatch import Assignment
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.membership import member_id, node_of
from swarmtui.objects.states import NodeRole
from swarmtui.raft.changes import AddVoter, Move, Remove
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.raft.effects import Role
from swarmtui.raft.status import PeerStatus, Status

A, B, C2 = Member("a", "n1", "h:1"), Member("b", "n2", "h:2"), Member("c.2", "n3", "h:3")
PEER = PeerStatus("replicate", 5, 6, 0, 0.1)
STATUS = Status(
    node="a",
    role=Role.LEADER,
    term=3,
    vote="c.2",
    leader="c.2",
    first=1,
    last=9,
    durable=9,
    commit=9,
    applied=9,
    snapshot=0,
    configuration=Configuration((A, B, C2)),
    heard=("a", "c.2"),
    holds_quorum=True,
    timer_left_s=None,
    timer_total_s=None,
    leader_since=1.0,
    peers={"b": PEER, "c.2": PEER},
)


def test_a_member_is_its_node_until_that_is_promoted_again():
    assert member_id("abc", 0) == "abc"
    assert node_of(member_id("abc", 7)) == node_of("abc") == "abc"
    assert member_id("abc", 1) != member_id("abc", 2)


def test_the_status_speaks_of_nodes():
    told = by_nodes(STATUS)
    assert (told.vote, told.leader, told.heard, set(told.peers)) == ("c", "c", ("a", "c"), {"b", "c"})
    assert told.configuration.voter_ids == ("a", "b", "c")
    plain = attrs.evolve(
        STATUS, configuration=Configuration((A, B)), vote="a", leader="b", heard=("a",), peers={"b": PEER}
    )
    assert by_nodes(plain) is plain


def test_a_node_that_leaves_as_one_member_while_it_enters_as_another_is_one_node():
    both = Configuration((A, Member("c.1", "n3", "h:3")), outgoing=(A, B), learners=(C2,))
    told = by_nodes(attrs.evolve(STATUS, configuration=both))
    assert [member.id for member in told.configuration.members] == ["a", "b", "c"]


def test_a_node_that_was_removed_and_is_back_is_told_of_like_any_other():
    """The configuration by nodes named a member that was removed, which no configuration may: every manager died of it."""
    back = Configuration((A, B, C2), removed=("c", "c.1"))
    told = by_nodes(attrs.evolve(STATUS, configuration=back))
    assert [member.id for member in told.configuration.voters] == ["a", "b", "c"]


def test_wishes_are_changes_of_raft():
    seat = Seat("c.2", "n3", "h:3")
    assert change_of(TakeSeat(seat)) == AddVoter(C2)
    assert change_of(LeaveSeat(seat)) == Remove("c.2")
    assert change_of(MoveSeat(seat)) == Move(C2)


def test_who_joins_knows_all_managers_but_itself_and_so_never_votes_by_it():
    entries = (
        NodeEntry(id="a", name="n1", role=NodeRole.MANAGER, address="h:1"),
        NodeEntry(id="c", name="n3", role=NodeRole.MANAGER, address="h:3", promotions=2),
        NodeEntry(id="w", name="n4", role=NodeRole.WORKER, address="h:4"),
    )
    manifest = Manifest(id="x", name="x", profile="fast", created_at=0.0, nodes=entries)
    assert introduction(manifest, entries[1]) == Configuration((A,))
    alone = attrs.evolve(manifest, nodes=entries[:1])
    assert introduction(alone, entries[0]) is None


class Side:
    def __init__(self, addresses: dict[str, str], is_member: bool = True) -> None:
        self._addresses, self.is_member = addresses, is_member

    def addresses(self) -> dict[str, str]:
        return self._addresses


def order(term: int, index: int, **managers: str) -> Assignment:
    return Assignment("s", term, index, False, (), managers=managers)


def test_a_worker_dials_the_managers_that_the_newest_leader_names():
    known = Acquaintances({"a": "h:1"})
    assert known.doors(None) == {"a": "h:1"}
    assert known.told(order(3, 7, a="h:1", b="h:2"))
    assert not known.told(order(3, 8, a="h:1", b="h:2"))
    assert not known.told(order(2, 9, a="h:9"))
    assert not known.told(order(4, 1))
    assert known.doors(None) == {"a": "h:1", "b": "h:2"}


def test_a_member_dials_the_members_and_who_is_none_yet_everybody_it_has_heard_of():
    known = Acquaintances({"a": "h:1", "z": "h:9"})
    assert known.doors(Side({"a": "h:1", "b": "h:2"})) == {"a": "h:1", "b": "h:2"}
    assert known.doors(Side({"b": "h:2"}, is_member=False)) == {"a": "h:1", "z": "h:9", "b": "h:2"}


def test_a_node_that_moved_is_found_where_the_host_says_until_the_log_knows_better():
    known = Acquaintances({"b": "h:22"})
    assert known.doors(Side({"a": "h:1", "b": "h:2"}))["b"] == "h:22"
    assert known.doors(Side({"a": "h:1", "b": "h:2"}))["b"] == "h:22"
    assert known.doors(Side({"a": "h:1", "b": "h:23"}))["b"] == "h:23"
