"""Objects in the JSON shape of the Docker Engine API, as `inspect` prints them and as the later Engine API will serve them.

Names and nesting follow API 1.44 (the types of github.com/moby/moby api/types/swarm). What is worked out when read and
is no part of the object (a node's ManagerStatus, a service's ServiceStatus) is added by whoever knows it. A secret's
data never appears. Keys of `kv`, which Docker does not have, take the shape of a config.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import attrs

from swarmtui.objects.quantities import SECOND_NS
from swarmtui.objects.records import (
    Cluster,
    Config,
    KeyValue,
    Lease,
    Node,
    Record,
    Secret,
    Service,
    Task,
    TaskStatus,
    UpdateStatus,
)
from swarmtui.objects.specs import (
    ContainerSpec,
    EndpointSpec,
    NodeSpec,
    PortConfig,
    ReplicatedMode,
    Resources,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)

NEVER = "0001-01-01T00:00:00Z"  # Go's zero time
DURATION_S_MAX = 292 * 365 * 86_400.0  # what 63 bits of nanoseconds hold


def to_engine(record: Record) -> dict[str, Any]:
    """The record as the Engine API shows it: a JSON-able dict, its keys in the API's order."""
    return {
        "ID": record.id,
        "Version": {"Index": record.version},
        "CreatedAt": engine_time(record.created_at),
        "UpdatedAt": engine_time(record.updated_at),
        **_REST[type(record)](record),
    }


def with_defaults(service: Service, cluster: Cluster) -> Service:
    """The service with what the cluster's settings add where its spec says nothing: docker's insertDefaults=true."""
    before = service.previous_spec
    return attrs.evolve(
        service,
        spec=_spec_with_defaults(service.spec, cluster),
        previous_spec=None if before is None else _spec_with_defaults(before, cluster),
    )


def _spec_with_defaults(spec: ServiceSpec, cluster: Cluster) -> ServiceSpec:
    policy = spec.task_template.restart_policy
    if policy.delay_ns is not None:
        return spec
    policy = attrs.evolve(policy, delay_ns=_nanoseconds(cluster.restart_delay_s))
    return attrs.evolve(spec, task_template=attrs.evolve(spec.task_template, restart_policy=policy))


def engine_time(seconds: float) -> str:
    """RFC 3339 in UTC; 0, and what no calendar holds, is Go's zero time."""
    if not seconds:
        return NEVER
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return NEVER
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


# ------------------------------------------------------------------------------------------------------------- specs


def service_spec_to_engine(spec: ServiceSpec) -> dict[str, Any]:
    """The API's ServiceSpec."""
    return {
        "Name": spec.name,
        "Labels": dict(spec.labels),
        "TaskTemplate": task_spec_to_engine(spec.task_template),
        "Mode": _mode(spec.mode),
        "UpdateConfig": _update_config(spec.update_config),
        "RollbackConfig": _update_config(spec.rollback_config),
        "EndpointSpec": _endpoint_spec(spec.endpoint_spec),
    }


def task_spec_to_engine(spec: TaskSpec) -> dict[str, Any]:
    """The API's TaskSpec. A task here has the shape of a container's."""
    restart: dict[str, Any] = {"Condition": spec.restart_policy.condition.value}
    if spec.restart_policy.delay_ns is not None:  # absent: the cluster's default (`with_defaults`)
        restart["Delay"] = spec.restart_policy.delay_ns
    restart["MaxAttempts"] = spec.restart_policy.max_attempts
    restart["Window"] = spec.restart_policy.window_ns
    return {
        "ContainerSpec": _container_spec(spec.container_spec),
        "Resources": {
            "Limits": _resources(spec.resources.limits),
            "Reservations": _resources(spec.resources.reservations),
        },
        "RestartPolicy": restart,
        "Placement": {
            "Constraints": list(spec.placement.constraints),
            "Preferences": [{"Spread": {"SpreadDescriptor": label}} for label in spec.placement.preferences],
            "MaxReplicas": spec.placement.max_replicas,
        },
        "ForceUpdate": spec.force_update,
        "Runtime": "container",
    }


def node_spec_to_engine(spec: NodeSpec) -> dict[str, Any]:
    """The API's NodeSpec."""
    return {
        "Name": spec.name,
        "Labels": dict(spec.labels),
        "Role": spec.role.value,
        "Availability": spec.availability.value,
    }


def _container_spec(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "Image": spec.image,
        "Labels": dict(spec.labels),
        "Args": list(spec.args),
        "Env": list(spec.env),
        "Dir": spec.dir,
        "StopSignal": spec.stop_signal,
        "StopGracePeriod": spec.stop_grace_period_ns,
    }


def _resources(resources: Resources) -> dict[str, int]:
    amounts = {"NanoCPUs": resources.nano_cpus, "MemoryBytes": resources.memory_bytes}
    return {name: amount for name, amount in amounts.items() if amount}


def _mode(mode: ServiceMode) -> dict[str, Any]:
    if isinstance(mode, ReplicatedMode):
        return {"Replicated": {"Replicas": mode.replicas}}
    return {"Global": {}}


def _update_config(config: UpdateConfig) -> dict[str, Any]:
    return {
        "Parallelism": config.parallelism,
        "Delay": config.delay_ns,
        "FailureAction": config.failure_action.value,
        "Monitor": config.monitor_ns,
        "MaxFailureRatio": config.max_failure_ratio,
        "Order": config.order.value,
    }


def _endpoint_spec(spec: EndpointSpec) -> dict[str, Any]:
    return {"Mode": "vip", "Ports": [_port(port, "ingress") for port in spec.ports]}


def _port(port: PortConfig, publish_mode: str) -> dict[str, Any]:
    return {
        "Protocol": port.protocol,
        "TargetPort": port.target_port,
        "PublishedPort": port.published_port,
        "PublishMode": publish_mode,
    }


# ----------------------------------------------------------------------------------------------------------- records


def _node(node: Node) -> dict[str, Any]:
    return {
        "Spec": node_spec_to_engine(node.spec),
        "Description": {
            "Hostname": node.description.hostname or node.spec.name,
            "Platform": {"Architecture": node.description.architecture, "OS": node.description.os},
            "Resources": _resources(node.description.resources),
            "Engine": {"EngineVersion": node.description.engine_version},
        },
        "Status": {"State": node.status.state.value, "Message": node.status.message, "Addr": node.status.address},
    }


def _service(service: Service) -> dict[str, Any]:
    shown: dict[str, Any] = {"Spec": service_spec_to_engine(service.spec)}
    if service.previous_spec is not None:
        shown["PreviousSpec"] = service_spec_to_engine(service.previous_spec)
    endpoint = _endpoint_spec(service.spec.endpoint_spec)
    shown["Endpoint"] = {"Spec": endpoint, "Ports": endpoint["Ports"]}
    if service.update_status is not None:
        shown["UpdateStatus"] = _update_status(service.update_status)
    return shown


def _update_status(status: UpdateStatus) -> dict[str, Any]:
    shown = {"State": status.state.value, "StartedAt": engine_time(status.started_at), "Message": status.message}
    if status.completed_at:
        shown["CompletedAt"] = engine_time(status.completed_at)
    return shown


def _task(task: Task) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Name": task.name,
        "Labels": {},
        "Spec": task_spec_to_engine(task.spec),
        "ServiceID": task.service_id,
        "Slot": task.slot,
        "NodeID": task.node_id,
        "Status": _task_status(task.status),
        "DesiredState": task.desired_state.name.lower(),
    }
    if not task.slot:
        del shown["Slot"]
    return shown


def _task_status(status: TaskStatus) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Timestamp": engine_time(status.timestamp),
        "State": status.state.name.lower(),
        "Message": status.message,
    }
    if status.error:
        shown["Err"] = status.error
    if status.pid or status.exit_code is not None:
        shown["ContainerStatus"] = {"ContainerID": "", "PID": status.pid, "ExitCode": status.exit_code or 0}
    own_port = PortConfig(published_port=status.port, target_port=status.port)
    shown["PortStatus"] = {"Ports": [_port(own_port, "host")]} if status.port else {}
    return shown


def _secret(secret: Secret) -> dict[str, Any]:
    return {"Spec": {"Name": secret.name, "Labels": dict(secret.labels)}}


def _config(config: Config) -> dict[str, Any]:
    return {"Spec": {"Name": config.name, "Labels": dict(config.labels), "Data": _base64(config.data)}}


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "Spec": {
            "Name": cluster.name,
            "Labels": {},
            "Orchestration": {"TaskHistoryRetentionLimit": cluster.task_history_limit},
            "Dispatcher": {"HeartbeatPeriod": _nanoseconds(cluster.agent_heartbeat_s)},
            "CAConfig": {},
            "TaskDefaults": {},
            "EncryptionConfig": {"AutoLockManagers": False},
        },
        "RootRotationInProgress": False,
    }


def _key_value(pair: KeyValue) -> dict[str, Any]:
    return {"Spec": {"Name": pair.id, "Labels": {}, "Data": _base64(pair.value)}}


def _nanoseconds(seconds: float) -> int:
    """As the Engine has durations: 64 bits of nanoseconds, which is the end of what a longer one can say."""
    return round(min(seconds, DURATION_S_MAX) * SECOND_NS) if seconds > 0 else 0


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _lease(lease: Lease) -> dict[str, Any]:
    return {"Spec": {"Holder": lease.holder, "TTL": _nanoseconds(lease.ttl_s)}}


_REST = cast(
    "dict[type[Record], Callable[[Record], dict[str, Any]]]",
    {
        Node: _node,
        Service: _service,
        Task: _task,
        Secret: _secret,
        Config: _config,
        Cluster: _cluster,
        KeyValue: _key_value,
        Lease: _lease,
    },
)
