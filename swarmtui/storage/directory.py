"""A node's directory: who it is (`node.json`), and that it is used once (a lock that ends with the process)."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from types import TracebackType

import attrs

from swarmtui.objects.codec import MalformedObject, decode_json
from swarmtui.objects.manifest import MANIFEST_FORMAT, NodeBirth, NodeEntry, raft_directory
from swarmtui.objects.states import NodeRole
from swarmtui.storage.errors import DirectoryInUse, DirectoryMissing, ForeignDirectory, NewerFormat

BIRTH_FILE = "node.json"
LOCK_FILE = "node.lock"
PUT_BACK = (
    "put its own file back, or a new node in its place: swarmtui node rm --force {name} && swarmtui swarm join --role ROLE "
    "--name {name}"
)


@attrs.define(eq=False)
class NodeDirectory:
    """A directory that is ours until it is closed, or the process ends, however it ends.

    The lock belongs to the open file and is inherited by a fork that does not exec: open it after such children are made.
    """

    path: Path
    birth: NodeBirth
    _lock: int

    @property
    def node(self) -> NodeEntry:
        found = self.birth.manifest.node(self.birth.node_id)
        assert found is not None  # checked when it was opened
        return found

    @property
    def raft(self) -> Path:
        """The log and the snapshots of a manager, of the membership that it has now."""
        return self.path / raft_directory(self.node.promotions)

    def forgotten(self) -> list[Path]:
        """Logs and snapshots of memberships that are over for ever: of all but the one that this node has now."""
        kept = self.raft if self.node.role is NodeRole.MANAGER else None
        found = (path for path in self.path.glob("raft*") if path.is_dir() and path != kept)
        return sorted(path for path in found if path.name.partition("-")[0] == "raft")

    def read_again(self) -> None:
        """The host has changed who this node is. Raises ForeignDirectory or NewerFormat."""
        self.birth = _read_birth(self.path / BIRTH_FILE)

    @property
    def tasks(self) -> Path:
        return self.path / "tasks"

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> NodeDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_node_directory(path: Path) -> NodeDirectory:
    """Takes the lock and reads who this is. Raises DirectoryMissing, DirectoryInUse, ForeignDirectory or NewerFormat."""
    if not (path / BIRTH_FILE).is_file():
        raise DirectoryMissing(path)
    lock = _lock(path)
    try:
        return NodeDirectory(path, _read_birth(path / BIRTH_FILE), lock)
    except BaseException:
        os.close(lock)
        raise


def _lock(path: Path) -> int:
    lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise DirectoryInUse(path) from None
        raise
    return lock


def _read_birth(path: Path) -> NodeBirth:
    text = path.read_bytes()
    _check_format(path, text)
    try:
        birth = decode_json(text, NodeBirth)
    except MalformedObject as error:
        raise ForeignDirectory(path.parent, f"{path.name}: {error}; {PUT_BACK.format(name=path.parent.name)}") from None
    if birth.manifest.node(birth.node_id) is None:
        reason = f"{path.name} names no node {birth.node_id}; {PUT_BACK.format(name=path.parent.name)}"
        raise ForeignDirectory(path.parent, reason)
    return birth


def _check_format(path: Path, text: bytes) -> None:
    """Before anything else is read: a newer format may look like anything."""
    try:
        plain = json.loads(text)
        formats = [plain.get("format", 0), plain.get("manifest", {}).get("format", 0)]
        newest = max(number for number in formats if isinstance(number, int))
    except (ValueError, AttributeError):
        return  # told by the decoder, with the place
    if newest > MANIFEST_FORMAT:
        raise NewerFormat(path, "manifest", newest, MANIFEST_FORMAT)
