"""Nodes that are made, moved, forgotten and given another role on the disk, and what a crash in the middle leaves."""

import shutil
from pathlib import Path

import attrs
import pytest

from swarmtui.host import enrolment
from swarmtui.host.create import create_cluster, repair_node
from swarmtui.host.enrolment import (
    EnrolmentRefused,
    adopt_own,
    change_role,
    forget_node,
    make_node,
    move_node,
    own_entry,
)
from swarmtui.host.layout import Layout
from swarmtui.host.manifest_file import read_manifest
from swarmtui.host.roles import is_news
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.records import Node
from swarmtui.objects.specs import NodeSpec
from swarmtui.objects.states import NodeRole
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.storage.directory import open_node_directory
from swarmtui.storage.log import RaftStorage
from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import identity_of_pem
from tests.host.helpers import small_file

OTHERS = Configuration((Member("a", "n1", "127.0.0.1:1"),))


@pytest.fixture
def born(tmp_path: Path) -> tuple[Layout, Manifest]:
    return Layout(tmp_path / ".swarmtui"), create_cluster(small_file(2, 1), tmp_path)


def entry(name: str, role: NodeRole = NodeRole.WORKER, address: str = "") -> NodeEntry:
    return NodeEntry(id=f"id{name}", name=name, role=role, address=address)


def test_a_manager_that_joins_has_a_certificate_and_an_empty_log(born: tuple[Layout, Manifest]):
    layout, manifest = born
    manifest, made = make_node(layout, manifest, entry("n9", NodeRole.MANAGER))
    assert read_manifest(layout.directory) == manifest
    assert made.address not in [node.address for node in manifest.nodes if node.name != "n9"]
    assert identity_of_pem(layout.node("n9").certificate.read_bytes()).role is Peerage.MANAGER
    storage = RaftStorage.open(layout.node("n9").raft_of(made), made.member_id, introduction=OTHERS)
    assert storage.restored.entries == ()
    storage.close()


def test_a_name_and_an_address_belong_to_one_node(born: tuple[Layout, Manifest]):
    layout, manifest = born
    with pytest.raises(EnrolmentRefused, match="there is a node n1 here already"):
        make_node(layout, manifest, entry("n1"))
    with pytest.raises(EnrolmentRefused, match="is the address of n1"):
        make_node(layout, manifest, entry("n9", address=manifest.nodes[0].address))
    assert read_manifest(layout.directory) == manifest
    assert not layout.node("n9").directory.exists()


@pytest.mark.parametrize("address", ["0.0.0.0:7199", "10.0.0.1:7199", "n9.example:7199", "127.0.0.1:0"])
def test_nothing_listens_but_on_loopback(born: tuple[Layout, Manifest], address: str):
    """Whoever may speak with the host may be a program of one's own: the command line's check is not the last one."""
    layout, manifest = born
    with pytest.raises(EnrolmentRefused, match="is no loopback address"):
        make_node(layout, manifest, entry("n9", address=address))
    with pytest.raises(EnrolmentRefused, match="is no loopback address"):
        move_node(layout, manifest, manifest.nodes[0], address)
    assert not layout.node("n9").directory.exists()


def test_a_directory_that_a_crash_left_over_is_not_taken_for_the_node(born: tuple[Layout, Manifest], monkeypatch):
    layout, manifest = born
    with monkeypatch.context() as crashing:
        crashing.setattr(
            enrolment, "write_manifest", lambda layout, manifest: (_ for _ in ()).throw(OSError(5, "power"))
        )
        with pytest.raises(EnrolmentRefused, match="power"):
            make_node(layout, manifest, entry("n9"))
    assert layout.node("n9").directory.exists()
    manifest, _ = make_node(layout, manifest, attrs.evolve(entry("n9"), id="another"))
    known = own_entry(layout.node("n9"))
    assert known is not None
    assert known.id == "another"


def test_a_forgotten_node_leaves_nothing(born: tuple[Layout, Manifest]):
    layout, manifest = born
    after = forget_node(layout, manifest, manifest.nodes[2])
    assert [node.name for node in after.nodes] == ["n1", "n2"]
    assert read_manifest(layout.directory) == after
    assert not layout.node("n3").directory.exists()


def test_a_promoted_worker_gets_a_log_of_a_new_member_and_a_demoted_one_forgets_it(born: tuple[Layout, Manifest]):
    layout, manifest = born
    worker = manifest.nodes[2]
    manifest = change_role(layout, manifest, worker, NodeRole.MANAGER, 1, 10)
    manager = manifest.nodes[2]
    assert (manager.role, manager.member_id, manager.role_version) == (NodeRole.MANAGER, f"{worker.id}.1", 10)
    assert repair_node(layout, manager, manifest) == ""
    own = layout.node("n3")
    assert identity_of_pem(own.certificate.read_bytes()).role is Peerage.MANAGER
    with open_node_directory(own.directory) as opened:
        assert opened.raft == own.directory / "raft-1"
        assert opened.forgotten() == []

    manifest = change_role(layout, manifest, manager, NodeRole.WORKER, 1, 20)
    assert identity_of_pem(own.certificate.read_bytes()).role is Peerage.WORKER
    with open_node_directory(own.directory) as opened:
        assert opened.forgotten() == [own.directory / "raft-1"]
    manifest = change_role(layout, manifest, manifest.nodes[2], NodeRole.MANAGER, 2, 30)
    with open_node_directory(own.directory) as opened:
        assert opened.raft == own.directory / "raft-2"
        assert opened.forgotten() == [own.directory / "raft-1"]


def test_a_role_for_a_node_whose_directory_is_lost_is_noted_and_its_start_says_the_rest(born: tuple[Layout, Manifest]):
    layout, manifest = born
    for path, role in (("n3", NodeRole.MANAGER), ("n2", NodeRole.WORKER)):
        shutil.rmtree(layout.node(path).directory)
        known = manifest.node(path)
        assert known is not None
        manifest = change_role(layout, manifest, known, role, 1, 10)
    lost, worker = manifest.nodes[2], manifest.nodes[1]
    assert "node rm --force n3" in repair_node(layout, lost, manifest)
    assert repair_node(layout, worker, manifest) == ""
    known = own_entry(layout.node("n2"))
    assert known == worker


def test_a_full_disk_or_a_broken_authority_is_a_reason_and_not_the_end_of_the_host(born: tuple[Layout, Manifest]):
    layout, manifest = born
    layout.authority_key.write_text("no key")
    with pytest.raises(EnrolmentRefused, match="n3 cannot become a manager: not an authority's certificate and key"):
        change_role(layout, manifest, manifest.nodes[2], NodeRole.MANAGER, 1, 10)
    with pytest.raises(EnrolmentRefused, match="n9 cannot be made"):
        make_node(layout, manifest, entry("n9"))
    assert read_manifest(layout.directory) == manifest


def test_a_log_that_node_json_names_is_never_made_again(born: tuple[Layout, Manifest]):
    """The host died after node.json and before cluster.json; meanwhile the node had voted, and lost its log."""
    layout, manifest = born
    worker = manifest.nodes[2]
    change_role(layout, manifest, worker, NodeRole.MANAGER, 1, 10)
    log = layout.node("n3").directory / "raft-1"
    for path in log.iterdir():
        path.unlink()
    log.rmdir()
    again = change_role(layout, manifest, worker, NodeRole.MANAGER, 1, 10)
    assert not log.exists()
    assert "node rm --force n3" in repair_node(layout, again.nodes[2], again)


def test_cluster_json_follows_what_the_nodes_themselves_say(born: tuple[Layout, Manifest]):
    layout, manifest = born
    moved, n1 = move_node(layout, manifest, manifest.nodes[0], "127.0.0.1:9")
    assert n1.address == "127.0.0.1:9"
    enrolment.write_manifest(layout, manifest)  # as if the crash had come before
    assert adopt_own(layout, read_manifest(layout.directory)) == moved
    assert read_manifest(layout.directory) == moved


def test_an_old_record_brings_no_role_back():
    known = attrs.evolve(entry("n3"), role_version=20)
    old = Node(id="idn3", spec=NodeSpec(), role=NodeRole.MANAGER, promotions=1, version=10)
    assert not is_news(known, old)
    assert is_news(known, attrs.evolve(old, version=21))
    assert not is_news(known, attrs.evolve(old, version=21, role=NodeRole.WORKER, promotions=0))
