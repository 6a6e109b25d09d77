"""A node's directory: whose it is, once at a time; and the small files around it, replaced whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from swarmtui.objects.codec import encode_json
from swarmtui.objects.manifest import Manifest, NodeBirth, NodeEntry
from swarmtui.objects.states import NodeRole
from swarmtui.storage.directory import BIRTH_FILE, open_node_directory
from swarmtui.storage.errors import DirectoryInUse, DirectoryMissing, ForeignDirectory, NewerFormat
from swarmtui.storage.files import replace_file

N1 = NodeEntry(id="abc", name="n1", role=NodeRole.MANAGER, address="127.0.0.1:7101", labels={"zone": "a"})
BIRTH = NodeBirth(node_id="abc", manifest=Manifest(id="c", name="dev", profile="fast", created_at=1.5, nodes=(N1,)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "n1"
    made.mkdir()
    (made / BIRTH_FILE).write_text(encode_json(BIRTH))
    return made


def test_a_node_knows_who_it_is(path: Path) -> None:
    with open_node_directory(path) as directory:
        assert directory.birth == BIRTH
        assert directory.node == N1
        assert directory.raft == path / "raft"


def test_a_directory_is_used_once_at_a_time(path: Path) -> None:
    with open_node_directory(path), pytest.raises(DirectoryInUse, match="this node runs already"):
        open_node_directory(path)
    open_node_directory(path).close()


def test_the_lock_ends_with_its_process(path: Path) -> None:
    program = (
        "import sys, pathlib; from swarmtui.storage.directory import BIRTH_FILE, open_node_directory;"
        "held = open_node_directory(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(DirectoryInUse):
            open_node_directory(path)
        process.kill()
        process.wait()
    open_node_directory(path).close()


def test_a_missing_directory_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DirectoryMissing, match="node rm --force NAME && swarmtui swarm join"):
        open_node_directory(tmp_path / "n1")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"node_id": "xyz"}, "names no node xyz"),
        ({"node_id": 5}, r"str expected, not int \(at \$.node_id\)"),
        ({"manifest": {}}, "is missing"),
    ],
)
def test_what_was_not_made_for_a_node_is_refused(path: Path, change: dict[str, object], reason: str) -> None:
    birth = json.loads((path / "node.json").read_text())
    (path / "node.json").write_text(json.dumps({**birth, **change}))
    for _ in range(2):  # a refusal lets go of the lock
        with pytest.raises(ForeignDirectory, match=reason):
            open_node_directory(path)


def test_rubbish_is_refused(path: Path) -> None:
    (path / "node.json").write_bytes(b"\xff{")
    with pytest.raises(ForeignDirectory, match=f"or a new node in its place: swarmtui node rm --force {path.name} && "):
        open_node_directory(path)


def test_a_newer_manifest_is_refused_with_both_numbers(path: Path) -> None:
    (path / "node.json").write_text('{"format": 9, "of": "a shape nobody knows"}')
    with pytest.raises(NewerFormat, match="has manifest format 9, this version reads 1"):
        open_node_directory(path)


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    replace_file(path, b"one")
    replace_file(path, b"two")
    assert path.read_bytes() == b"two"
    replace_file(path, b"three", durable=False)
    assert path.read_bytes() == b"three"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["agent.json"]
