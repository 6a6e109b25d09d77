"""One service as a Compose file writes it, read into a `ServiceSpec`.

The keys are those of the Compose specification that mean something for a local process. Keys that Compose knows and this
project does not are refused as such, never ignored: a service that half obeys its file is worse than one that says no.

Kept and shown, as Docker's objects have them, but without an effect yet: `resources.limits`, `rollback_config`, and of
`update_config` what is to happen after a failure.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from swarmtui.objects.notations import (
    check_constraint,
    check_name,
    check_signal,
    check_spread,
    image_label,
    make_port,
    merge_env,
    parse_env_file,
    parse_port,
    without_own_variables,
)
from swarmtui.objects.quantities import parse_duration_ns, parse_memory_bytes, parse_nano_cpus
from swarmtui.objects.specs import (
    PORT_MAX,
    REPLICAS_MAX,
    ContainerSpec,
    EndpointSpec,
    GlobalMode,
    Placement,
    PortConfig,
    ReplicatedMode,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdateConfig,
)
from swarmtui.objects.states import FailureAction, RestartCondition, UpdateOrder
from swarmtui.objects.tables import InvalidClusterFile, Table, as_scalar_text, as_text
from swarmtui.objects.templates import check_template

ATTEMPTS_MAX = 2**31 - 1

SERVICE_KEYS = (
    "image",
    "command",
    "entrypoint",
    "environment",
    "env_file",
    "ports",
    "working_dir",
    "stop_signal",
    "stop_grace_period",
    "labels",
    "scale",
    "deploy",
)
DEPLOY_KEYS = (
    "mode",
    "replicas",
    "restart_policy",
    "placement",
    "resources",
    "update_config",
    "rollback_config",
    "labels",
)
UPDATE_KEYS = ("parallelism", "delay", "failure_action", "monitor", "max_failure_ratio", "order")

_NOT_A_CONTAINER = "tasks are plain processes of this machine"
NOT_HERE: Mapping[str, str] = {
    **dict.fromkeys(("build", "volumes", "networks", "user", "privileged", "cap_add", "cap_drop"), _NOT_A_CONTAINER),
    **dict.fromkeys(("network_mode", "hostname", "init", "tty", "read_only", "tmpfs", "ulimits"), _NOT_A_CONTAINER),
    **dict.fromkeys(("extra_hosts", "dns", "logging", "links", "expose", "container_name"), _NOT_A_CONTAINER),
    "restart": 'write deploy.restart_policy = { condition = "any" }',
    "depends_on": "services start side by side and are restarted until what they need is there",
    "healthcheck": "a task counts as running once its process runs",
    "secrets": "there are no secrets yet",
    "configs": "there are no configs yet",
}
"""Compose's keys that are refused with a reason of their own."""

ReadFile = Callable[[str], str]
"""Gives the text of a file named beside the cluster file; raises OSError."""


@attrs.frozen
class Surroundings:
    """What a service's file may refer to: the variables of whoever reads it, and files beside it."""

    environment: Mapping[str, str]
    read_file: ReadFile | None = None


def read_service(name: str, value: object, path: str, surroundings: Surroundings) -> ServiceSpec:
    """`[services.NAME]` at `path` as a spec; raises InvalidClusterFile."""
    try:
        check_name(name, "a service's name")
    except ValueError as error:
        raise InvalidClusterFile(path, str(error)) from None
    table = Table(value, path, SERVICE_KEYS, NOT_HERE)
    deploy = table.table("deploy", DEPLOY_KEYS, {"endpoint_mode": "published ports go round robin to all tasks"})
    task = TaskSpec(
        container_spec=_container(table, surroundings),
        resources=_resources(deploy),
        restart_policy=_restart_policy(deploy),
        placement=_placement(deploy),
    )
    if not task.container_spec.image:
        task = attrs.evolve(task, container_spec=attrs.evolve(task.container_spec, image=image_label(task)))
    return ServiceSpec(
        name=name,
        labels=deploy.pairs("labels"),
        task_template=task,
        mode=_mode(table, deploy),
        update_config=_update_config(deploy, "update_config"),
        rollback_config=_update_config(deploy, "rollback_config"),
        endpoint_spec=EndpointSpec(_ports(table)),
    )


# ------------------------------------------------------------------------------------------------------- the program


def _container(table: Table, surroundings: Surroundings) -> ContainerSpec:
    none: tuple[str, ...] = ()
    args = table.read("entrypoint", _argv, none) + table.read("command", _argv, none)
    if not args:
        raise InvalidClusterFile(
            table.at("command"), "is missing", 'write the program to run, such as ["python", "app.py"]'
        )
    env = merge_env(_env_files(table, surroundings), _environment(table, surroundings))
    for key, texts in (("command", args), ("environment", env), ("working_dir", (table.text("working_dir", ""),))):
        for text in texts:
            _checked_template(text, table.at(key))
    return ContainerSpec(
        image=table.text("image", ""),
        args=args,
        env=env,
        dir=table.text("working_dir", ""),
        labels=table.pairs("labels"),
        stop_signal=table.read("stop_signal", check_signal, "SIGTERM"),
        stop_grace_period_ns=table.read("stop_grace_period", parse_duration_ns, ContainerSpec().stop_grace_period_ns),
    )


def _argv(value: Any) -> tuple[str, ...]:
    """A list, or one text split as a shell would split it (no shell runs)."""
    if isinstance(value, str):
        try:
            words = tuple(shlex.split(value))
        except ValueError as error:
            raise ValueError(f"{value!r} cannot be split into words: {error}; write a list") from None
    elif isinstance(value, list):
        words = tuple(as_scalar_text(word) for word in value)
    else:
        raise ValueError(f"must be a list of words or one text, not {value!r}")
    if not words or not words[0]:
        raise ValueError('must name a program, such as ["python", "app.py"]')
    if any("\0" in word for word in words):
        raise ValueError("must not hold a zero byte")
    return words


def _environment(table: Table, surroundings: Surroundings) -> tuple[str, ...]:
    """`{KEY = value}` or `["KEY=value", "KEY"]`; the bare name takes the value it has here, if it has one."""
    value = table.raw("environment", {})
    if isinstance(value, list):
        entries = [table.read("environment", lambda _, item=item: as_text(item)) for item in value]  # type: ignore[misc]
        filled = [
            entry if "=" in entry else f"{entry}={surroundings.environment[entry]}"
            for entry in entries
            if "=" in entry or entry in surroundings.environment
        ]
    else:
        filled = [f"{key}={text}" for key, text in table.pairs("environment").items()]
    for entry in filled:
        if entry.startswith("=") or "\0" in entry:
            raise InvalidClusterFile(table.at("environment"), f"{entry!r} is no variable", "write KEY=value")
    return tuple(filled)


def _env_files(table: Table, surroundings: Surroundings) -> tuple[str, ...]:
    value = table.raw("env_file", [])
    names = [value] if isinstance(value, str) else value
    variables: dict[str, str] = {}
    for name in names if isinstance(names, list) else [names]:
        if not isinstance(name, str):
            raise InvalidClusterFile(table.at("env_file"), f"must be a file's name or a list of them, not {name!r}")
        if surroundings.read_file is None:
            raise InvalidClusterFile(table.at("env_file"), f"{name!r} cannot be read here")
        try:
            variables |= parse_env_file(surroundings.read_file(name))
        except OSError as error:
            raise InvalidClusterFile(
                table.at("env_file"), f"{name!r} cannot be read: {error.strerror or error}"
            ) from None
        except ValueError as error:
            raise InvalidClusterFile(table.at("env_file"), f"{name!r}: {error}") from None
    return tuple(f"{key}={text}" for key, text in without_own_variables(variables).items())


def _checked_template(text: str, key: str) -> None:
    try:
        check_template(text)
    except ValueError as error:
        raise InvalidClusterFile(key, str(error)) from None


# --------------------------------------------------------------------------------------------------- how it is deployed


def _mode(table: Table, deploy: Table) -> ServiceMode:
    mode = deploy.text("mode", "replicated")
    if mode not in ("replicated", "global"):
        raise InvalidClusterFile(deploy.at("mode"), f"must be replicated or global, not {mode!r}")
    if mode == "global":
        for holder, key in ((table, "scale"), (deploy, "replicas")):
            if key in holder:
                raise InvalidClusterFile(holder.at(key), "a global service runs one task on every node that fits")
        return GlobalMode()
    scale = table.integer("scale", 1, high=REPLICAS_MAX)
    replicas = deploy.integer("replicas", scale, high=REPLICAS_MAX)
    if "scale" in table and replicas != scale:
        raise InvalidClusterFile(table.at("scale"), f"says {scale} and deploy.replicas says {replicas}; keep one")
    return ReplicatedMode(replicas)


def _restart_policy(deploy: Table) -> RestartPolicy:
    table = deploy.table("restart_policy", ("condition", "delay", "max_attempts", "window"))
    return RestartPolicy(
        condition=table.choice("condition", RestartCondition, RestartCondition.ANY),
        delay_ns=table.read("delay", parse_duration_ns, None),
        max_attempts=table.integer("max_attempts", 0, high=ATTEMPTS_MAX),
        window_ns=table.read("window", parse_duration_ns, 0),
    )


def _placement(deploy: Table) -> Placement:
    table = deploy.table("placement", ("constraints", "preferences", "max_replicas_per_node"))
    return Placement(
        constraints=table.read("constraints", _constraints, ()),
        preferences=table.read("preferences", _preferences, ()),
        max_replicas=table.integer("max_replicas_per_node", 0, high=REPLICAS_MAX),
    )


def _constraints(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f'must be a list such as ["node.labels.zone != c"], not {value!r}')
    return tuple(check_constraint(as_text(item)) for item in value)


def _preferences(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) and set(item) == {"spread"} for item in value):
        raise ValueError(f'must be a list such as [{{ spread = "node.labels.zone" }}], not {value!r}')
    return tuple(check_spread(as_text(item["spread"])) for item in value)


def _resources(deploy: Table) -> ResourceRequirements:
    table = deploy.table("resources", ("limits", "reservations"))
    return ResourceRequirements(limits=_amounts(table, "limits"), reservations=_amounts(table, "reservations"))


def _amounts(resources: Table, key: str) -> Resources:
    table = resources.table(key, ("cpus", "memory"), {"pids": "not measured", "devices": "not measured"})
    return Resources(
        nano_cpus=table.read("cpus", parse_nano_cpus, 0),
        memory_bytes=table.read("memory", parse_memory_bytes, 0),
    )


def _update_config(deploy: Table, key: str) -> UpdateConfig:
    table, default = deploy.table(key, UPDATE_KEYS), UpdateConfig()
    action = table.choice("failure_action", FailureAction, default.failure_action)
    if key == "rollback_config" and action is FailureAction.ROLLBACK:
        raise InvalidClusterFile(table.at("failure_action"), "must be pause or continue: a rollback is not rolled back")
    return UpdateConfig(
        parallelism=table.integer("parallelism", default.parallelism, high=REPLICAS_MAX),
        delay_ns=table.read("delay", parse_duration_ns, default.delay_ns),
        failure_action=action,
        monitor_ns=table.read("monitor", parse_duration_ns, default.monitor_ns),
        max_failure_ratio=table.read("max_failure_ratio", _ratio, default.max_failure_ratio),
        order=table.choice("order", UpdateOrder, default.order),
    )


def _ratio(value: Any) -> float:
    try:
        ratio = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ValueError(f"must be a number from 0 to 1, not {value!r}")
    return ratio


def _ports(table: Table) -> tuple[PortConfig, ...]:
    value = table.raw("ports", [])
    if not isinstance(value, list):
        raise InvalidClusterFile(table.at("ports"), f'must be a list such as ["8080:auto"], not {value!r}')
    ports = tuple(
        _long_port(item, f"{table.at('ports')}[{position}]")
        if isinstance(item, dict)
        else table.read("ports", lambda _, item=item: parse_port(item))  # type: ignore[misc]
        for position, item in enumerate(value)
    )
    published = [port.published_port for port in ports]
    for port in published:
        if published.count(port) > 1:
            raise InvalidClusterFile(table.at("ports"), f"port {port} is published twice")
    return ports


def _long_port(value: object, path: str) -> PortConfig:
    """Compose's long form: `{ published = 8080, target = 80 }`."""
    table = Table(value, path, ("published", "target", "protocol", "mode", "name", "app_protocol"))
    published = table.integer("published", low=1, high=PORT_MAX)
    target = 0 if table.raw("target", "auto") == "auto" else table.integer("target", low=1, high=PORT_MAX)
    if table.text("protocol", "tcp") != "tcp":
        raise InvalidClusterFile(table.at("protocol"), "only tcp can be published")
    return table.read("published", lambda _: make_port(published, target))
