"""A new epoch on a survivor's disk: everything that its log holds is kept, nothing of the old epoch can come up again.

Method: a log with truncations, configurations and an uncommitted tail on the simulated disk; the new epoch is begun and
cut at every step of the disk; what the next process finds is the old state or the new one, whole.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from swarmtui.raft.configuration import Configuration, Member, encode_configuration
from swarmtui.raft.core import RaftCore
from swarmtui.raft.effects import Apply, HardState, Role, Write
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.raft.inputs import CampaignAsked, Received, Written
from swarmtui.raft.log import Restored
from swarmtui.raft.messages import VoteRequest
from swarmtui.raft.options import RaftOptions
from swarmtui.storage.recovery import INDEXES_SKIPPED, TERMS_SKIPPED, NoSurvivor, begin_epoch, epoch_of, holding_of

from .test_storage_crash import PowerCutError, cut_at

if TYPE_CHECKING:
    from .conftest import Node

N1, N2, N3, N4 = (Member(f"n{number}", f"n{number}", f"127.0.0.1:{number}") for number in range(1, 5))


def state(index: int, term: int) -> Iterable[bytes]:
    return [b"state ", b"of %d in %d" % (index, term)]


def joined(index: int, *voters: Member, learners: tuple[Member, ...] = (), removed: tuple[str, ...] = ()) -> Entry:
    configuration = Configuration(voters, learners=learners, removed=removed)
    return Entry(index, 1, EntryKind.CONFIGURATION, encode_configuration(configuration))


@pytest.fixture
def survivor(node: Node) -> Node:
    """Entries up to 9 in terms 1 and 2, of which 4 are known to be committed; n4 came and n0 went."""
    node.write([*node.run(2, 3), joined(4, N1, N2, N3, removed=("n0",))], HardState(1, "", 3))
    node.write([joined(5, N1, N2, N3, learners=(N4,), removed=("n0",)), *node.run(6, 7)], HardState(1, "", 4))
    node.write(node.run(7, 9, term=2), HardState(2, "n2", 4), truncate_after=6)
    node.open()
    return node


def core_of(restored: Restored) -> RaftCore:
    options = RaftOptions()
    return RaftCore(node_id="n1", cluster="c", options=options, restored=restored, draw=random.Random(1).random, now=0)


def test_what_a_disk_holds_is_told(survivor: Node) -> None:
    holding = holding_of(survivor.storage.restored)
    assert (holding.last_index, holding.last_term, holding.commit, holding.term) == (9, 2, 4, 2)
    assert holding.configuration.voters == (N1, N2, N3)
    assert holding.configuration.learners == (N4,)
    assert holding.known == ("n1", "n2", "n3", "n4")
    assert holding.rank == (2, 9)


def test_the_survivor_is_the_only_voter_and_everybody_else_is_removed(survivor: Node) -> None:
    mark = begin_epoch(survivor.storage, N1, state)
    assert mark.index == 9 + INDEXES_SKIPPED
    assert mark.term == 2 + TERMS_SKIPPED
    assert mark.configuration.voters == (N1,)
    assert mark.configuration.members == (N1,)
    assert mark.configuration.removed == ("n0", "n2", "n3", "n4")
    restored = survivor.open().restored
    assert restored == Restored(HardState(mark.term, "", mark.index), mark, mark.configuration, ())
    assert b"".join(survivor.storage.snapshots.open_chunks(mark)) == b"state of 1000000009 in 1000002"
    assert survivor.segments() == survivor.segments()[-1:]


def test_the_survivor_leads_alone_and_hears_nobody_of_before(survivor: Node) -> None:
    begin_epoch(survivor.storage, N1, state)
    storage = survivor.open()
    core = core_of(storage.restored)
    core.feed(CampaignAsked(), 1.0)
    applied: list[Entry] = []
    for _ in range(5):
        for effect in core.drain():
            if isinstance(effect, Write):
                storage.write(effect)
                core.feed(Written(effect.sequence), 1.0)
            elif isinstance(effect, Apply):
                applied.extend(effect.entries)
    status = core.status(1.0)
    assert status.role is Role.LEADER
    assert status.term == 3 + TERMS_SKIPPED
    assert [entry.index for entry in applied] == [10 + INDEXES_SKIPPED]
    vote = VoteRequest(
        cluster="c", source="n2", target="n1", term=9 * TERMS_SKIPPED, pre=False, transfer=True, last_index=1 << 60,
        last_term=9 * TERMS_SKIPPED,
    )  # fmt: skip
    core.feed(Received(vote), 2.0)
    assert core.status(2.0).term == 3 + TERMS_SKIPPED
    assert core.status(2.0).role is Role.LEADER


def test_an_epoch_cut_at_every_step_is_the_old_state_or_the_new_one(survivor: Node, any_node: type[Node]) -> None:
    old = survivor.storage.restored
    new: Restored | None = None
    outcomes = set()
    for step in range(1, 100):
        for fate in range(4):
            disk = survivor.disk.copy()
            node = any_node(disk)
            node.open()
            cut_at(disk, step)
            try:
                begin_epoch(node.storage, N1, state)
                done = True
            except PowerCutError:
                done = False
            disk.on_step = None
            disk.lose_power(random.Random(step * 10 + fate).random)
            found = node.open().restored
            if done:
                new = new or found
                assert found == new
                continue
            is_new = found.snapshot is not None
            outcomes.add(is_new)
            if is_new:
                assert found.snapshot is not None
                assert found.snapshot.configuration.voters == (N1,)
                assert core_of(found).term == 2 + TERMS_SKIPPED  # though the hard state may be of the old one still
                assert not found.entries
            else:
                assert found == old
                assert begin_epoch(node.storage, N1, state).index == 9 + INDEXES_SKIPPED  # and it can be begun again
        if done:
            break
    assert outcomes == {True, False}


def test_a_second_epoch_follows_the_first(survivor: Node) -> None:
    """swarmkit#2670: it worked once, and broke when managers had joined and were lost in their turn."""
    first = begin_epoch(survivor.storage, N1, state)
    storage = survivor.open()
    last = first.index
    grown = Entry(
        last + 2, first.term + 1, EntryKind.CONFIGURATION, joined(1, N1, Member("n5", "n2", "127.0.0.1:2")).data
    )
    entries = [survivor.entry(last + 1, first.term + 1), grown, survivor.entry(last + 3, first.term + 1)]
    storage.write(Write(1, HardState(first.term + 1, "n1", last + 2), None, tuple(entries)))
    storage = survivor.open()
    second = begin_epoch(storage, N1, state)
    assert second.index == last + 3 + INDEXES_SKIPPED
    assert second.term == first.term + 1 + TERMS_SKIPPED
    assert second.configuration.voters == (N1,)
    assert "n5" in second.configuration.removed
    again = begin_epoch(survivor.open(), N1, state)
    assert again.index == second.index + INDEXES_SKIPPED
    assert survivor.open().restored.snapshot == again
    assert again.configuration.removed == second.configuration.removed


def test_who_was_removed_or_never_was_a_member_cannot_begin(survivor: Node) -> None:
    holding = holding_of(survivor.storage.restored)
    with pytest.raises(NoSurvivor, match="n0 was removed from the cluster"):
        epoch_of(holding, Member("n0", "n0", "127.0.0.1:9"))
    with pytest.raises(NoSurvivor, match="n9 is no member of what its own log knows: voters n1 n2 n3 learners n4"):
        epoch_of(holding, Member("n9", "n9", "127.0.0.1:9"))


def test_a_full_disk_leaves_the_old_state(survivor: Node) -> None:
    old = survivor.storage.restored
    survivor.disk.capacity_bytes -= survivor.disk.free_bytes(Path("/")) - 100
    with pytest.raises(Exception, match="no room for a snapshot"):
        begin_epoch(survivor.storage, N1, lambda index, term: [b"x" * 1000])
    assert survivor.open().restored == old
