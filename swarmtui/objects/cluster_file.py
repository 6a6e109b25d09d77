"""`cluster.toml`: the file that a cluster is created from and whose services `up` applies.

`parse_cluster_file` is a function of its arguments alone (variables and named files are handed in). Whatever it does not
understand it refuses with `InvalidClusterFile`, naming the key and what would be valid; so a `ClusterFile` in hand is valid.

    [cluster]          name, profile, managers, workers, and single values that override the profile
    [raft]             heartbeat, election_timeout, snapshot_every, keep_entries, disk_reserve, hurry
    [nodes.NAME]       role, address, availability, labels
    [services.NAME]    the keys of a Compose service (`compose`)

Without `managers` and `workers`, tables of nodes name every node there is; with them they refine n1, n2 and so on.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import attrs

from swarmtui.objects.compose import ReadFile, Surroundings, read_service
from swarmtui.objects.interpolation import InvalidInterpolation, interpolate
from swarmtui.objects.manifest import RaftSettings
from swarmtui.objects.notations import check_address, check_name, parse_port_range
from swarmtui.objects.profiles import PROFILES, Profile
from swarmtui.objects.quantities import format_duration_ns, parse_duration_s, parse_size_bytes
from swarmtui.objects.specs import ServiceSpec
from swarmtui.objects.states import Availability, NodeRole
from swarmtui.objects.tables import InvalidClusterFile, Table, as_integer, nearest

__all__ = ["PROFILES", "ClusterFile", "InvalidClusterFile", "NodeWish", "bare_cluster_file", "parse_cluster_file"]

FILE_BYTES_MAX = 1024 * 1024
MANAGERS_MAX = 15
NODES_MAX = 100
MANAGERS_DEFAULT = 3
ZONES = ("a", "b", "c")
RESERVED_NAMES = ("leader", "follower", "worker", "manager", "self")  # words that commands take for nodes

CLUSTER_KEYS = (
    "name",
    "profile",
    "managers",
    "workers",
    "agent_heartbeat",
    "node_timeout",
    "restart_delay",
    "restart_delay_after_death",
    "task_history_limit",
    "task_ports",
)
RAFT_KEYS = ("heartbeat", "election_timeout", "snapshot_every", "keep_entries", "disk_reserve", "hurry")
NODE_KEYS = ("role", "address", "availability", "labels")

_LATER = {
    "secrets": "there are no secrets yet",
    "configs": "there are no configs yet",
    "networks": "tasks are plain processes of this machine",
    "volumes": "tasks are plain processes of this machine",
    "version": "leave it out",
}


@attrs.frozen(kw_only=True)
class NodeWish:
    """A node as the file asks for it; `address` None: a free port, chosen at creation."""

    name: str
    role: NodeRole
    address: str | None = None
    availability: Availability = Availability.ACTIVE
    labels: Mapping[str, str] = {}


@attrs.frozen(kw_only=True)
class ClusterFile:
    """A valid cluster file, its profile's values filled in. Seconds. `notes` are warnings, each a sentence."""

    name: str
    profile: str
    raft: RaftSettings
    agent_heartbeat_s: float
    node_timeout_s: float
    restart_delay_s: float
    restart_delay_after_death_s: float
    task_history_limit: int
    task_ports: tuple[int, int]
    nodes: tuple[NodeWish, ...]
    services: Mapping[str, ServiceSpec]
    nodes_named: bool = True  # the file itself says which nodes there are, rather than the default
    notes: tuple[str, ...] = ()

    @property
    def managers(self) -> tuple[NodeWish, ...]:
        return tuple(node for node in self.nodes if node.role is NodeRole.MANAGER)


def parse_cluster_file(
    text: str,
    *,
    environment: Mapping[str, str],
    name: str,
    managers: int | None = None,
    workers: int | None = None,
    read_file: ReadFile | None = None,
) -> ClusterFile:
    """The cluster that `text` describes. `name` is the cluster's where the file gives none; `managers` and `workers`
    (of the command line) stand above the file's. Raises InvalidClusterFile."""
    missing: set[str] = set()
    values = _interpolated(_parsed(text), "", environment, missing)
    top = Table(values, "", ("cluster", "raft", "nodes", "services"), _LATER)
    cluster = top.table("cluster", CLUSTER_KEYS)
    profile_name = cluster.text("profile", "fast")
    if profile_name not in PROFILES:
        raise InvalidClusterFile(
            "cluster.profile", f"{profile_name!r} is no profile", nearest(profile_name, list(PROFILES))
        )
    profile = PROFILES[profile_name]
    surroundings = Surroundings(environment, read_file)
    services = {
        key: read_service(key, value, f"services.{key}", surroundings) for key, value in _named(top, "services")
    }
    _refuse_shared_ports(services)
    counted = managers is not None or workers is not None or "managers" in cluster or "workers" in cluster
    nodes = _nodes(cluster, top, managers, workers, counted)
    heartbeat_s, timeout_s = _agent_times(cluster, profile)
    return ClusterFile(
        name=cluster.read("name", _cluster_name, _cluster_name(name)),
        profile=profile_name,
        raft=_raft(top.table("raft", RAFT_KEYS), profile),
        agent_heartbeat_s=heartbeat_s,
        node_timeout_s=timeout_s,
        restart_delay_s=cluster.read("restart_delay", parse_duration_s, profile.restart_delay_s),
        restart_delay_after_death_s=cluster.read(
            "restart_delay_after_death", parse_duration_s, profile.restart_delay_after_death_s
        ),
        task_history_limit=cluster.integer("task_history_limit", 5, low=-1),
        task_ports=cluster.read("task_ports", parse_port_range, (20_000, 29_999)),
        nodes=nodes,
        services=services,
        nodes_named=counted or "nodes" in top,
        notes=tuple(f"variable {variable} is not set and counts as empty" for variable in sorted(missing)),
    )


def bare_cluster_file(name: str, managers: int | None, workers: int | None) -> ClusterFile:
    """What `up --managers N --workers N` without a file stands for: nodes and no services."""
    return parse_cluster_file("", environment={}, name=name, managers=managers, workers=workers)


# ------------------------------------------------------------------------------------------------------- reading values


def _parsed(text: str) -> dict[str, Any]:
    if len(text.encode(errors="surrogateescape")) > FILE_BYTES_MAX:
        raise InvalidClusterFile("", f"the file is larger than {FILE_BYTES_MAX} bytes")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidClusterFile("", f"is no valid TOML: {error}") from None
    except RecursionError:
        raise InvalidClusterFile("", "is nested too deeply") from None


def _interpolated(value: Any, path: str, environment: Mapping[str, str], missing: set[str]) -> Any:
    """Every text of the file with its variables replaced; keys stay as they are, as in Compose."""
    if isinstance(value, dict):
        return {
            key: _interpolated(item, f"{path}.{key}" if path else key, environment, missing)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_interpolated(item, path, environment, missing) for item in value]
    if not isinstance(value, str):
        return value
    try:
        return interpolate(value, environment, missing)
    except InvalidInterpolation as error:
        raise InvalidClusterFile(path, str(error)) from None


def _named(top: Table, key: str) -> list[tuple[str, Any]]:
    """The tables `[key.NAME]`."""
    value = top.raw(key, {})
    if not isinstance(value, dict):
        raise InvalidClusterFile(key, f"must hold tables such as [{key}.NAME], not {value!r}")
    return list(value.items())


def _cluster_name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text in quotes, not {value!r}")
    return check_name(value, "a cluster's name")


def _raft(table: Table, profile: Profile) -> RaftSettings:
    default = profile.raft
    raft = RaftSettings(
        heartbeat_s=table.read("heartbeat", _positive_s, default.heartbeat_s),
        election_timeout_s=table.read("election_timeout", _positive_s, default.election_timeout_s),
        snapshot_every=table.integer("snapshot_every", default.snapshot_every, low=1),
        snapshot_every_set="snapshot_every" in table,
        keep_entries=table.integer("keep_entries", default.keep_entries),
        disk_reserve_bytes=table.read("disk_reserve", parse_size_bytes, default.disk_reserve_bytes),
        hurry=table.flag("hurry", default.hurry),
    )
    if raft.heartbeat_s * 2 > raft.election_timeout_s:
        heartbeat = format_duration_ns(round(raft.heartbeat_s * 1e9))
        raise InvalidClusterFile(
            "raft.election_timeout", f"must be at least twice raft.heartbeat, which is {heartbeat}"
        )
    return raft


def _positive_s(value: Any) -> float:
    seconds = parse_duration_s(value)
    if not 0.001 <= seconds <= 3600:
        raise ValueError(f"{value!r} must be from 1ms to 1h")
    return seconds


def _agent_times(cluster: Table, profile: Profile) -> tuple[float, float]:
    heartbeat_s = cluster.read("agent_heartbeat", _positive_s, profile.agent_heartbeat_s)
    timeout_s = cluster.read("node_timeout", _positive_s, profile.node_timeout_s)
    if timeout_s < heartbeat_s * 2:
        heartbeat = format_duration_ns(round(heartbeat_s * 1e9))
        raise InvalidClusterFile(
            "cluster.node_timeout", f"must be at least twice cluster.agent_heartbeat, which is {heartbeat}"
        )
    return heartbeat_s, timeout_s


# ---------------------------------------------------------------------------------------------------------------- nodes


def _nodes(
    cluster: Table, top: Table, managers: int | None, workers: int | None, counted: bool
) -> tuple[NodeWish, ...]:
    tables = {key: Table(value, f"nodes.{key}", NODE_KEYS) for key, value in _named(top, "nodes")}
    if tables and not counted:
        nodes = [_node(key, table, NodeRole.WORKER, {}) for key, table in tables.items()]
    else:
        nodes = _counted_nodes(cluster, tables, managers, workers)
    count = sum(node.role is NodeRole.MANAGER for node in nodes)
    if not 1 <= count <= MANAGERS_MAX:
        how = '; write cluster.managers = 3, or role = "manager" in a [nodes.NAME]' if not count else ""
        raise InvalidClusterFile("nodes", f"{count} managers", f"a cluster has from 1 to {MANAGERS_MAX}{how}")
    if len(nodes) > NODES_MAX:
        raise InvalidClusterFile("nodes", f"{len(nodes)} nodes", f"a cluster has at most {NODES_MAX}")
    addresses = [node.address for node in nodes if node.address is not None]
    for node in nodes:
        if node.address is not None and addresses.count(node.address) > 1:
            raise InvalidClusterFile(f"nodes.{node.name}.address", f"{node.address} is another node's as well")
    return tuple(nodes)


def _counted_nodes(
    cluster: Table, tables: Mapping[str, Table], managers: int | None, workers: int | None
) -> list[NodeWish]:
    """n1, n2 … in zones a, b, c by turns: managers first."""
    managers = _count("--managers", managers, cluster.integer("managers", MANAGERS_DEFAULT, low=1, high=MANAGERS_MAX))
    workers = _count("--workers", workers, cluster.integer("workers", 0, high=NODES_MAX))
    roles = [NodeRole.MANAGER] * managers + [NodeRole.WORKER] * workers
    generated = {f"n{number}": role for number, role in enumerate(roles, 1)}
    for name, table in tables.items():
        if name not in generated:
            raise InvalidClusterFile(
                table.path,
                f"is not one of n1 to n{len(roles)}, which {managers} managers and {workers} workers make",
                "leave out managers and workers to name every node in [nodes]",
            )
    nodes = []
    for position, (name, role) in enumerate(generated.items()):
        zone = {"zone": ZONES[position % len(ZONES)]}
        table = tables.get(name, Table({}, f"nodes.{name}", NODE_KEYS))
        node = _node(name, table, role, zone)
        if node.role is not role:
            raise InvalidClusterFile(
                table.at("role"), f"{node.role} contradicts the counts, which make {name} a {role}"
            )
        nodes.append(node)
    return nodes


def _count(option: str, given: int | None, of_file: int) -> int:
    if given is None:
        return of_file
    try:
        return as_integer(
            given, 1 if option == "--managers" else 0, MANAGERS_MAX if option == "--managers" else NODES_MAX
        )
    except ValueError as error:
        raise InvalidClusterFile(option, str(error)) from None


def _node(name: str, table: Table, role: NodeRole, labels: Mapping[str, str]) -> NodeWish:
    try:
        check_name(name, "a node's name")
    except ValueError as error:
        raise InvalidClusterFile(table.path, str(error)) from None
    if name in RESERVED_NAMES:
        raise InvalidClusterFile(table.path, f"{name!r} is a word of the command line and no node's name")
    return NodeWish(
        name=name,
        role=table.choice("role", NodeRole, role),
        address=table.read("address", lambda value: check_address(str(value)), None),
        availability=table.choice("availability", Availability, Availability.ACTIVE),
        labels={**labels, **table.pairs("labels")},
    )


def _refuse_shared_ports(services: Mapping[str, ServiceSpec]) -> None:
    owners: dict[int, str] = {}
    for name, service in services.items():
        for port in service.endpoint_spec.ports:
            owner = owners.setdefault(port.published_port, name)
            if owner != name:
                raise InvalidClusterFile(
                    f"services.{name}.ports", f"port {port.published_port} is published by {owner} already"
                )
