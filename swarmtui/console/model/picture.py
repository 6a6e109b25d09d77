"""The frozen picture: everything that the panes draw of one moment."""

from __future__ import annotations

import enum

import attrs

from swarmtui.console.model.lanes import Changes
from swarmtui.console.model.quorum import Quorum
from swarmtui.console.model.services import ServiceRow, TaskRow
from swarmtui.console.model.standing import Standing
from swarmtui.objects.states import Availability


@attrs.frozen
class NodeRow:
    """One row of the node strip. `hears`: how many voters it can vouch for. `cut_off`: link faults part it from the leader's
    side. `since`: since when it stands so where that is known (a death, a pause, a silence). `timer`: (left, total)."""

    id: str
    name: str
    is_manager: bool
    standing: Standing
    term: int
    commit: int
    applied: int
    first: int
    last: int
    hears: int
    timer: tuple[float, float] | None
    availability: Availability
    cut_off: bool
    since: float | None
    reason: str
    address: str
    pid: int
    tasks: tuple[TaskRow, ...]
    lane: Changes


@attrs.frozen
class FaultRow:
    """What is broken on purpose. `heals` is the key: `R` and `P` with the cursor on its node,
    `u` for the newest, else `H`."""

    id: int
    kind: str
    glyph: str
    text: str
    since: float
    until: float | None
    nodes: tuple[str, ...]
    heals: str


@attrs.frozen
class Leadership:
    """Who leads. `claims`: others that say so too, as (name, term): the other side of a partition."""

    name: str = ""
    term: int = 0
    since: float | None = None
    claims: tuple[tuple[str, int], ...] = ()


class Sight(enum.Enum):
    """How the screen relates to the cluster."""

    CONNECTING = "CONNECTING"
    LIVE = "LIVE"
    STALE = "STALE"  # no node answers: this is the last known state
    MISMATCH = "VERSION"  # the nodes speak another version of the protocol


@attrs.frozen
class Banner:
    """What came of the last fault, as parts that a line joins by ` · `. `settled`: no figure will change any more.
    `ink`: calm | good | warn | bad."""

    parts: tuple[str, ...]
    settled: bool
    ink: str
    since: float


@attrs.frozen
class Picture:
    now: float
    name: str
    sight: Sight
    sight_since: float | None
    sight_reason: str
    quorum: Quorum
    leadership: Leadership
    nodes: tuple[NodeRow, ...]
    services: tuple[ServiceRow, ...]
    tasks: tuple[TaskRow, ...]
    faults: tuple[FaultRow, ...]
    host_answers: bool
    host_reason: str
    gone: str  # why this cluster will never answer again, "" while it may
    banner: Banner | None
    events_seen: int
    event_rate: float

    def node(self, name: str) -> NodeRow | None:
        return next((node for node in self.nodes if node.name == name), None)

    def task(self, task_id: str) -> TaskRow | None:
        return next((task for task in self.tasks if task.id == task_id), None)

    def service(self, name: str) -> ServiceRow | None:
        return next((service for service in self.services if service.name == name), None)

    @property
    def managers(self) -> tuple[NodeRow, ...]:
        return tuple(node for node in self.nodes if node.is_manager)

    @property
    def services_short(self) -> tuple[ServiceRow, ...]:
        return tuple(service for service in self.services if service.is_short)
