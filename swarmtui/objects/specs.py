"""What a user asks for: the specs of services, tasks and nodes, named as the Engine API names them.

Durations are integers of nanoseconds, CPUs of 1e-9 CPU and memory of bytes, exactly as in the Engine API, so that
`inspect` and the later Docker API are a renaming and never a conversion.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.states import Availability, FailureAction, NodeRole, RestartCondition, UpdateOrder

NAME_LENGTH_MAX = 63  # characters; a service's name must fit a DNS label (swarmkit controlapi)
PORT_MAX = 65_535
REPLICAS_MAX = 10_000  # of one service


@attrs.frozen
class ContainerSpec:
    """The program of a task. Under the process executor `image` is only a version label (program and digest of the spec)
    and the whole argument vector is `args`."""

    image: str = ""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()  # "KEY=value", later wins
    dir: str = ""  # working directory; "" is the directory of the cluster file
    labels: Mapping[str, str] = {}
    stop_signal: str = "SIGTERM"
    stop_grace_period_ns: int = 10 * SECOND_NS


@attrs.frozen
class Resources:
    """Amounts; 0 is none, or no limit."""

    nano_cpus: int = 0
    memory_bytes: int = 0


@attrs.frozen
class ResourceRequirements:
    """`reservations` are set aside on the node of a task; `limits` are kept and shown, and nothing is held to them yet."""

    limits: Resources = Resources()
    reservations: Resources = Resources()


@attrs.frozen
class RestartPolicy:
    """When a task that ended by itself is replaced. `delay_ns` None: the cluster profile's default.
    `max_attempts` 0 is without limit, `window_ns` 0 counts all attempts ever."""

    condition: RestartCondition = RestartCondition.ANY
    delay_ns: int | None = None
    max_attempts: int = 0
    window_ns: int = 0


@attrs.frozen
class Placement:
    """Where a task may run. `constraints` are texts such as `node.labels.zone != c`, all of which must hold; each of
    `preferences` is a label descriptor to spread over, such as `node.labels.zone`; `max_replicas` (a node) 0 is no limit."""

    constraints: tuple[str, ...] = ()
    preferences: tuple[str, ...] = ()
    max_replicas: int = 0


@attrs.frozen
class TaskSpec:
    """The part of a service's spec whose change makes its tasks out of date."""

    container_spec: ContainerSpec = ContainerSpec()
    resources: ResourceRequirements = ResourceRequirements()
    restart_policy: RestartPolicy = RestartPolicy()
    placement: Placement = Placement()
    force_update: int = 0


@attrs.frozen
class ReplicatedMode:
    """So many tasks, on whatever nodes."""

    replicas: int = 1


@attrs.frozen
class GlobalMode:
    """One task on every node that fits."""


ServiceMode = ReplicatedMode | GlobalMode


@attrs.frozen
class UpdateConfig:
    """How new tasks replace old ones. Docker's defaults."""

    parallelism: int = 1
    delay_ns: int = 0
    failure_action: FailureAction = FailureAction.PAUSE
    monitor_ns: int = 5 * SECOND_NS
    max_failure_ratio: float = 0.0
    order: UpdateOrder = UpdateOrder.STOP_FIRST


@attrs.frozen
class PortConfig:
    """A published port. The host listens on `published_port` of 127.0.0.1 and forwards to every running task.
    `target_port` 0 is `auto`: each task listens on a free port of its own, `{{.Task.Port}}` and `$PORT`."""

    published_port: int
    target_port: int = 0
    protocol: str = "tcp"


@attrs.frozen
class EndpointSpec:
    """The ports that a service publishes."""

    ports: tuple[PortConfig, ...] = ()


@attrs.frozen
class ServiceSpec:
    """What a user asks for: the tasks, how many, how they are replaced, and how they are reached."""

    name: str
    labels: Mapping[str, str] = {}
    task_template: TaskSpec = TaskSpec()
    mode: ServiceMode = ReplicatedMode()
    update_config: UpdateConfig = UpdateConfig()
    rollback_config: UpdateConfig = UpdateConfig()
    endpoint_spec: EndpointSpec = EndpointSpec()


@attrs.frozen
class NodeSpec:
    """What an operator wants of a node."""

    name: str = ""
    labels: Mapping[str, str] = {}
    role: NodeRole = NodeRole.WORKER
    availability: Availability = Availability.ACTIVE
