"""The algebra of members: whatever is wished, every quorum of one configuration meets every quorum of the next."""

from __future__ import annotations

from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmtui.raft.changes import (
    AddLearner,
    AddVoter,
    Demote,
    InvalidChange,
    Move,
    Remove,
    left,
    next_configuration,
    promoted,
    subject,
    why_not_next,
)
from swarmtui.raft.configuration import (
    REMOVED_MAX,
    Configuration,
    InvalidConfiguration,
    Member,
    Promotion,
    decode_configuration,
    encode_configuration,
)
from swarmtui.raft.entries import ENTRY_BYTES_MAX

IDS = [f"n{i}" for i in range(1, 7)]


def member(id: str, address: str = "") -> Member:
    return Member(id, id, address or f"a{id}")


def members(text: str) -> tuple[Member, ...]:
    return tuple(member(f"n{number}") for number in text)


def configuration(voters: str, learners: str = "", **more) -> Configuration:
    return Configuration(members(voters), learners=members(learners), **more)


def after(current: Configuration, *changes) -> str:
    return str(next_configuration(current, changes))


# ---- what the oracle believes ----


def majorities(ids: tuple[Member, ...]) -> list[set[str]]:
    """Every majority of these members, by trying all groups."""
    names = [one.id for one in ids]
    groups = [set(group) for size in range(len(names) + 1) for group in combinations(names, size)]
    return [group for group in groups if 2 * len(group) > len(names)]


def quorums(current: Configuration) -> list[set[str]]:
    if not current.outgoing:
        return majorities(current.voters)
    return [one | other for one in majorities(current.voters) for other in majorities(current.outgoing)]


def quorums_meet(one: Configuration, other: Configuration) -> bool:
    return all(a & b for a in quorums(one) for b in quorums(other))


@st.composite
def configurations(draw) -> Configuration:
    """Voters, learners (some to be promoted), removed and strangers among six ids."""
    roles = draw(st.lists(st.sampled_from("vvvllr."), min_size=6, max_size=6))
    roles[draw(st.integers(0, 5))] = "v"
    by_role = {role: [id for id, its in zip(IDS, roles, strict=True) if its == role] for role in "vlr"}
    wishing = draw(st.lists(st.sampled_from(by_role["l"]), unique=True)) if by_role["l"] else []
    leaving = draw(st.permutations(by_role["v"]))
    promotions = []
    for i, id in enumerate(wishing):
        instead_of = leaving[i] if i < len(leaving) and draw(st.booleans()) else ""
        promotions.append(Promotion(id, instead_of, bool(instead_of) and draw(st.booleans())))
    return Configuration(
        tuple(map(member, by_role["v"])),
        learners=tuple(map(member, by_role["l"])),
        removed=tuple(by_role["r"]),
        promotions=tuple(promotions),
    )


def changes(id: str):
    one = member(id)
    return st.sampled_from([AddLearner(one), AddVoter(one), Demote(id), Remove(id), Move(member(id, "elsewhere"))])


wishes = st.lists(st.sampled_from(IDS), unique=True, max_size=6).flatmap(
    lambda ids: st.tuples(*(changes(id) for id in ids))
)


def check_step(now: Configuration, then: Configuration) -> None:
    """`then`, and what it is left for if it is joint: safe steps, nobody removed comes back, bytes read as they were."""
    assert not why_not_next(now, then)
    assert quorums_meet(now, then)
    if then.is_joint:
        assert not why_not_next(then, left(then))
        assert quorums_meet(then, left(then))
    changed = {one.id for one in now.voters} ^ {one.id for one in left(then).voters}
    assert then.is_joint == (len(changed) > 1)
    assert set(now.removed) <= set(then.removed)
    assert decode_configuration(encode_configuration(then)) == then


@given(configurations(), wishes)
def test_any_wish_is_refused_or_a_safe_step(now, wished):
    try:
        then = next_configuration(now, wished)
    except InvalidChange:
        return
    check_step(now, then)


@given(configurations(), wishes)
def test_a_wish_does_what_it_says(now, wished):
    """By role of each id in the end, promotions made: the naive account of what was wished."""
    try:
        then = left(next_configuration(now, wished))
    except InvalidChange:
        return
    named = {subject(change) for change in wished}
    entering = {subject(change) for change in wished if isinstance(change, AddVoter)}
    try:
        then = left(promoted(then, entering))
    except InvalidChange:
        return
    voters, learners = {one.id for one in then.voters}, {one.id for one in then.learners}
    for change in wished:
        id = subject(change)
        match change:
            case AddLearner():
                assert id in learners
            case AddVoter():
                assert id in voters
            case Demote():
                assert id in learners
            case Remove():
                assert id in then.removed
                assert id not in voters | learners
            case Move():
                assert then.member(id) == change.member
    for one in now.members:
        if one.id not in named:
            assert (one.id in voters) == (one in now.voters), "nobody else's vote changes"


@given(configurations(), st.data())
def test_promotions_are_safe_steps(now, data):
    ids = [promotion.id for promotion in now.promotions]
    if not ids:
        return
    ready = data.draw(st.lists(st.sampled_from(ids), unique=True, min_size=1))
    then = promoted(now, ready)
    check_step(now, then)
    assert {member.id for member in then.voters} >= set(ready)


@given(configurations(), configurations())
def test_second_look_permits_only_what_the_oracle_does(now, then):
    if not why_not_next(now, then):
        assert quorums_meet(now, then)


# ---- each wish ----


def test_voter_enters_as_a_learner():
    assert after(configuration("123"), AddVoter(member("n4"))) == "voters n1 n2 n3 learners n4+"
    assert after(configuration("123", "4"), AddVoter(member("n4"))) == "voters n1 n2 n3 learners n4+"
    assert after(configuration("123"), AddLearner(member("n4"))) == "voters n1 n2 n3 learners n4"


def test_replaced_voter_stays_until_the_other_may_vote():
    wanted = next_configuration(configuration("123"), (AddVoter(member("n4")), Remove("n3")))
    assert str(wanted) == "voters n1 n2 n3 learners n4+(for n3)"
    joint = promoted(wanted, ["n4"])
    assert str(joint) == "voters n1 n2 n4 outgoing n1 n2 n3"
    assert (str(left(joint)), left(joint).removed) == ("voters n1 n2 n4", ("n3",))


def test_more_leave_than_join():
    wanted = next_configuration(configuration("12345"), (Remove("n5"), AddVoter(member("n6")), Demote("n4")))
    assert str(wanted) == "voters n1 n2 n3 n5 learners n4 n6+(for n5)"


def test_replaced_voter_that_leaves_by_itself_is_not_removed_again():
    wanted = next_configuration(configuration("123"), (AddVoter(member("n4")), Remove("n3")))
    demoted = next_configuration(wanted, (Demote("n3"),))
    assert str(demoted) == "voters n1 n2 learners n3 n4+"


def test_one_voter_less_is_simple_and_two_are_joint():
    assert after(configuration("123"), Remove("n3")) == "voters n1 n2"
    assert after(configuration("123"), Demote("n3")) == "voters n1 n2 learners n3"
    both = after(configuration("12345"), Remove("n5"), Demote("n4"))
    assert both == "voters n1 n2 n3 outgoing n1 n2 n3 n4 n5 learners n4"


def test_demoting_who_waits_for_a_vote_takes_the_wish_back():
    waiting = next_configuration(configuration("123"), (AddVoter(member("n4")),))
    assert after(waiting, Demote("n4")) == "voters n1 n2 n3 learners n4"
    assert after(waiting, Remove("n4")) == "voters n1 n2 n3"


def test_address_changes_and_identity_stays():
    moved = next_configuration(configuration("123", "4"), (Move(member("n3", "b3")), Move(member("n4", "b4"))))
    assert [one.address for one in moved.members] == ["an1", "an2", "b3", "b4"]
    assert not moved.is_joint


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((), "nothing is to be changed"),
        ((Remove("n1"), Remove("n1")), "a member is named twice: n1 n1"),
        ((Remove("n1"), Remove("n2")), "a configuration needs at least one voter"),
        ((Remove("n7"),), "n7 is no member"),
        ((Remove("n9"),), "n9 is no member, it was removed"),
        ((Demote("n3"),), "n3 is a learner already"),
        ((Demote("n7"),), "n7 is no member"),
        ((AddLearner(member("n1")),), "n1 is a voter already"),
        ((AddVoter(member("n1")),), "n1 is a voter already"),
        ((AddLearner(member("n3")),), "n3 is a learner already"),
        ((AddVoter(member("n9")),), "n9 (n9) was removed; it can only return as a new member"),
        ((Move(member("n7")),), "n7 (n7) is no member"),
        ((Move(member("n1")),), "n1 is at an1 already"),
        (tuple(AddLearner(Member(f"m{i}", f"m{i}", "")) for i in range(30)), "33 members, at most 31"),
    ],
)
def test_wish_without_sense_is_refused(change, reason):
    with pytest.raises(InvalidChange) as refused:
        next_configuration(configuration("12", "3", removed=("n9",)), change)
    assert str(refused.value) == reason


def test_members_are_told_in_the_order_of_their_names():
    """Their ids are drawn by lot, and the log of a new cluster said: voters n6 n5 n4 n1 n3 n2."""
    named = tuple(Member(id, name, "") for id, name in (("a", "n10"), ("b", "n2"), ("c", "n1")))
    learner = Member("d", "n3", "")
    assert str(Configuration(named, outgoing=named[1:], learners=(learner,))) == (
        "voters n1 n2 n10 outgoing n1 n2 learners n3"
    )


def test_removals_are_kept_for_ever_and_bounded():
    """At 26 bytes each: the bound and its bytes are what docs/raft.md says, and the configuration still fits into an entry."""
    ids = tuple(f"{number:025}" for number in range(REMOVED_MAX))
    almost = configuration("123", removed=ids[1:])
    full = next_configuration(almost, (Remove("n3"),))
    assert len(encode_configuration(full)) < 27 * REMOVED_MAX < ENTRY_BYTES_MAX
    for changes in ((Remove("n2"),), (AddVoter(member("n4")), Remove("n2"))):
        with pytest.raises(InvalidChange, match="100000 members were removed for ever, and no more than 100000 are"):
            next_configuration(full, changes)
    assert after(full, Demote("n2")) == "voters n1 learners n2"


def test_who_waits_already_is_told_so():
    waiting = next_configuration(configuration("123"), (AddVoter(member("n4")),))
    with pytest.raises(InvalidChange, match="n4 is to vote already, once it has caught up"):
        next_configuration(waiting, (AddVoter(member("n4")),))
    with pytest.raises(InvalidChange, match="n3 was not to vote"):
        promoted(configuration("12", "3"), ["n3"])


def test_nothing_is_changed_before_a_joint_configuration_is_left():
    joint = next_configuration(configuration("12345"), (Remove("n5"), Demote("n4")))
    with pytest.raises(InvalidChange, match="a joint configuration is left before anything else changes"):
        next_configuration(joint, (AddLearner(member("n6")),))


# ---- the second look ----


@pytest.mark.parametrize(
    ("now", "wanted", "reason"),
    [
        (configuration("123"), configuration("145"), "4 voters change at once: that needs a joint configuration"),
        (configuration("12", removed=("n3",)), configuration("12"), "n3 was removed for ever"),
        (
            configuration("12"),
            Configuration(members("34"), outgoing=members("13")),
            "the outgoing half must be the voters of now",
        ),
        (
            Configuration(members("34"), outgoing=members("12")),
            configuration("12"),
            "a joint configuration can only be left for its new voters",
        ),
    ],
)
def test_unsafe_step_is_seen(now, wanted, reason):
    assert why_not_next(now, wanted) == reason


# ---- bytes ----


def test_configuration_of_before_promotions_is_read():
    body = {"voters": [{"id": "n1", "name": "n1", "address": "a"}], "outgoing": [], "learners": [], "removed": ["n0"]}
    read = decode_configuration(msgspec.msgpack.encode([1, body]))
    assert read == Configuration((Member("n1", "n1", "a"),), removed=("n0",))


@pytest.mark.parametrize(
    "fields",
    [
        {"learners": members("1")},
        {"removed": ("n1",)},
        {"promotions": (Promotion("n1"),)},
        {"learners": members("2"), "promotions": (Promotion("n2"), Promotion("n2"))},
    ],
)
def test_configuration_that_cannot_be(fields):
    with pytest.raises(InvalidConfiguration):
        Configuration(members("1"), **fields)
