"""How a task reaches kv: a small directory of its own, with the certificate for tasks and never the admin's."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from swarmtui.agent.doorway import make_doorway
from swarmtui.agent.environment import Surroundings
from swarmtui.client.discovery import find_cluster, read_manifest
from swarmtui.objects.codec import encode_json
from swarmtui.objects.manifest import Manifest
from tests.agent.fakes import NODE

MANIFEST = Manifest(id="c1", name="dev", profile="fast", created_at=0.0, nodes=(NODE,))


def private(root: Path) -> tuple[Surroundings, Path]:
    directory = root / ".swarmtui" / "nodes" / NODE.name
    place = directory / "tasks" / "t1" / "private"
    place.mkdir(parents=True)
    (directory / "task.pem").write_text("for tasks")
    (directory / "ca.pem").write_text("the authority")
    (root / ".swarmtui" / "admin.pem").write_text("for the admin")
    return Surroundings(MANIFEST, NODE, directory, {}), place


def test_a_task_finds_the_managers_and_the_certificate_for_tasks(tmp_path: Path) -> None:
    around, place = private(tmp_path)
    (tmp_path / ".swarmtui" / "cluster.json").write_text(encode_json(MANIFEST))
    make_doorway(around, place)
    found = find_cluster(str(place / "cluster"))
    assert read_manifest(found) == MANIFEST
    assert (found / "task.pem").read_text() == "for tasks"
    assert (found / "ca" / "ca.pem").read_text() == "the authority"
    assert sorted(path.name for path in found.iterdir()) == ["ca", "cluster.json", "task.pem"]
    assert (found / "task.pem").stat().st_mode & 0o777 == 0o600
    assert found.stat().st_mode & 0o777 == 0o700


def test_managers_that_join_later_are_found_too(tmp_path: Path) -> None:
    around, place = private(tmp_path)
    manifest = tmp_path / ".swarmtui" / "cluster.json"
    manifest.write_text(encode_json(MANIFEST))
    make_doorway(around, place)
    later = attrs.evolve(MANIFEST, nodes=(NODE, attrs.evolve(NODE, id="x" * 25, name="n9")))
    manifest.write_text(encode_json(later))
    assert read_manifest(place / "cluster") == later
    assert not os.path.isabs(os.readlink(place / "cluster" / "cluster.json")), "the cluster's directory may be moved"


def test_it_is_made_anew_with_a_renewed_certificate_and_without_any_if_there_is_none(tmp_path: Path) -> None:
    around, place = private(tmp_path)
    make_doorway(around, place)
    assert read_manifest(place / "cluster") == MANIFEST, "what the node was born with, where there is nothing newer"
    (around.directory / "task.pem").write_text("renewed")
    make_doorway(around, place)
    assert (place / "cluster" / "task.pem").read_text() == "renewed"
    (around.directory / "task.pem").unlink()
    (place / "cluster" / "task.pem").unlink()
    make_doorway(around, place)
    assert not (place / "cluster" / "task.pem").exists()
