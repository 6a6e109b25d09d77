"""What is left of a cluster's managers on this machine, and beginning anew from one of them when the majority is lost.

`survey` looks at every manager's directory that no process holds; `force_new_cluster` makes one of them the only voter of a
new epoch (`storage.recovery`), holding its lock meanwhile. Those that it puts out are not started any more (`members`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs

from swarmtui.host.layout import Layout
from swarmtui.host.manifest_file import read_manifest
from swarmtui.host.members import why_out
from swarmtui.host.survey import Condition, Survey
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.states import NodeRole
from swarmtui.raft.configuration import Member
from swarmtui.raft.entries import EntryKind
from swarmtui.storage.directory import open_node_directory
from swarmtui.storage.errors import DirectoryInUse, DirectoryMissing, StorageError
from swarmtui.storage.log import RaftStorage
from swarmtui.storage.recovery import Holding, NoSurvivor, begin_epoch, epoch_of, holding_of
from swarmtui.store import Frozen, MalformedSnapshot, Store


class RecoveryRefused(Exception):
    """No new epoch was begun; nothing has changed. One sentence why."""


@attrs.frozen
class Epoch:
    """What was begun: entries follow behind `index`, in terms above `term`; `out` are the ids that were put out."""

    survivor: str
    index: int
    term: int
    out: tuple[str, ...]


def survey(directory: Path) -> tuple[Survey, ...]:
    """Every manager of the cluster in this `.swarmtui/`. Takes the lock of each directory for a moment. Raises
    UnreadableCluster."""
    layout, manifest = Layout(directory), read_manifest(directory)
    return tuple(_look_at(layout, manifest, node) for node in manifest.managers)


def _look_at(layout: Layout, manifest: Manifest, node: NodeEntry) -> Survey:
    def found(condition: Condition, text: str = "") -> Survey:
        return Survey(name=node.name, id=node.member_id, condition=condition, text=text)

    out = why_out(layout, manifest, node)
    if out:
        return found(Condition.OUT, out)
    own = layout.node(node.name)
    try:
        with open_node_directory(own.directory):
            storage = RaftStorage.open(own.raft_of(node), node.member_id)
            storage.close()
            return _described(node, holding_of(storage.restored))
    except DirectoryInUse:
        return found(Condition.RUNNING)
    except DirectoryMissing:
        what = "log" if own.directory.is_dir() else "directory"
        return found(Condition.LOST, f"its {what} is gone")
    except (StorageError, OSError) as error:
        return found(Condition.DAMAGED, str(error).partition(";")[0])


def _described(node: NodeEntry, holding: Holding) -> Survey:
    configuration = holding.configuration
    return Survey(
        name=node.name,
        id=node.member_id,
        condition=Condition.INTACT,
        last_index=holding.last_index,
        last_term=holding.last_term,
        commit=holding.commit,
        term=holding.term,
        voters=tuple(member.id for member in configuration.voters),
        outgoing=tuple(member.id for member in configuration.outgoing),
    )


def force_new_cluster(directory: Path, name: str) -> Epoch:
    """Makes this manager, which must not run, the only voter of a new epoch. Durable on return; a crash leaves the old
    state or the new one. Raises RecoveryRefused."""
    layout, manifest = Layout(directory), read_manifest(directory)
    node = manifest.node(name)
    if node is None or node.role is not NodeRole.MANAGER:
        raise RecoveryRefused(f"{name} is no manager of {manifest.name}")
    if out := why_out(layout, manifest, node):
        raise RecoveryRefused(f"{node.name} cannot begin the cluster anew: {out}")
    own = layout.node(node.name)
    member = Member(node.member_id, node.name, node.address)
    try:
        with open_node_directory(own.directory):
            storage = RaftStorage.open(own.raft_of(node), node.member_id)
            try:
                epoch_of(holding_of(storage.restored), member)  # may it?
                frozen = replayed(storage)

                def state(index: int, term: int) -> Iterable[bytes]:
                    return attrs.evolve(frozen, index=index, term=term).chunks()

                mark = begin_epoch(storage, member, state)
            finally:
                storage.close()
    except NoSurvivor as error:
        raise RecoveryRefused(str(error)) from None
    except (StorageError, MalformedSnapshot) as error:
        raise RecoveryRefused(f"{node.name} cannot begin the cluster anew: {error}") from None
    except OSError as error:
        raise RecoveryRefused(f"{error.filename or own.directory}: {error.strerror or error}") from None
    return Epoch(node.name, mark.index, mark.term, mark.configuration.removed)


def replayed(storage: RaftStorage) -> Frozen:
    """The state at the end of this log, all of it applied, committed or not."""
    restored, store = storage.restored, Store()
    if restored.snapshot is not None:
        store.restore(storage.snapshots.open_chunks(restored.snapshot))
    for entry in restored.entries:
        if entry.index <= store.index:
            continue  # kept for followers, the snapshot holds it
        if entry.kind is EntryKind.TRANSACTIONS:
            store.apply(entry.index, entry.term, entry.data)
        else:
            store.skip(entry.index, entry.term)
    return store.freeze()
