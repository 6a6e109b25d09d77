"""Beginning anew from one manager's directory: what it holds is kept, and those put out are not started any more."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs
import pytest

from swarmtui.host.create import create_cluster
from swarmtui.host.layout import Layout
from swarmtui.host.members import why_out
from swarmtui.host.recovery import RecoveryRefused, force_new_cluster, replayed, survey
from swarmtui.host.survey import Condition
from swarmtui.objects.codec import encode
from swarmtui.objects.manifest import Manifest
from swarmtui.objects.operations import Put, Transaction
from swarmtui.objects.transactions import encode_transactions
from swarmtui.raft.effects import HardState, Write
from swarmtui.raft.entries import Entry, EntryKind
from swarmtui.storage.directory import open_node_directory
from swarmtui.storage.log import RaftStorage
from swarmtui.storage.recovery import INDEXES_SKIPPED, TERMS_SKIPPED
from tests.host.helpers import small_file


@attrs.frozen
class Cluster:
    layout: Layout
    manifest: Manifest

    def storage(self, name: str) -> RaftStorage:
        node = self.manifest.node(name)
        assert node is not None
        return RaftStorage.open(self.layout.node(name).directory / "raft", node.id)

    def put(self, name: str, last: int, commit: int, term: int = 2) -> None:
        """Keys k2..k<last> in this manager's log, known to be committed up to `commit`."""
        storage = self.storage(name)
        entries = tuple(
            Entry(
                index,
                term,
                EntryKind.TRANSACTIONS,
                encode_transactions([encode(Transaction((Put(f"k{index}", b"%d" % index),)))], 1.0),
            )
            for index in range(2, last + 1)
        )
        storage.write(Write(1, HardState(term, "", commit), None, entries))
        storage.close()

    def lose(self, name: str) -> None:
        shutil.rmtree(self.layout.node(name).directory)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    manifest = create_cluster(small_file(3, 1), tmp_path)
    return Cluster(Layout(tmp_path / ".swarmtui"), manifest)


def test_every_manager_is_looked_at_without_running_it(cluster: Cluster) -> None:
    cluster.put("n1", 5, 4)
    cluster.lose("n2")
    segment = cluster.layout.node("n3").directory / "raft" / "00000001.log"
    data = bytearray(segment.read_bytes())
    data[100] ^= 1
    segment.write_bytes(data)
    n1, n2, n3 = survey(cluster.layout.directory)
    assert (n1.condition, n1.last_index, n1.last_term, n1.commit, n1.term) == (Condition.INTACT, 5, 2, 4, 2)
    assert set(n1.voters) == {node.id for node in cluster.manifest.managers}
    assert (n2.condition, n2.text) == (Condition.LOST, "its directory is gone")
    assert n3.condition is Condition.DAMAGED
    assert "is damaged at byte" in n3.text
    with open_node_directory(cluster.layout.node("n1").directory):
        assert survey(cluster.layout.directory)[0].condition is Condition.RUNNING


def test_what_the_log_holds_is_kept_committed_or_not(cluster: Cluster) -> None:
    cluster.put("n1", 6, 3)
    epoch = force_new_cluster(cluster.layout.directory, "n1")
    ids = {node.name: node.id for node in cluster.manifest.nodes}
    assert (epoch.survivor, epoch.index, epoch.term) == ("n1", 6 + INDEXES_SKIPPED, 2 + TERMS_SKIPPED)
    assert set(epoch.out) == {ids["n2"], ids["n3"]}
    storage = cluster.storage("n1")
    frozen = replayed(storage)
    storage.close()
    assert (frozen.index, frozen.term) == (epoch.index, epoch.term)
    assert sorted(frozen.tables["kv"]) == ["k2", "k3", "k4", "k5", "k6"]
    assert {row.version for row in frozen.tables["kv"].values()} == {2, 3, 4, 5, 6}  # versions as they were
    again = force_new_cluster(cluster.layout.directory, "n1")
    assert again.index == epoch.index + INDEXES_SKIPPED


def test_who_was_put_out_is_not_started_and_cannot_begin_anew(cluster: Cluster) -> None:
    nodes = {node.name: node for node in cluster.manifest.nodes}
    assert why_out(cluster.layout, cluster.manifest, nodes["n2"]) == ""
    force_new_cluster(cluster.layout.directory, "n1")
    why = why_out(cluster.layout, cluster.manifest, nodes["n2"])
    assert why.startswith(f"it was put out of the cluster: n1 went on without it at index {1 + INDEXES_SKIPPED}")
    assert "swarmtui node demote n2" in why
    assert why_out(cluster.layout, cluster.manifest, nodes["n1"]) == ""
    assert survey(cluster.layout.directory)[1].condition is Condition.OUT
    with pytest.raises(RecoveryRefused, match="n2 cannot begin the cluster anew: it was put out"):
        force_new_cluster(cluster.layout.directory, "n2")


@pytest.mark.parametrize("what", ["running", "lost", "damaged", "worker", "nobody"])
def test_what_cannot_begin_anew_is_refused_and_nothing_changes(cluster: Cluster, what: str) -> None:
    name, reason = {
        "running": ("n1", "this node runs already"),
        "lost": ("n1", "is not there"),
        "damaged": ("n1", "is damaged at byte"),
        "worker": ("n4", "n4 is no manager of test"),
        "nobody": ("n9", "n9 is no manager of test"),
    }[what]
    raft = cluster.layout.node("n1").directory / "raft"
    held = open_node_directory(cluster.layout.node("n1").directory) if what == "running" else None
    if what == "lost":
        shutil.rmtree(raft)
    elif what == "damaged":
        (raft / "00000001.log").write_bytes(b"rubbish")
    with pytest.raises(RecoveryRefused, match=reason):
        force_new_cluster(cluster.layout.directory, name)
    if held is not None:
        held.close()
    assert not list(raft.glob("*.snap"))
