"""Which nodes there are, as `cluster.json` says now, with the way to each: nodes join, leave and move while we are connected."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import trio

from swarmtui.client.discovery import read_manifest
from swarmtui.client.errors import NoCluster
from swarmtui.client.links import Link
from swarmtui.host.layout import Layout
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.wire.certificates import Credentials

LOOK_S = 0.1  # how old what we know of the file may be


class Roster:
    """`manifest` is never older than LOOK_S. Another cluster's file in the same place is not believed."""

    def __init__(self, directory: Path, manifest: Manifest, credentials: Credentials, nursery: trio.Nursery) -> None:
        self._file = Layout(directory).manifest
        self._manifest = manifest
        self._credentials = credentials
        self._nursery = nursery
        self._entries: dict[str, NodeEntry] = {}  # by name and by id: asked for with every write
        self._links: dict[str, Link] = {}  # by node id
        self._index()
        self._seen = self._stamp()
        self._looked_at = float("-inf")  # so that what changed while we connected is seen at once

    @property
    def manifest(self) -> Manifest:
        self._look_now_and_then()
        return self._manifest

    def entry(self, name_or_id: str) -> NodeEntry | None:
        """The node of this name or id, as the manifest is now."""
        self._look_now_and_then()
        return self._entries.get(name_or_id)

    def link(self, node_id: str) -> Link:
        """The way to the node of this id, which is in the manifest."""
        link = self._links.get(node_id)
        if link is None:
            entry = self._manifest.node(node_id)
            assert entry is not None
            address = partial(self._address, node_id, entry.address)
            link = self._links[node_id] = Link(entry.name, node_id, address, self._credentials, self._nursery)
        return link

    def _address(self, node_id: str, first: str) -> str:
        entry = self._manifest.node(node_id)
        return entry.address if entry is not None else first

    def _index(self) -> None:
        nodes = self._manifest.nodes
        self._entries = {node.id: node for node in nodes} | {node.name: node for node in nodes}

    def _stamp(self) -> tuple[int, int]:
        """What a file that is replaced never has again."""
        try:
            found = os.stat(self._file)
        except OSError:
            return (0, 0)
        return (found.st_ino, found.st_mtime_ns)

    def _look_now_and_then(self) -> None:
        now = trio.current_time()
        if now >= self._looked_at + LOOK_S:
            self._looked_at = now
            self._look()

    def _look(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen:
            return
        try:
            manifest = read_manifest(self._file.parent)
        except NoCluster:
            return  # its directory is going: what we know is the last there was
        self._seen = stamp
        if manifest.id == self._manifest.id:
            self._manifest = manifest
            self._index()
            known = {node.id for node in manifest.nodes}
            self._links = {id: link for id, link in self._links.items() if id in known}
