"""Which cluster is meant, and that nobody else can choose it for us."""

import errno
import json
import os
from pathlib import Path

import attrs
import pytest

from swarmtui.client import NoCluster, connect
from swarmtui.client.discovery import find_cluster, list_clusters, read_manifest, register_cluster, state_directory
from swarmtui.host.identity import ProcessName
from swarmtui.objects.codec import encode_json
from swarmtui.objects.manifest import MANIFEST_FORMAT, Manifest


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SWARMTUI_CLUSTER", raising=False)
    return state_directory()


def make(base: Path, name: str, *, running: bool = False) -> Path:
    """A `.swarmtui/` with a manifest, and a living host if asked for."""
    directory = base / ".swarmtui"
    directory.mkdir(parents=True, mode=0o700)
    manifest = Manifest(id=f"id-{name}-{base.name}", name=name, profile="fast", created_at=1.0, nodes=())
    (directory / "cluster.json").write_text(encode_json(manifest))
    if running:
        host = attrs.asdict(ProcessName.of(os.getpid())) | {"address": "127.0.0.1:1"}
        (directory / "host.json").write_text(json.dumps(host))
    return directory


def test_a_directory_names_a_cluster_with_or_without_its_last_part(tmp_path):
    directory = make(tmp_path / "dev", "dev")
    for selector in (directory, directory.parent, str(directory), "dev", "./dev", Path("dev")):
        assert find_cluster(selector, tmp_path) == directory


def test_the_nearest_upward_is_found(tmp_path):
    outer, inner = make(tmp_path, "outer"), make(tmp_path / "a", "inner")
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    assert find_cluster(None, deep) == inner
    assert find_cluster(None, tmp_path) == outer


def test_what_is_said_comes_before_the_variable_and_that_before_what_is_near(tmp_path, monkeypatch):
    near, said, meant = make(tmp_path, "near"), make(tmp_path / "said", "said"), make(tmp_path / "meant", "meant")
    monkeypatch.setenv("SWARMTUI_CLUSTER", str(meant))
    assert find_cluster(None, tmp_path) == meant
    assert find_cluster(said, tmp_path) == said
    monkeypatch.setenv("SWARMTUI_CLUSTER", "")
    assert find_cluster(None, tmp_path) == near


@pytest.mark.parametrize("selector", [None, "dev"])
def test_a_directory_of_ours_that_may_not_be_looked_into_is_said(tmp_path, monkeypatch, selector):
    """It was an internal error. Nothing is closed to root, so the system's answer is played."""
    closed = make(tmp_path / "dev", "dev")
    is_file = Path.is_file

    def asked(path: Path) -> bool:
        if path.parent == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", asked)
    with pytest.raises(NoCluster) as refused:
        find_cluster(selector, tmp_path if selector else tmp_path / "dev")
    assert str(refused.value) == f"{closed} cannot be read: Permission denied; swarmtui made it with chmod 700"
    if selector is None:
        monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
        with pytest.raises(NoCluster, match="no cluster here"):  # somebody else's is none of ours
            find_cluster(None, tmp_path / "dev")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_may_write_to_is_passed_over(tmp_path, mode):
    outer = make(tmp_path, "outer")
    make(tmp_path / "shared", "planted").chmod(mode)
    assert find_cluster(None, tmp_path / "shared") == outer


def test_a_directory_of_somebody_else_is_passed_over(tmp_path, monkeypatch):
    make(tmp_path, "foreign")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(NoCluster):
        find_cluster(None, tmp_path)


def test_the_default_cluster_is_meant_last_and_only_while_it_runs(tmp_path, state):
    here = tmp_path / "here"
    here.mkdir()
    directory = make(state / "demo", "demo")
    with pytest.raises(NoCluster, match="swarmtui up"):
        find_cluster(None, here)
    (directory / "host.json").write_text(
        json.dumps(attrs.asdict(ProcessName.of(os.getpid())) | {"address": "127.0.0.1:1"})
    )
    assert find_cluster(None, here) == directory
    near = make(here, "near")
    assert find_cluster(None, here) == near


def test_clusters_are_found_by_name_from_anywhere(tmp_path):
    directory = make(tmp_path / "one", "dev", running=True)
    register_cluster(directory)
    assert find_cluster("dev", Path("/")) == directory
    assert [(found.name, found.running, found.directory) for found in list_clusters()] == [("dev", True, directory)]


def test_of_two_with_one_name_the_running_one_is_meant_or_neither(tmp_path):
    first, second = make(tmp_path / "one", "dev"), make(tmp_path / "two", "dev")
    for directory in (first, second):
        register_cluster(directory)
    with pytest.raises(NoCluster, match=r"2 clusters are called dev.*one.*two"):
        find_cluster("dev", Path("/"))
    (second / "host.json").write_text(
        json.dumps(attrs.asdict(ProcessName.of(os.getpid())) | {"address": "127.0.0.1:1"})
    )
    assert find_cluster("dev", Path("/")) == second


def test_notes_of_what_is_gone_are_dropped(tmp_path, state):
    directory = make(tmp_path / "one", "dev")
    register_cluster(directory)
    (state / "clusters" / "broken.json").write_text("{")
    (directory / "cluster.json").unlink()
    assert list_clusters() == []
    assert list((state / "clusters").iterdir()) == []


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(NoCluster, match=r"'nope'.*swarmtui ls"):
        find_cluster("nope", tmp_path)
    with pytest.raises(NoCluster, match="create one with swarmtui up") as caught:
        read_manifest(tmp_path)
    assert caught.value.exit_code == 4
    (tmp_path / "cluster.json").write_text('{"id": 7}')
    with pytest.raises(NoCluster, match="cannot be read"):
        read_manifest(tmp_path)


def test_a_cluster_of_a_newer_version_is_refused_and_not_forgotten(tmp_path, state):
    directory = make(tmp_path, "dev")
    register_cluster(directory)
    manifest = json.loads((directory / "cluster.json").read_text())
    (directory / "cluster.json").write_text(json.dumps(manifest | {"format": MANIFEST_FORMAT + 1}))
    with pytest.raises(NoCluster, match=f"has format {MANIFEST_FORMAT + 1}, this version reads {MANIFEST_FORMAT}"):
        read_manifest(directory)
    assert list_clusters() == []
    assert [note.stem for note in (state / "clusters").iterdir()] == [manifest["id"]]


async def test_a_cluster_without_our_certificate_is_no_cluster_of_ours(tmp_path):
    with pytest.raises(NoCluster, match="no certificate for observer"):
        async with connect(make(tmp_path, "dev"), role="observer"):
            pytest.fail("connected")
