"""Who plays: the nodes, and what they carry."""

from __future__ import annotations

import attrs

from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.records import Service
from swarmtui.objects.specs import (
    ContainerSpec,
    EndpointSpec,
    GlobalMode,
    PortConfig,
    ReplicatedMode,
    ServiceSpec,
    TaskSpec,
)
from swarmtui.objects.states import NodeRole
from swarmtui.wire.host_calls import Power

BEGAN = 1_751_371_267.0  # 12:01:07 UTC on some day


@attrs.define
class Actor:
    """One node of the play."""

    name: str
    role: NodeRole
    power: Power = Power.RUNNING
    power_since: float = BEGAN - 500
    raft_role: str = "follower"
    term: int = 7
    log: dict[int, int] = attrs.field(factory=dict)
    commit: int = 0
    side: int = 0
    timer: float = 0.7

    @property
    def id(self) -> str:
        return f"{self.name}id"

    @property
    def last(self) -> int:
        return max(self.log, default=0)

    @property
    def lives(self) -> bool:
        return self.power is Power.RUNNING


def rehearsal_manifest(managers: int = 5, workers: int = 2, name: str = "demo") -> Manifest:
    """n1.. as managers and workers, born at BEGAN."""
    nodes = tuple(
        NodeEntry(
            id=f"n{number}id",
            name=f"n{number}",
            role=NodeRole.MANAGER if number <= managers else NodeRole.WORKER,
            address=f"127.0.0.1:{7100 + number}",
        )
        for number in range(1, managers + workers + 1)
    )
    return Manifest(id="rehearsal", name=name, profile="fast", created_at=BEGAN - 600, nodes=nodes)


def rehearsal_services() -> tuple[Service, ...]:
    def service(name: str, mode: ReplicatedMode | GlobalMode, port: int = 0) -> Service:
        ports = EndpointSpec((PortConfig(port),)) if port else EndpointSpec()
        image = f"python:{name}"[:14]
        spec = ServiceSpec(
            name,
            mode=mode,
            endpoint_spec=ports,
            task_template=TaskSpec(ContainerSpec(image=image, args=("python", f"{name}.py"))),
        )
        return Service(id=f"{name}id", spec=spec, version=10, spec_version=10)

    return (
        service("agent", GlobalMode()),
        service("flaky", ReplicatedMode(1)),
        service("ticker", ReplicatedMode(1)),
        service("web", ReplicatedMode(5), 8080),
    )


def entry_text(index: int, term: int) -> str:
    """What an entry says."""
    if index % 13 == 0:
        return f"advance web.{index % 5 + 1} running on n{index % 5 + 1}"
    if index % 7 == 0:
        return f"no-op: first entry of term {term}" if index % 49 == 0 else f"put cart:{index % 31} = {index % 9}"
    return f"put ticker = {index * 3}"
