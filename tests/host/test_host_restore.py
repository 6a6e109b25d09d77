"""A backup becomes a new cluster: the same services and keys under new ids, and versions that go on above the old."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmtui.host.create import CreationFailed, create_cluster
from swarmtui.host.layout import Layout
from swarmtui.host.recovery import replayed
from swarmtui.host.restore import Planter, cluster_file_of, read_backup
from swarmtui.objects.codec import encode
from swarmtui.objects.manifest import Manifest
from swarmtui.objects.operations import Create, Put, Transaction
from swarmtui.objects.records import Cluster, KeyValue, Lease, Node, Secret, Service, Task
from swarmtui.objects.specs import NodeSpec, ServiceSpec
from swarmtui.objects.transactions import encode_transactions
from swarmtui.storage.backup import BackupWriter, Head
from swarmtui.storage.log import RaftStorage
from swarmtui.storage.recovery import INDEXES_SKIPPED
from swarmtui.store import Frozen, Store
from tests.host.helpers import small_file

OLD_INDEX = 40


class Crashed(BaseException):
    """The machine lost its power."""


def saved_store() -> Store:
    store = Store()
    for index in range(1, OLD_INDEX):
        store.skip(index, 3)
    operations = (
        Create(Cluster(id="old", name="old", shutting_down=True)),
        Create(Node(id="gone", spec=NodeSpec(name="n1"))),
        Create(Service(id="s1", spec=ServiceSpec(name="web"))),
        Create(Task(id="t1", service_id="s1", service_name="web", slot=1, node_id="gone")),
        Create(Secret(id="x1", name="password", data=b"secret")),
        Put("color", b"green"),
        Create(Lease(id="l1", holder="deployer", ttl_s=10.0)),
        Put("locks/deploy", b"deployer", 0, "l1"),
    )
    results = store.apply(OLD_INDEX, 3, encode_transactions([encode(Transaction(operations))], 5.0))
    assert not results[0].text, results
    return store


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    store = saved_store()
    manifest = create_cluster(small_file(3, 1), _directory(tmp_path / "old"))
    head = Head(cluster=manifest.id, index=OLD_INDEX, term=3, taken_at=9.0, saved_by="n1", manifest=manifest)
    path = tmp_path / "dev.swarm"
    writer = BackupWriter(path, head)
    for piece in store.freeze().chunks():
        writer.put(piece)
    writer.finish()
    writer.close()
    return path


def _directory(path: Path) -> Path:
    path.mkdir()
    return path


def state_of(layout: Layout, manifest: Manifest, name: str) -> tuple[RaftStorage, Frozen]:
    node = manifest.node(name)
    assert node is not None
    storage = RaftStorage.open(layout.node(name).raft_of(node), node.member_id)
    storage.close()
    return storage, replayed(storage)


def test_every_manager_is_born_with_the_same_state(backup: Path, tmp_path: Path) -> None:
    read = read_backup(backup)
    base = _directory(tmp_path / "new")
    manifest = create_cluster(small_file(5, 1), base, plant=Planter(read))
    layout = Layout(base / ".swarmtui")
    assert manifest.id != read.head.cluster
    states = [state_of(layout, manifest, node.name) for node in manifest.managers]
    digests = set()
    for storage, frozen in states:
        store = Store()
        store.adopt(frozen)
        digests.add(store.digest())
        assert storage.restored.snapshot is not None
        assert storage.restored.snapshot.index == frozen.index == OLD_INDEX + INDEXES_SKIPPED
        assert {voter.id for voter in storage.restored.configuration.voters} == {n.id for n in manifest.managers}
        assert (storage.restored.hard_state.term, frozen.term) == (1, 1)
    assert len(digests) == 1
    assert store.keys()[0].value == b"green"
    assert store.keys()[0].version == OLD_INDEX
    assert store.by_name(Service, "web") is not None
    assert [secret.data for secret in store.all(Secret)] == [b"secret"]
    assert {node.id for node in store.all(Node)} == {node.id for node in manifest.nodes}
    assert store.count(Task) == 0
    (cluster,) = store.all(Cluster)
    assert (cluster.id, cluster.name, cluster.shutting_down) == (manifest.id, "test", False)


def test_locks_of_the_old_cluster_are_free_in_the_new_one(backup: Path, tmp_path: Path) -> None:
    """Their holders cannot renew them there: they had to be waited for."""
    read = read_backup(backup)
    assert read.state.leased == ("locks/deploy",)
    base = _directory(tmp_path / "new")
    manifest = create_cluster(small_file(1, 0), base, plant=Planter(read))
    store = Store()
    store.adopt(state_of(Layout(base / ".swarmtui"), manifest, "n1")[1])
    assert store.count(KeyValue) == 1
    assert (store.get(KeyValue, "locks/deploy"), store.all(Lease)) == (None, [])


def test_without_a_file_nodes_and_settings_are_as_they_were(backup: Path) -> None:
    read = read_backup(backup)
    wish = cluster_file_of(read.head)
    assert [(node.name, node.role, node.address) for node in wish.nodes] == [
        (node.name, node.role, None) for node in read.head.manifest.nodes
    ]
    assert wish.raft == read.head.manifest.raft
    assert wish.services == {}


def test_a_crash_while_it_is_created_leaves_no_cluster(backup: Path, tmp_path: Path) -> None:
    read = read_backup(backup)
    base = _directory(tmp_path / "new")

    def crash(name: str) -> None:
        if name == "state of n2":
            raise Crashed

    with pytest.raises(Crashed):
        create_cluster(small_file(3, 0), base, plant=Planter(read), step=crash)
    assert not (base / ".swarmtui").exists()
    create_cluster(small_file(3, 0), base, plant=Planter(read))
    assert (base / ".swarmtui").is_dir()


def test_a_state_that_is_none_is_refused(backup: Path, tmp_path: Path) -> None:
    head = read_backup(backup).head
    for name, pieces in (("rubbish", [b"rubbish" * 9]), ("half", list(saved_store().freeze().chunks())[:-1])):
        writer = BackupWriter(tmp_path / name, head)
        for piece in pieces:
            writer.put(piece)
        writer.finish()
        with pytest.raises(CreationFailed, match="holds a state that cannot be read"):
            read_backup(tmp_path / name)
    (tmp_path / "text").write_text("a long text that is no backup")
    with pytest.raises(CreationFailed, match="is no backup of a cluster"):
        read_backup(tmp_path / "text")
