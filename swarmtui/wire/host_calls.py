"""What may be asked of the host, the power supply of a cluster's nodes, and what it answers: data, as in `node_calls`."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from swarmtui.objects.manifest import NodeEntry
from swarmtui.wire.node_calls import LinkFault


@attrs.frozen
class GetHost:
    """The machine's side of the cluster. Answered by HostReport."""


class Power(enum.StrEnum):
    """What the host knows of a node's process."""

    RUNNING = "running"
    PAUSED = "paused"
    KILLED = "killed"
    STOPPED = "stopped"  # in order, by us
    EXITED = "exited"  # by itself, see `text`
    REFUSED = "refused"  # its directory is gone or damaged: see `text`


@attrs.frozen
class NodePower:
    """The power of one node. `pid` is 0 while it has no process; `since` in seconds since the epoch."""

    node_id: str
    name: str
    role: str
    address: str
    pid: int
    power: Power
    text: str = ""
    since: float = 0.0


@attrs.frozen
class FaultReport:
    """One fault that is in force, as shown and undone. `id` rises. `kind`: kill, pause, stop, partition, cut, link."""

    id: int
    kind: str
    text: str
    since: float
    until: float | None
    nodes: tuple[str, ...]


@attrs.frozen
class PublishedPort:
    """A port that a service publishes here. `tasks` may answer there; `trouble` is why nobody listens, "" while somebody
    does, or is about to."""

    port: int
    service: str
    tasks: int = 0
    listening: bool = False
    trouble: str = ""


@attrs.frozen
class HostReport:
    """Answer to GetHost: what is powered here, and what was broken here on purpose."""

    name: str
    cluster_id: str
    pid: int
    nodes: tuple[NodePower, ...]
    faults: tuple[FaultReport, ...]
    links: Mapping[str, tuple[LinkFault, ...]]  # by the id of the node that enforces them
    published: tuple[PublishedPort, ...]
    directory: str


@attrs.frozen
class PowerNode:
    """kill | stop | start | restart | pause | resume one node, by name. `for_s`: heal by itself after this many seconds.
    Idempotent: asking for what already is answers Done."""

    node: str
    action: str
    for_s: float | None = None


@attrs.frozen
class MakeNode:
    """Make this node on this machine and start it; its record exists already. Without an address it gets a free port.
    Answered by Done with the address as its text."""

    entry: NodeEntry


@attrs.frozen
class ForgetNode:
    """End this node's process and delete its directory: its record is gone and it can never come back."""

    node: str


@attrs.frozen
class MoveNode:
    """Let this node, which must not run, listen at this address from its next start on ("": on a free port)."""

    node: str
    address: str


@attrs.frozen
class CutLinks:
    """`partition`: groups of node names between which nothing passes. The host turns it into link faults."""

    groups: tuple[tuple[str, ...], ...]
    for_s: float | None = None


@attrs.frozen
class SetLink:
    """One link, both directions unless `one_way`. `cut`, or a delay, jitter and loss."""

    source: str
    target: str
    one_way: bool = False
    cut: bool = False
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    for_s: float | None = None


@attrs.frozen
class Heal:
    """End every fault (of these nodes, if any are named): links, pauses, kills."""

    nodes: tuple[str, ...] = ()


@attrs.frozen
class Undo:
    """End the last fault."""


@attrs.frozen
class ShutDown:
    """`down`: stop everything, then the host itself."""
