"""Services: create, look at, change and remove them, each change against the version that was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from swarmtui.client.errors import Refused
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.notations import with_image_label
from swarmtui.objects.operations import Create, Remove, Transaction, Update
from swarmtui.objects.records import Service, Task
from swarmtui.objects.specs import ContainerSpec, ReplicatedMode, ServiceSpec, TaskSpec

if TYPE_CHECKING:
    from swarmtui.client.cluster import Cluster


class Services:
    """`cluster.services`. A service is named by its id or its name."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def create(
        self,
        name: str,
        *,
        command: Sequence[str] = (),
        replicas: int = 1,
        environment: Mapping[str, str] | None = None,
        spec: ServiceSpec | None = None,
    ) -> str:
        """Create a service of `replicas` tasks that run `command`, or exactly `spec`; returns its id. It does not wait for
        the tasks."""
        if spec is None:
            env = tuple(f"{key}={value}" for key, value in (environment or {}).items())
            template = with_image_label(TaskSpec(ContainerSpec(args=tuple(command), env=env)))
            spec = ServiceSpec(name, task_template=template, mode=ReplicatedMode(replicas))
        id = new_id()
        await self._cluster.transact(Transaction((Create(Service(id=id, spec=spec)),)))
        return id

    async def list(self) -> list[Service]:
        """All services, by name."""
        records = (await self._cluster.records(Service.TABLE)).records
        return sorted((one for one in records if isinstance(one, Service)), key=lambda service: service.name)

    async def inspect(self, service: str) -> Service:
        """Raises Refused if there is none."""
        for found in await self.list():
            if service in (found.id, found.name):
                return found
        raise Refused("absent", f"there is no service {service}; see swarmtui service ls")

    async def update(
        self, service: str, change: Callable[[ServiceSpec], ServiceSpec], *, against: Service | None = None
    ) -> None:
        """Replace the spec by what `change` makes of it: of the spec as it is now, or of `against` as it was read before. A
        default image label follows the change. Raises Conflict if somebody else changed it meanwhile."""
        found = against or await self.inspect(service)
        spec = change(found.spec)
        spec = attrs.evolve(spec, task_template=with_image_label(spec.task_template, before=found.spec.task_template))
        wanted = attrs.evolve(found, spec=spec, previous_spec=found.spec, update_status=None)
        await self._cluster.transact(Transaction((Update(wanted, spec_version=found.spec_version),)))

    async def scale(self, service: str, replicas: int) -> None:
        """Raises Refused for a global service."""

        def scaled(spec: ServiceSpec) -> ServiceSpec:
            if not isinstance(spec.mode, ReplicatedMode):
                raise Refused("invalid", f"{spec.name} is global: it runs once on every node and cannot be scaled")
            return attrs.evolve(spec, mode=ReplicatedMode(replicas))

        await self.update(service, scaled)

    async def remove(self, service: str) -> None:
        """The service is gone at once, its tasks as soon as they have stopped."""
        found = await self.inspect(service)
        await self._cluster.transact(Transaction((Remove(Service.TABLE, found.id),)))

    async def tasks(self, service: str) -> Sequence[Task]:
        """All its tasks, the history included."""
        found = await self.inspect(service)
        records = (await self._cluster.records(Task.TABLE, service_id=found.id)).records
        return [one for one in records if isinstance(one, Task)]
