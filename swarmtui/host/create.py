"""A cluster is born: everything that its first start needs, made in one step that happened or did not.

    .swarmtui.new/   written whole and synced      --rename-->   .swarmtui/

Whoever creates holds a lock on the directory around it, so two `up` at once make one cluster, and a `.swarmtui.new` that
is found under the lock is the leftover of a crash. Every manager gets the same genesis: the voters as the configuration
entry at index 1. Only static checks are made here; the services of the file are created through the client, once there
is a leader.

A manager's directory is made once and never again: a voter that forgot its vote could make two leaders. A worker's may be.
Nodes that come, go and change later are in `enrolment`.
"""

from __future__ import annotations

import fcntl
import os
import random
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time as wall_time
from typing import TYPE_CHECKING

from swarmtui.agent.ports import is_free
from swarmtui.host.files import PRIVATE_DIRECTORY, sync_directories, write_new
from swarmtui.host.layout import DIRECTORY_NAME, NEW_DIRECTORY_NAME, Layout, NodeLayout
from swarmtui.objects.codec import MalformedObject, decode_json, encode_json
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.manifest import Manifest, NodeBirth, NodeEntry
from swarmtui.objects.states import NodeRole
from swarmtui.raft.configuration import Configuration, Member
from swarmtui.storage.errors import DiskFailure
from swarmtui.storage.files import REAL, replace_file
from swarmtui.wire.calls import Peerage
from swarmtui.wire.certificates import Authority, create_authority, needs_renewal

if TYPE_CHECKING:  # a host reads no cluster file, and is to start soon
    from swarmtui.objects.cluster_file import ClusterFile

NODE_PORTS = range(10_000, 20_000)  # below the tasks' ports and below what systems give to outgoing connections
PORT_DRAWS_MAX = 2_000
OUTSIDERS = (Peerage.ADMIN, Peerage.OBSERVER, Peerage.HOST)  # who has a certificate without being a node

Plant = Callable[["NodeLayout", "NodeEntry", "Manifest"], None]
"""Gives a manager that was just born a state to begin with, the same for all (`restore`)."""

Step = Callable[[str], None]
"""Told before each step of a creation, with its name: where the tests let it crash."""


class CreationFailed(Exception):
    """The cluster was not created; nothing was left behind that counts. One sentence with what to do."""


class ClusterExists(CreationFailed):
    """There is one here already; it is to be started, not created."""


# ------------------------------------------------------------------------------------------------------------ creation


def create_cluster(
    cluster_file: ClusterFile,
    base: Path,
    *,
    file: Path | None = None,
    plant: Plant | None = None,
    step: Step = lambda name: None,
) -> Manifest:
    """Makes `base/.swarmtui/` as this file says. `file` is where it was read from, None for the packaged default or a
    bare cluster. Without `plant` the cluster begins empty. Raises ClusterExists, CreationFailed."""
    base = base.resolve()
    try:
        with _alone_in(base):
            layout = Layout(base / DIRECTORY_NAME)
            if layout.directory.exists():
                raise ClusterExists(f"{layout.directory} exists already")
            manifest = _manifest(cluster_file, "" if file is None else os.path.relpath(file, base))
            new = Layout(base / NEW_DIRECTORY_NAME)
            if new.directory.exists():
                shutil.rmtree(new.directory)
            try:
                _fill(new, manifest, plant, step)
            except (OSError, DiskFailure):
                shutil.rmtree(new.directory, ignore_errors=True)  # a full disk has its space back
                raise
            step("rename")
            new.directory.rename(layout.directory)
            step("sync the name")
            REAL.sync_directory(base)
            return manifest
    except PermissionError as error:
        where = error.filename or base
        where = base if Path(where).name == NEW_DIRECTORY_NAME else where
        raise CreationFailed(f"{where} is not writable; choose another directory") from None
    except DiskFailure as error:
        raise CreationFailed(f"cannot create the cluster in {base}: {os.strerror(error.errno or 0)}") from None
    except OSError as error:
        raise CreationFailed(f"cannot create the cluster in {base}: {error.strerror or error}") from None


def _fill(layout: Layout, manifest: Manifest, plant: Plant | None, step: Step) -> None:
    """All of it, on the disk for good."""
    _write(layout, manifest, step)
    if plant is not None:
        for node in manifest.managers:
            step(f"state of {node.name}")
            plant(layout.node(node.name), node, manifest)
    step("sync")
    sync_directories(layout.directory)


def _write(layout: Layout, manifest: Manifest, step: Step) -> None:
    step("directory")
    layout.directory.mkdir(mode=PRIVATE_DIRECTORY)
    write_new(layout.directory / ".gitignore", b"*\n")
    step("cluster.json")
    write_new(layout.manifest, encode_json(manifest).encode())
    step("authority")
    authority = create_authority(manifest.id)
    layout.authority.mkdir(mode=PRIVATE_DIRECTORY)
    write_new(layout.authority_certificate, authority.certificate_pem)
    write_new(layout.authority_key, authority.key_pem)
    for role in OUTSIDERS:
        step(f"{role}.pem")
        write_new(layout.certificate(role), authority.issue(role).pem)
    layout.nodes.mkdir(mode=PRIVATE_DIRECTORY)
    for node in manifest.nodes:
        step(f"nodes/{node.name}")
        write_node(layout.node(node.name), node, manifest, authority)


def write_node(
    layout: NodeLayout, node: NodeEntry, manifest: Manifest, authority: Authority, *, joins: bool = False
) -> None:
    """The directory of a node as it is born: who it is, its certificate, and a manager's log: genesis, or empty if it
    `joins` a cluster that has been born already."""
    layout.directory.mkdir(mode=PRIVATE_DIRECTORY)
    layout.tasks.mkdir(mode=PRIVATE_DIRECTORY)
    write_new(layout.birth, encode_json(NodeBirth(node_id=node.id, manifest=manifest)).encode())
    write_new(layout.authority_certificate, authority.certificate_pem)
    write_new(layout.certificate, authority.issue(_peerage(node), node.id, node.name).pem)
    write_new(layout.task_certificate, authority.issue(Peerage.TASK, node.id, node.name).pem)
    if node.role is NodeRole.MANAGER:
        from swarmtui.storage.log import RaftStorage  # the only room that a host never needs once it is created

        RaftStorage.create(layout.raft_of(node), node.member_id, None if joins else genesis(manifest))


def genesis(manifest: Manifest) -> Configuration:
    """The configuration that every manager's log begins with."""
    return Configuration(voters=tuple(Member(node.id, node.name, node.address) for node in manifest.managers))


# ------------------------------------------------------------------------------------------------------- before a start


def read_authority(layout: Layout) -> Authority:
    """The cluster's own authority. Raises OSError, NotCertified."""
    return Authority.from_pem(layout.authority_certificate.read_bytes(), layout.authority_key.read_bytes())


def renew_certificates(layout: Layout, manifest: Manifest, now: float) -> list[str]:
    """Issues again what is past half its life, or missing. Returns whose certificate that was."""
    wanted = [(layout.certificate(role), role, "", "") for role in OUTSIDERS]
    for node in manifest.nodes:
        own = layout.node(node.name)
        if own.directory.is_dir():
            wanted.append((own.certificate, _peerage(node), node.id, node.name))
            wanted.append((own.task_certificate, Peerage.TASK, node.id, node.name))
    due = [each for each in wanted if not each[0].exists() or needs_renewal(each[0].read_bytes(), now)]
    if due:
        authority = read_authority(layout)
        for path, role, node_id, name in due:
            replace_file(path, authority.issue(role, node_id, name).pem)
    return [f"tasks of {name}" if role is Peerage.TASK else name or role.value for _, role, _, name in due]


def repair_node(layout: Layout, node: NodeEntry, manifest: Manifest) -> str:
    """What is wrong with the node's directory, as one sentence; "" if it can be started. A worker's that is gone is made
    again, atomically."""
    own = layout.node(node.name)
    if why := _strange(own, node, manifest):
        return why
    if own.birth.exists() and (node.role is NodeRole.WORKER or own.raft_of(node).is_dir()):
        return ""
    if node.role is NodeRole.MANAGER:
        what = (
            "is gone"
            if not own.directory.exists()
            else "has lost its " + ("log" if own.birth.exists() else "node.json")
        )
        return (
            f"its directory {own.directory} {what}; a manager's is never made again, for a voter that forgot its vote could "
            f"make two leaders: {anew(node)}"
        )
    new = NodeLayout(own.directory.with_name(f".{node.name}.new"))
    if new.directory.exists():
        shutil.rmtree(new.directory)
    write_node(new, node, manifest, read_authority(layout))
    sync_directories(new.directory)
    if own.directory.exists():
        shutil.rmtree(own.directory)
    new.directory.rename(own.directory)
    REAL.sync_directory(layout.nodes)
    return ""


def _strange(own: NodeLayout, node: NodeEntry, manifest: Manifest) -> str:
    """Another node's directory under this one's name, of whatever cluster: it would run as that one, under this one's
    switches. "" if it is none, or cannot be read, which the node's start will say."""
    try:
        birth = decode_json(own.birth.read_bytes(), NodeBirth)
    except (OSError, MalformedObject):
        return ""
    if (birth.manifest.id, birth.node_id) == (manifest.id, node.id):
        return ""
    found = birth.manifest.node(birth.node_id)
    whose = found.name if found is not None else birth.node_id
    if birth.manifest.id != manifest.id:
        whose += f" of another cluster, {birth.manifest.name}"
    elif whose == node.name:
        whose = f"an earlier {whose}"
    else_do = f"or else {anew(node)}"
    if node.role is NodeRole.WORKER:
        else_do = "or move this one away, and swarmtui up makes a new one"
    return f"its directory {own.directory} is that of {whose}; put its own back, {else_do}"


def anew(node: NodeEntry) -> str:
    """The commands that put a new manager in the place of a lost one."""
    labels = "".join(f" --label {shlex.quote(f'{key}={value}')}" for key, value in node.labels.items())
    return f"swarmtui node rm --force {node.name} && swarmtui swarm join --role manager --name {node.name}{labels}"


def _peerage(node: NodeEntry) -> Peerage:
    return Peerage.MANAGER if node.role is NodeRole.MANAGER else Peerage.WORKER


# ------------------------------------------------------------------------------------------------------------- choices


def _manifest(wish: ClusterFile, file: str) -> Manifest:
    addresses = _addresses(wish)
    nodes = tuple(
        NodeEntry(
            id=new_id(),
            name=node.name,
            role=node.role,
            address=addresses[node.name],
            availability=node.availability,
            labels=dict(node.labels),
        )
        for node in wish.nodes
    )
    return Manifest(
        id=new_id(),
        name=wish.name,
        profile=wish.profile,
        created_at=wall_time(),
        nodes=nodes,
        raft=wish.raft,
        agent_heartbeat_s=wish.agent_heartbeat_s,
        node_timeout_s=wish.node_timeout_s,
        restart_delay_s=wish.restart_delay_s,
        restart_delay_after_death_s=wish.restart_delay_after_death_s,
        task_history_limit=wish.task_history_limit,
        task_ports=wish.task_ports,
        cluster_file=file,
    )


def _addresses(wish: ClusterFile) -> dict[str, str]:
    """The address of every node by name: the file's, else a port that is free now, no two alike."""
    chosen = {node.name: node.address for node in wish.nodes if node.address is not None}
    taken = {int(address.rpartition(":")[2]) for address in chosen.values()}
    if len(set(chosen.values())) != len(chosen):
        raise CreationFailed("two nodes have the same address; give each its own or leave `address` out")
    taken |= {port.published_port for service in wish.services.values() for port in service.endpoint_spec.ports}
    first, last = wish.task_ports
    for node in wish.nodes:
        if node.name not in chosen:
            port = free_port(lambda port: port in taken or first <= port <= last)
            taken.add(port)
            chosen[node.name] = f"127.0.0.1:{port}"
    return chosen


def free_port(excluded: Callable[[int], bool]) -> int:
    """A port that nobody listens to now. Raises CreationFailed."""
    for _ in range(PORT_DRAWS_MAX):
        port = random.choice(NODE_PORTS)
        if not excluded(port) and is_free(port):
            return port
    raise CreationFailed(f"no free port found between {NODE_PORTS[0]} and {NODE_PORTS[-1]}; set `address` of each node")


@contextmanager
def _alone_in(base: Path) -> Iterator[None]:
    """Holds the lock on this directory: waits while another creation goes on here."""
    if not base.is_dir():
        raise CreationFailed(f"there is no directory {base}")
    descriptor = os.open(base, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
