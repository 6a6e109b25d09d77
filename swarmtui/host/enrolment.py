"""Nodes that come, go, move and change their role on this machine while the cluster lives: what that means on the disk.

    made       a directory beside, synced   --rename-->   nodes/NAME/      then cluster.json
    promoted   raft-N/ with an empty log, a manager's certificate, node.json (from then on it is one), then cluster.json
    demoted    a worker's certificate, node.json (from then on it is one), then cluster.json
    moved      node.json, then cluster.json
    forgotten  cluster.json, then the directory is deleted

`node.json` is the truth about its node and `cluster.json` the list of them; whichever step a crash comes after, the next
start of the host finds the one by the other (`adopt_own`).

A log is made before `node.json` names it and never again: what is missing then was lost, and with it a vote. So a node that
is promoted again gets a log of its own, under the id of a new member, and nobody has to remember the old one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from swarmtui.host.create import CreationFailed, free_port, read_authority, write_node
from swarmtui.host.files import sync_directories
from swarmtui.host.layout import Layout, NodeLayout
from swarmtui.objects.codec import MalformedObject, decode_json, encode_json
from swarmtui.objects.manifest import Manifest, NodeBirth, NodeEntry
from swarmtui.objects.notations import check_address
from swarmtui.objects.states import NodeRole
from swarmtui.storage.errors import StorageError
from swarmtui.storage.files import REAL, replace_file
from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import NotCertified


class EnrolmentRefused(Exception):
    """A node that cannot be made, moved, changed or forgotten so. One sentence why, or with what to do."""


@contextmanager
def _said(what: str) -> Iterator[None]:
    """What the disk, the authority or a log is to blame for becomes an EnrolmentRefused: the host goes on."""
    try:
        yield
    except OSError as error:
        raise EnrolmentRefused(f"{what}: {error.filename or 'the disk'}: {error.strerror or error}") from None
    except (NotCertified, StorageError) as error:
        raise EnrolmentRefused(f"{what}: {error}") from None


def make_node(layout: Layout, manifest: Manifest, entry: NodeEntry) -> tuple[Manifest, NodeEntry]:
    """The directory of a node whose record exists, and the manifest with it. A directory of this name that belongs to no
    node is what a crash left over. Raises EnrolmentRefused."""
    if manifest.node(entry.name) is not None or manifest.node(entry.id) is not None:
        raise EnrolmentRefused(f"there is a node {entry.name} here already; choose another name")
    entry = attrs.evolve(entry, address=_address(manifest, entry.address))
    wanted = manifest.with_node(entry)
    own = layout.node(entry.name)
    new = NodeLayout(own.directory.with_name(f".{entry.name}.new"))
    with _said(f"{entry.name} cannot be made"):
        for leftover in (new.directory, own.directory):
            if leftover.exists():
                shutil.rmtree(leftover)
        write_node(new, entry, wanted, read_authority(layout), joins=True)
        sync_directories(new.directory)
        new.directory.rename(own.directory)
        REAL.sync_directory(layout.nodes)
        write_manifest(layout, wanted)
    return wanted, entry


def forget_node(layout: Layout, manifest: Manifest, entry: NodeEntry) -> Manifest:
    """The manifest without this node, whose process has ended. Raises EnrolmentRefused."""
    wanted = manifest.without_node(entry.id)
    with _said(f"{entry.name} cannot be forgotten"):
        write_manifest(layout, wanted)
    directory = layout.node(entry.name).directory
    shutil.rmtree(directory, ignore_errors=True)
    for beside in layout.nodes.glob(f".{entry.name}.*"):
        beside.unlink(missing_ok=True)  # what storage noted beside the directory
    return wanted


def move_node(layout: Layout, manifest: Manifest, entry: NodeEntry, address: str) -> tuple[Manifest, NodeEntry]:
    """The node listens there from its next start on. Raises EnrolmentRefused."""
    others = manifest.without_node(entry.id)
    moved = attrs.evolve(entry, address=_address(others, address))
    with _said(f"{entry.name} cannot move"):
        return _rewritten(layout, manifest, moved), moved


def change_role(
    layout: Layout, manifest: Manifest, entry: NodeEntry, role: NodeRole, promotions: int, version: int
) -> Manifest:
    """The node has this role, as version `version` of its record says. Raises EnrolmentRefused."""
    changed = attrs.evolve(entry, role=role, promotions=promotions, role_version=version)
    own = layout.node(entry.name)
    with _said(f"{entry.name} cannot become a {role}"):
        if (entry.role, entry.promotions) != (role, promotions):
            if role is NodeRole.MANAGER and not _is_already(own, changed):
                _make_empty_log(own, changed)
            peerage = Peerage.MANAGER if role is NodeRole.MANAGER else Peerage.WORKER
            if own.directory.is_dir():  # one that was lost is made again, or refused, when the node is started
                replace_file(own.certificate, read_authority(layout).issue(peerage, entry.id, entry.name).pem)
        return _rewritten(layout, manifest, changed)


def adopt_own(layout: Layout, manifest: Manifest) -> Manifest:
    """The manifest as the nodes' own files have it. Raises OSError."""
    adopted = manifest
    for entry in manifest.nodes:
        own = own_entry(layout.node(entry.name))
        if own is not None and own != entry and (own.id, own.name) == (entry.id, entry.name):
            adopted = adopted.with_node(own)
    if adopted != manifest:
        write_manifest(layout, adopted)
    return adopted


def own_entry(layout: NodeLayout) -> NodeEntry | None:
    """The node as its own `node.json` has it; None if that is gone or cannot be read, which its start will say."""
    try:
        birth = decode_json(layout.birth.read_bytes(), NodeBirth)
    except (OSError, MalformedObject):
        return None
    return birth.manifest.node(birth.node_id)


def write_manifest(layout: Layout, manifest: Manifest) -> None:
    replace_file(layout.manifest, encode_json(manifest).encode())


# --------------------------------------------------------------------------------------------------------------- inside


def _rewritten(layout: Layout, manifest: Manifest, entry: NodeEntry) -> Manifest:
    wanted = manifest.with_node(entry)
    own = layout.node(entry.name)
    if own.birth.exists():  # a directory that was lost is not begun anew by the way
        replace_file(own.birth, encode_json(NodeBirth(node_id=entry.id, manifest=wanted)).encode())
    write_manifest(layout, wanted)
    return wanted


def _is_already(own: NodeLayout, entry: NodeEntry) -> bool:
    """The node was told before a crash: its log was made, and may hold a vote."""
    known = own_entry(own)
    return known is not None and (known.role, known.promotions) == (entry.role, entry.promotions)


def _make_empty_log(own: NodeLayout, entry: NodeEntry) -> None:
    from swarmtui.storage.log import RaftStorage  # which a host seldom needs

    path = own.raft_of(entry)
    if not own.directory.is_dir():
        return  # lost: there is nothing to give a log to, and its start will say so
    if path.exists():
        shutil.rmtree(path)  # begun before a crash, and never named in node.json: nobody has spoken with it
    RaftStorage.create(path, entry.member_id, None)
    REAL.sync_directory(own.directory)


def _address(others: Manifest, wanted: str) -> str:
    """This address, or one that is free now."""
    if wanted:
        try:
            wanted = check_address(wanted)
        except ValueError as error:
            raise EnrolmentRefused(str(error)) from None
    taken = {node.address for node in others.nodes}
    if wanted in taken:
        holder = next(node.name for node in others.nodes if node.address == wanted)
        raise EnrolmentRefused(f"{wanted} is the address of {holder}; choose another")
    if wanted:
        return wanted
    ports = {int(address.rpartition(":")[2]) for address in taken}
    return f"127.0.0.1:{_free(lambda port: port in ports or others.task_ports[0] <= port <= others.task_ports[1])}"


def _free(excluded: Callable[[int], bool]) -> int:
    try:
        return free_port(excluded)
    except CreationFailed as error:
        raise EnrolmentRefused(str(error)) from None
