"""A new epoch: a manager that lost its majority for good begins again as the only voter, with all that its log holds.

What is kept is everything on this disk, committed or not: an entry behind the commit index that is known here may have
been acknowledged by a majority that is gone, and an entry that was not is no worse than a write whose answer was lost.
What only the others held is lost, and nobody can tell what that was. So that nothing of the new epoch is ever taken for
something of the old one,

- INDEXES_SKIPPED indexes are left out: an object's version is the index that wrote it, and a version that somebody read
  from the lost majority must not come up again with another content;
- TERMS_SKIPPED terms are left out: agents obey the highest (term, index) they have seen, and may have seen those of
  leaders that this manager never heard of;
- every member but this one is `removed`: what they say is not even looked at.

An epoch is a snapshot: the state at the log's end, under an index and a term of the new epoch, with a configuration of one
voter. Its rename is the one moment at which the new epoch holds. Before it the old log is untouched; after it recovery
(`log`) puts the log behind the snapshot, as it does with one that a leader sent. So a crash at any step leaves the old state
or the new one, and a cut-off attempt is simply begun again.

This room knows nothing of what a state is: whoever calls replays the log and hands in the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from swarmtui.raft.configuration import Configuration, Member, decode_configuration
from swarmtui.raft.effects import HardState, Write
from swarmtui.raft.entries import EntryKind
from swarmtui.raft.log import Restored
from swarmtui.raft.messages import SnapshotMark
from swarmtui.storage.errors import StorageError
from swarmtui.storage.log import RaftStorage

INDEXES_SKIPPED = 1_000_000_000  # a day of 10,000 writes a second that the survivor never saw
TERMS_SKIPPED = 1_000_000  # eleven days of an election every second

State = Callable[[int, int], Iterable[bytes]]
"""The state at the log's end as a snapshot of this (index, term)."""


class NoSurvivor(StorageError):
    """A manager that cannot begin a new epoch; one sentence why."""


@attrs.frozen
class Holding:
    """What a manager's disk holds, and what a new epoch on it would be."""

    last_index: int
    last_term: int
    commit: int  # known here to be committed
    term: int
    snapshot: int  # index of the newest, 0: none
    configuration: Configuration  # in force, committed or not
    known: tuple[str, ...]  # everybody that was ever a member in what the disk still tells, sorted

    @property
    def rank(self) -> tuple[int, int]:
        """Which of two logs is more advanced, by Raft's own rule."""
        return (self.last_term, self.last_index)


def holding_of(restored: Restored) -> Holding:
    """What recovery found, read for people and for the choice of a survivor."""
    snapshot = restored.snapshot
    known = {member.id for member in restored.configuration.members}
    configuration = restored.configuration
    for entry in restored.entries:
        if entry.kind is EntryKind.CONFIGURATION and (snapshot is None or entry.index > snapshot.index):
            configuration = decode_configuration(entry.data)
            known |= {member.id for member in configuration.members}
    last = restored.entries[-1] if restored.entries else snapshot
    assert last is not None  # a log has its genesis or a snapshot
    return Holding(
        last_index=last.index,
        last_term=last.term,
        commit=max(restored.hard_state.commit, snapshot.index if snapshot is not None else 0),
        term=max(restored.hard_state.term, last.term),
        snapshot=snapshot.index if snapshot is not None else 0,
        configuration=configuration,
        known=tuple(sorted(known)),
    )


def epoch_of(holding: Holding, member: Member) -> tuple[int, int, Configuration]:
    """Index, term and configuration with which this member begins alone. Raises NoSurvivor."""
    before = holding.configuration
    if member.id in before.removed and before.member(member.id) is None:
        raise NoSurvivor(f"{member.name} was removed from the cluster; it cannot begin it anew")
    if before.member(member.id) is None:
        raise NoSurvivor(f"{member.name} is no member of what its own log knows: {before}")
    out = (set(holding.known) | set(before.removed)) - {member.id}
    return (
        holding.last_index + INDEXES_SKIPPED,
        holding.term + TERMS_SKIPPED,
        Configuration(voters=(member,), removed=tuple(sorted(out))),
    )


def begin_epoch(storage: RaftStorage, member: Member, state: State) -> SnapshotMark:
    """Makes the manager whose log this is the only voter. Durable on return. Raises NoSurvivor, NoRoom, DiskFailure."""
    index, term, configuration = epoch_of(holding_of(storage.restored), member)
    mark = storage.snapshots.save(index, term, configuration, state(index, term))
    # From here on the new epoch holds; the rest only tidies up what `open` would.
    storage.install(mark, ())
    storage.write(Write(1, HardState(term, "", index), None, ()))
    storage.snapshots.discard_older()
    return mark
