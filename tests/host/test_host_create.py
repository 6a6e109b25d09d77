"""A cluster is created whole or not at all, once, and a manager's directory never again."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from swarmtui.host.create import (
    ClusterExists,
    CreationFailed,
    create_cluster,
    renew_certificates,
    repair_node,
)
from swarmtui.host.layout import Layout
from swarmtui.host.manifest_file import UnreadableCluster, read_manifest
from swarmtui.objects.cluster_file import parse_cluster_file
from swarmtui.objects.codec import decode_json
from swarmtui.objects.manifest import NodeBirth
from swarmtui.storage.errors import DiskFailure
from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import CERTIFICATE_VALIDITY_DAYS, identity_of_pem
from tests.host.helpers import small_file

DAY_S = 86_400.0


class Crashed(BaseException):
    """The machine lost its power."""


def test_a_new_cluster_has_everything_its_start_needs(tmp_path: Path) -> None:
    manifest = create_cluster(small_file(3, 2), tmp_path, file=tmp_path / "cluster.toml")
    layout = Layout(tmp_path / ".swarmtui")
    assert read_manifest(layout.directory) == manifest
    assert manifest.cluster_file == "cluster.toml"
    assert [node.name for node in manifest.nodes] == ["n1", "n2", "n3", "n4", "n5"]
    assert len({node.address for node in manifest.nodes}) == len({node.id for node in manifest.nodes}) == 5
    for node in manifest.nodes:
        own = layout.node(node.name)
        assert decode_json(own.birth.read_bytes(), NodeBirth) == NodeBirth(node_id=node.id, manifest=manifest)
        identity = identity_of_pem(own.certificate.read_bytes())
        assert (identity.cluster, identity.node_id, identity.role.value) == (manifest.id, node.id, node.role.value)
        assert own.raft_of(node).exists() is (node in manifest.managers)
    assert identity_of_pem(layout.certificate("observer").read_bytes()).role is Peerage.OBSERVER
    assert (layout.directory / ".gitignore").read_text() == "*\n"


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    create_cluster(small_file(), tmp_path)
    for path, directories, files in os.walk(tmp_path / ".swarmtui"):
        for name in (*directories, *files):
            mode = stat.S_IMODE((Path(path) / name).stat().st_mode)
            assert mode & 0o077 == 0, f"{name} has mode {mode:o}"


def test_the_directory_can_be_moved(tmp_path: Path) -> None:
    create_cluster(small_file(), tmp_path, file=tmp_path / "cluster.toml")
    for path in (tmp_path / ".swarmtui").rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), f"{path} names an absolute path"


def test_a_crash_at_any_step_leaves_no_cluster_and_the_next_creation_works(tmp_path: Path) -> None:
    steps: list[str] = []
    create_cluster(small_file(2, 1), tmp_path, step=steps.append)
    shutil.rmtree(tmp_path / ".swarmtui")
    assert len(steps) > 8
    for crash_at in steps[: steps.index("sync the name")]:

        def step(name: str, crash_at: str = crash_at) -> None:
            if name == crash_at:
                raise Crashed(name)

        with pytest.raises(Crashed):
            create_cluster(small_file(2, 1), tmp_path, step=step)
        assert not (tmp_path / ".swarmtui").exists(), f"after a crash at {crash_at}"
    manifest = create_cluster(small_file(2, 1), tmp_path)
    assert read_manifest(tmp_path / ".swarmtui") == manifest
    assert not (tmp_path / ".swarmtui.new").exists()


def test_two_creations_at_once_make_one_cluster(tmp_path: Path) -> None:
    made: list[str] = []
    refused: list[str] = []

    def create() -> None:
        try:
            made.append(create_cluster(small_file(), tmp_path).id)
        except ClusterExists as error:
            refused.append(str(error))

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [read_manifest(tmp_path / ".swarmtui").id]
    assert len(refused) == 3


def test_addresses_of_the_file_are_kept_and_ports_of_services_avoided(tmp_path: Path) -> None:
    text = """
[cluster]
managers = 2
[nodes.n1]
address = "127.0.0.1:7101"
"""
    manifest = create_cluster(parse_cluster_file(text, environment={}, name="test"), tmp_path)
    assert manifest.nodes[0].address == "127.0.0.1:7101"
    assert 10_000 <= int(manifest.nodes[1].address.rpartition(":")[2]) < 20_000


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable to root")
def test_a_directory_that_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CreationFailed, match="not writable"):
        create_cluster(small_file(), tmp_path)


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    def plant_on_a_full_disk(*_: object) -> None:
        raise DiskFailure("creation", tmp_path / "raft", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    with pytest.raises(CreationFailed, match=r"^cannot create the cluster in .*: No space left on device$"):
        create_cluster(small_file(), tmp_path, plant=plant_on_a_full_disk)
    assert list(tmp_path.iterdir()) == [], "what was begun takes no space"


def test_what_is_not_writable_is_named_as_a_person_knows_it(tmp_path: Path) -> None:
    def deny(name: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / ".swarmtui.new"))

    with pytest.raises(CreationFailed) as failed:
        create_cluster(small_file(), tmp_path, step=deny)
    assert str(failed.value) == f"{tmp_path} is not writable; choose another directory"


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(CreationFailed, match="there is no directory"):
        create_cluster(small_file(), tmp_path / "absent")


def test_unreadable_clusters_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableCluster, match="holds no cluster"):
        read_manifest(tmp_path)
    (tmp_path / "cluster.json").write_text('{"id": 7}')
    with pytest.raises(UnreadableCluster, match="cannot be read"):
        read_manifest(tmp_path)


def test_a_manifest_that_may_not_be_read_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", deny)
    with pytest.raises(UnreadableCluster) as unreadable:
        read_manifest(tmp_path)
    assert str(unreadable.value) == f"{tmp_path / 'cluster.json'} cannot be read: Permission denied"


# ---------------------------------------------------------------------------------------------------------- before a start


def test_a_managers_directory_that_is_gone_is_never_made_again(tmp_path: Path) -> None:
    manifest = create_cluster(small_file(3, 1), tmp_path)
    layout = Layout(tmp_path / ".swarmtui")
    shutil.rmtree(layout.node("n2").directory)
    why = repair_node(layout, manifest.nodes[1], manifest)
    assert "is gone" in why
    assert "swarmtui node rm --force n2" in why
    assert why.endswith("swarmtui swarm join --role manager --name n2 --label zone=b"), (
        "up would miss the label each time"
    )
    assert not layout.node("n2").directory.exists()


def test_a_manager_that_lost_its_log_is_not_started(tmp_path: Path) -> None:
    manifest = create_cluster(small_file(3, 1), tmp_path)
    layout = Layout(tmp_path / ".swarmtui")
    shutil.rmtree(layout.node("n1").directory / "raft")
    assert "has lost its log" in repair_node(layout, manifest.nodes[0], manifest)


def test_another_nodes_directory_is_not_run_under_this_ones_name(tmp_path: Path) -> None:
    """Two directories that had changed places ran, and `kill n1` killed n2; one of another cluster ran as its node there."""
    manifest = create_cluster(small_file(3, 1), tmp_path)
    layout = Layout(tmp_path / ".swarmtui")
    (tmp_path / "other").mkdir()
    create_cluster(small_file(3, 1), tmp_path / "other")
    n1, n2, n4 = (layout.node(name).directory for name in ("n1", "n2", "n4"))
    shutil.rmtree(n1)
    shutil.copytree(n2, n1)
    assert repair_node(layout, manifest.nodes[0], manifest) == (
        f"its directory {n1} is that of n2; put its own back, or else swarmtui node rm --force n1 && swarmtui swarm join "
        "--role manager --name n1 --label zone=a"
    )
    for here in (n2, n4):
        shutil.rmtree(here)
        shutil.copytree(tmp_path / "other" / ".swarmtui" / "nodes" / here.name, here)
    assert "is that of n2 of another cluster, test; " in repair_node(layout, manifest.nodes[1], manifest)
    assert repair_node(layout, manifest.nodes[3], manifest).endswith(
        "put its own back, or move this one away, and swarmtui up makes a new one"
    )
    assert repair_node(layout, manifest.nodes[2], manifest) == ""


def test_a_workers_directory_is_made_again_with_the_same_id(tmp_path: Path) -> None:
    manifest = create_cluster(small_file(3, 1), tmp_path)
    layout = Layout(tmp_path / ".swarmtui")
    worker = manifest.nodes[3]
    shutil.rmtree(layout.node(worker.name).directory)
    assert repair_node(layout, worker, manifest) == ""
    own = layout.node(worker.name)
    assert decode_json(own.birth.read_bytes(), NodeBirth).node_id == worker.id
    assert identity_of_pem(own.certificate.read_bytes()).role is Peerage.WORKER
    assert sorted(path.name for path in layout.nodes.iterdir()) == ["n1", "n2", "n3", "n4"]


def test_certificates_past_half_their_life_are_renewed_and_stay_the_same_persons(tmp_path: Path) -> None:
    manifest = create_cluster(small_file(1, 1), tmp_path)
    layout = Layout(tmp_path / ".swarmtui")
    before = {path: path.read_bytes() for path in layout.directory.rglob("*.pem") if path.parent != layout.authority}
    assert renew_certificates(layout, manifest, manifest.created_at + DAY_S) == []
    due = renew_certificates(layout, manifest, manifest.created_at + CERTIFICATE_VALIDITY_DAYS / 2 * DAY_S + DAY_S)
    assert due == ["admin", "observer", "host", "n1", "tasks of n1", "n2", "tasks of n2"]
    for path in (layout.certificate("admin"), layout.node("n1").certificate):
        assert path.read_bytes() != before[path]
        assert identity_of_pem(path.read_bytes()) == identity_of_pem(before[path])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
