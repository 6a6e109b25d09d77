"""Which cluster is meant, and which clusters this user has on this machine.

Meant is, in this order: what `--cluster NAME|DIR` says, SWARMTUI_CLUSTER, the nearest `.swarmtui/` upward that is one's
own and that nobody else may write to (whoever may write there could run commands as us), and then the cluster `demo` of
the user's state directory if it runs.

Each `up` leaves a small note in the state directory, which is how clusters are found by name.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import attrs
import platformdirs

from swarmtui.client.errors import NoCluster
from swarmtui.host import manifest_file
from swarmtui.host.info import running_host
from swarmtui.host.layout import DIRECTORY_NAME, Layout
from swarmtui.objects.manifest import Manifest
from swarmtui.storage.files import replace_file

CLUSTER_VARIABLE = "SWARMTUI_CLUSTER"
DEFAULT_NAME = "demo"
CLUSTERS_MAX = 1_000  # notes that are read


@attrs.frozen
class FoundCluster:
    """One cluster of this user on this machine. `directory` is its `.swarmtui/`."""

    name: str
    id: str
    directory: Path
    running: bool
    nodes: int


def state_directory() -> Path:
    """This user's: notes of clusters, and the packaged default cluster."""
    return platformdirs.user_state_path("swarmtui")


def default_base() -> Path:
    """The directory that holds the packaged default cluster's `.swarmtui/`."""
    return state_directory() / DEFAULT_NAME


def read_manifest(directory: Path) -> Manifest:
    """The manifest of this `.swarmtui/`. Raises NoCluster."""
    try:
        return manifest_file.read_manifest(directory)
    except manifest_file.UnreadableCluster as error:
        raise NoCluster(str(error)) from None


def find_cluster(selector: str | Path | None = None, start: Path | None = None) -> Path:
    """The `.swarmtui/` that is meant. Raises NoCluster."""
    chosen = selector or os.environ.get(CLUSTER_VARIABLE)
    if chosen:
        return _selected(str(chosen), start or Path.cwd())
    nearest = _nearest(start or Path.cwd())
    if nearest is not None:
        return nearest
    default = default_base() / DIRECTORY_NAME
    if holds_cluster(default) and running_host(default) is not None:
        return default
    raise NoCluster("no cluster here, and none named demo runs; start one with swarmtui up, or name one with --cluster")


def _selected(chosen: str, start: Path) -> Path:
    path = (start / chosen).expanduser()
    for directory in (path, path / DIRECTORY_NAME):
        if holds_cluster(directory):
            return directory.resolve()
    named = [found for found in list_clusters() if found.name == chosen]
    running = [found for found in named if found.running] or named
    if len(running) == 1:
        return running[0].directory
    if running:
        where = ", ".join(str(found.directory.parent) for found in running)
        raise NoCluster(f"{len(running)} clusters are called {chosen}: name its directory instead ({where})")
    raise NoCluster(
        f"no cluster {chosen!r}: it is neither a directory with a cluster nor a name that swarmtui ls shows"
    )


def _nearest(start: Path) -> Path | None:
    for base in (start.resolve(), *start.resolve().parents):
        directory = base / DIRECTORY_NAME
        if is_own_cluster(directory):
            return directory
    return None


def holds_cluster(directory: Path) -> bool:
    """It is some cluster's `.swarmtui/`. Raises NoCluster for one of ours that may not be looked into; what is not ours is
    none."""
    try:
        return Layout(directory).manifest.is_file()
    except PermissionError:
        if directory.name == DIRECTORY_NAME and _is_ours_alone(directory):
            raise NoCluster(f"{directory} cannot be read: Permission denied; swarmtui made it with chmod 700") from None
        return False


def is_own_cluster(directory: Path) -> bool:
    """It is the `.swarmtui/` of a cluster of ours that nobody else may write to: what lies around is not to be believed.
    Raises NoCluster for one that may not be looked into."""
    return holds_cluster(directory) and _is_ours_alone(directory)


def _is_ours_alone(directory: Path) -> bool:
    found = directory.stat()
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


# ---------------------------------------------------------------------------------------------------------- the notes


def register_cluster(directory: Path) -> None:
    """Leave a note of this `.swarmtui/`, so that it is found by name from anywhere."""
    manifest = read_manifest(directory)
    notes = state_directory() / "clusters"
    notes.mkdir(parents=True, exist_ok=True, mode=0o700)
    note = notes / f"{manifest.id}.json"
    text = json.dumps({"name": manifest.name, "directory": str(directory.resolve())}) + "\n"
    replace_file(note, text.encode(), durable=False)


def list_clusters() -> list[FoundCluster]:
    """Every cluster with a note that can be read, by name. Notes of those whose directory is gone are dropped."""
    found: list[FoundCluster] = []
    for note in sorted((state_directory() / "clusters").glob("*.json"))[:CLUSTERS_MAX]:
        try:
            directory = Path(json.loads(note.read_text())["directory"])
        except (OSError, ValueError, KeyError, TypeError):
            note.unlink(missing_ok=True)
            continue
        try:
            if not holds_cluster(directory):
                note.unlink(missing_ok=True)
                continue
            manifest = read_manifest(directory)
        except NoCluster:
            continue  # a newer version's, say, which finds it by this note
        if manifest.id != note.stem:  # its data was deleted, and another cluster lies there now with a note of its own
            note.unlink(missing_ok=True)
            continue
        running = running_host(directory) is not None
        found.append(FoundCluster(manifest.name, manifest.id, directory, running, len(manifest.nodes)))
    return sorted(found, key=lambda cluster: (cluster.name, str(cluster.directory)))
