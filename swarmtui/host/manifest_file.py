"""`cluster.json`, read: what the cluster in a directory was created as, and which nodes are here.

A module of its own, and a light one: everything outside a node begins by reading this file, and a format that is newer than
this version must be refused by each of them alike.
"""

from __future__ import annotations

from pathlib import Path

from swarmtui.host.layout import Layout
from swarmtui.objects.codec import MalformedObject, decode_json
from swarmtui.objects.manifest import MANIFEST_FORMAT, Manifest


class UnreadableCluster(Exception):
    """A directory that is no cluster's, or one of another version's format. One sentence with what to do."""


def read_manifest(directory: Path) -> Manifest:
    """The manifest of the cluster in this `.swarmtui/`. Raises UnreadableCluster."""
    path = Layout(directory).manifest
    try:
        manifest = decode_json(path.read_bytes(), Manifest)
    except FileNotFoundError:
        raise UnreadableCluster(
            f"{directory} holds no cluster: it has no {path.name}; create one with swarmtui up"
        ) from None
    except OSError as error:
        raise UnreadableCluster(f"{path} cannot be read: {error.strerror or error}") from None
    except MalformedObject as error:
        raise UnreadableCluster(
            f"{path} cannot be read: {error}; put a copy of it back: every node.json under nodes/ holds one, as `manifest`"
        ) from None
    if manifest.format > MANIFEST_FORMAT:
        raise UnreadableCluster(
            f"{path} has format {manifest.format}, this version reads {MANIFEST_FORMAT}; use the newer swarmtui"
        )
    return manifest
