"""The options of `service create` and `service update`, and what they make of a spec. Names and meanings are Docker's.

`create` builds a spec from its options; `update` changes only what was written, so that an option left out keeps what is
there. Both are pure functions of a spec and arguments.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from swarmtui.commands.command import Arguments, Parameter, flag, option
from swarmtui.commands.errors import CommandFailed, WrongUsage
from swarmtui.objects.compose import Surroundings
from swarmtui.objects.notations import (
    check_constraint,
    check_name,
    check_signal,
    merge_env,
    parse_env_file,
    parse_port,
    parse_port_number,
    parse_preference,
    parse_replicas,
    with_image_label,
)
from swarmtui.objects.quantities import parse_duration_ns, parse_memory_bytes, parse_nano_cpus
from swarmtui.objects.specs import (
    ContainerSpec,
    GlobalMode,
    PortConfig,
    ReplicatedMode,
    ServiceSpec,
    TaskSpec,
)
from swarmtui.objects.states import RestartCondition
from swarmtui.objects.tables import as_choice
from swarmtui.objects.templates import check_template

Spec = ServiceSpec


def choice(choices: type[Any]) -> Callable[[str], Any]:
    return lambda text: as_choice(text, choices)


def parse_label(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    if not key:
        raise ValueError(f"{text!r} is no label; write KEY=VALUE")
    return key, value


def parse_env(text: str) -> str:
    if not text.partition("=")[0]:
        raise ValueError(f"{text!r} is no variable; write KEY=VALUE")
    check_template(text)
    return text


def parse_published(text: str) -> PortConfig:
    """Docker's short form, or its long one: `published=8080,target=80,protocol=tcp,mode=ingress`."""
    if "=" not in text:
        return parse_port(text)
    fields = dict(pair.partition("=")[::2] for pair in text.split(","))
    unknown = set(fields) - {"published", "target", "protocol", "mode"}
    if unknown or "published" not in fields:
        raise ValueError(f'{text!r} is no port; write "published=8080,target=80", or 8080:80')
    if fields.get("mode", "ingress") != "ingress":
        raise ValueError(f"{text!r}: ports are published by the host for every task, mode=ingress")
    return parse_port(f"{fields['published']}:{fields.get('target', 'auto')}/{fields.get('protocol', 'tcp')}")


def parse_attempts(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no count; write 0 for no limit, or a whole number")
    return int(text)


# What both commands have. Update has no default for any: an option left out changes nothing.
COMMON: tuple[Parameter, ...] = (
    option("-w --workdir", "Working directory; default: that of the cluster file", metavar="DIR"),
    option("--replicas", "Number of tasks", metavar="N", reader=parse_replicas),
    option("--replicas-max-per-node", "Most tasks on one node, 0 for no limit", metavar="N", reader=parse_replicas),
    option(
        "--restart-condition", "Restart when: none, on-failure, any", metavar="WORD", reader=choice(RestartCondition)
    ),
    option("--restart-delay", "Delay between attempts", metavar="DURATION", reader=parse_duration_ns),
    option("--restart-max-attempts", "Most restarts, 0 for no limit", metavar="N", reader=parse_attempts),
    option("--restart-window", "Window in which attempts count", metavar="DURATION", reader=parse_duration_ns),
    option("--stop-grace-period", "Time before a task is killed", metavar="DURATION", reader=parse_duration_ns),
    option("--stop-signal", "Signal that stops a task", metavar="SIGNAL", reader=check_signal),
    option(
        "--limit-cpu",
        "Limit CPUs (kept and shown; no process is held to it yet)",
        metavar="CPUS",
        reader=parse_nano_cpus,
    ),
    option(
        "--limit-memory",
        "Limit memory (kept and shown; no process is held to it yet)",
        metavar="SIZE",
        reader=parse_memory_bytes,
    ),
    option("--reserve-cpu", "Reserve CPUs", metavar="CPUS", reader=parse_nano_cpus),
    option("--reserve-memory", "Reserve memory", metavar="SIZE", reader=parse_memory_bytes),
    flag("-d --detach", "Return at once instead of waiting for the service to converge"),
    flag("-q --quiet", "No progress"),
)

CREATE: tuple[Parameter, ...] = (
    option("--name", "Service name", metavar="NAME", reader=lambda text: check_name(text, "a service's name")),
    option("--mode", "replicated or global", metavar="MODE", reader=lambda text: _mode_word(text)),
    option(
        "-e --env", "Set a variable; KEY alone: as it is here", metavar="KEY=VALUE", repeated=True, reader=parse_env
    ),
    option("--env-file", "Set the variables of a file", metavar="FILE", repeated=True),
    option("-l --label", "Service label", metavar="KEY=VALUE", repeated=True, reader=parse_label),
    option("--container-label", "Label of its tasks", metavar="KEY=VALUE", repeated=True, reader=parse_label),
    option("--constraint", "Placement constraint", metavar="EXPR", repeated=True, reader=check_constraint),
    option("--placement-pref", "spread=node.labels.NAME", metavar="PREF", repeated=True, reader=parse_preference),
    option("-p --publish", "Publish a port: 8080:auto, 8080:80", metavar="PORT", repeated=True, reader=parse_published),
    *COMMON,
)

UPDATE: tuple[Parameter, ...] = (
    option("--args", "The whole command, split as a shell would", metavar="COMMAND", reader=lambda text: _argv(text)),
    option("--image", "Version label", metavar="IMAGE"),
    option("--env-add", "Add or change a variable", metavar="KEY=VALUE", repeated=True, reader=parse_env),
    option("--env-rm", "Remove a variable", metavar="KEY", repeated=True),
    option("--label-add", "Add or change a label", metavar="KEY=VALUE", repeated=True, reader=parse_label),
    option("--label-rm", "Remove a label", metavar="KEY", repeated=True),
    option("--container-label-add", "Add a label of its tasks", metavar="KEY=VALUE", repeated=True, reader=parse_label),
    option("--container-label-rm", "Remove a label of its tasks", metavar="KEY", repeated=True),
    option("--constraint-add", "Add a constraint", metavar="EXPR", repeated=True, reader=check_constraint),
    option("--constraint-rm", "Remove a constraint", metavar="EXPR", repeated=True, reader=check_constraint),
    option("--placement-pref-add", "Add a preference", metavar="PREF", repeated=True, reader=parse_preference),
    option("--placement-pref-rm", "Remove a preference", metavar="PREF", repeated=True, reader=parse_preference),
    option("--publish-add", "Publish a port", metavar="PORT", repeated=True, reader=parse_published),
    option("--publish-rm", "Stop publishing a port", metavar="PORT", repeated=True, reader=parse_port_number),
    flag("--force", "Replace every task even if nothing changed"),
    *COMMON,
)


NOWHERE = Surroundings({})


def created_spec(arguments: Arguments, name: str, surroundings: Surroundings = NOWHERE) -> Spec:
    """The spec that `service create` asks for. Raises WrongUsage, CommandFailed."""
    args = arguments.texts("command")
    if not args:
        raise WrongUsage(
            "the command to run is missing; write it after --, as in: service create --name web -- sleep 1000"
        )
    _check_command(args)
    mode = GlobalMode() if arguments.get("mode") == "global" else ReplicatedMode()
    if arguments.get("mode") == "global" and arguments.get("replicas") is not None:
        raise WrongUsage("--replicas is for replicated mode; a global service runs one task on every node that fits")
    spec = Spec(
        name=name,
        labels=dict(arguments.texts("label")),  # type: ignore[arg-type]
        task_template=TaskSpec(
            container_spec=ContainerSpec(
                image=arguments.text("image"),
                args=args,
                env=merge_env(
                    _env_of_files(arguments.texts("env_file"), surroundings),
                    _env_of_words(arguments.texts("env"), surroundings),
                ),
                labels=dict(arguments.texts("container_label")),  # type: ignore[arg-type]
            )
        ),
        mode=mode,
    )
    spec = _with_common(spec, arguments)
    placement = attrs.evolve(
        spec.task_template.placement,
        constraints=arguments.texts("constraint"),
        preferences=arguments.texts("placement_pref"),
    )
    spec = _with_ports(spec, tuple(arguments.values.get("publish") or ()))
    template = attrs.evolve(spec.task_template, placement=placement)
    return attrs.evolve(spec, task_template=with_image_label(template))


def updated_spec(spec: Spec, arguments: Arguments, surroundings: Surroundings = NOWHERE) -> Spec:
    """`spec` with what was written changed. Raises WrongUsage."""
    container = spec.task_template.container_spec
    args = arguments.texts("command") or tuple(arguments.values.get("args") or ())
    _check_command(args)
    changed = attrs.evolve(
        container,
        args=args or container.args,
        image=arguments.text("image") or container.image,
        env=_without_keys(
            merge_env(container.env, _env_of_words(arguments.texts("env_add"), surroundings)), arguments.texts("env_rm")
        ),
        labels=_labels(container.labels, arguments, "container_label"),
    )
    placement = spec.task_template.placement
    placement = attrs.evolve(
        placement,
        constraints=_edited(placement.constraints, arguments, "constraint"),
        preferences=_edited(placement.preferences, arguments, "placement_pref"),
    )
    template = attrs.evolve(
        spec.task_template,
        container_spec=changed,
        placement=placement,
        force_update=spec.task_template.force_update + arguments.flag("force"),
    )
    spec_new = attrs.evolve(spec, labels=_labels(spec.labels, arguments, "label"), task_template=template)
    spec_new = _with_common(spec_new, arguments)
    spec_new = _with_ports(spec_new, _edited_ports(spec.endpoint_spec.ports, arguments))
    return attrs.evolve(spec_new, task_template=with_image_label(spec_new.task_template, before=spec.task_template))


def scaled_spec(spec: Spec, replicas: int) -> Spec:
    if not isinstance(spec.mode, ReplicatedMode):
        raise CommandFailed(f"{spec.name}: scale can only be used with replicated mode; it runs one task on every node")
    return attrs.evolve(spec, mode=ReplicatedMode(replicas))


def _with_common(spec: Spec, arguments: Arguments) -> Spec:
    """The options that create and update share."""
    replicas = arguments.get("replicas")
    if replicas is not None:
        spec = scaled_spec(spec, replicas)
    template = spec.task_template
    container = _written(
        template.container_spec,
        arguments,
        dir="workdir",
        stop_signal="stop_signal",
        stop_grace_period_ns="stop_grace_period",
    )
    restart = _written(
        template.restart_policy,
        arguments,
        condition="restart_condition",
        delay_ns="restart_delay",
        max_attempts="restart_max_attempts",
        window_ns="restart_window",
    )
    resources = attrs.evolve(
        template.resources,
        limits=_written(template.resources.limits, arguments, nano_cpus="limit_cpu", memory_bytes="limit_memory"),
        reservations=_written(
            template.resources.reservations, arguments, nano_cpus="reserve_cpu", memory_bytes="reserve_memory"
        ),
    )
    placement = _written(template.placement, arguments, max_replicas="replicas_max_per_node")
    template = attrs.evolve(
        template, container_spec=container, restart_policy=restart, resources=resources, placement=placement
    )
    return attrs.evolve(spec, task_template=template)


def _written(instance: Any, arguments: Arguments, **options: str) -> Any:
    """`instance` with the fields whose options were written."""
    changes = {field: arguments.get(name) for field, name in options.items() if arguments.get(name) is not None}
    return attrs.evolve(instance, **changes)


def _with_ports(spec: Spec, ports: tuple[PortConfig, ...]) -> Spec:
    published = [port.published_port for port in ports]
    twice = next((port for port in published if published.count(port) > 1), None)
    if twice is not None:
        raise WrongUsage(f"port {twice} is published twice")
    return attrs.evolve(spec, endpoint_spec=attrs.evolve(spec.endpoint_spec, ports=ports))


def _edited_ports(ports: Iterable[PortConfig], arguments: Arguments) -> tuple[PortConfig, ...]:
    """As docker: a published port is removed by its target port; here also by the published one, since most have none."""
    added: Sequence[PortConfig] = arguments.values.get("publish_add") or ()
    removed = set(arguments.values.get("publish_rm") or ())
    replaced = {port.published_port for port in added}
    kept = [
        port
        for port in ports
        if not removed & {port.published_port, port.target_port} and port.published_port not in replaced
    ]
    return (*kept, *added)


def _edited(values: Sequence[str], arguments: Arguments, name: str) -> tuple[str, ...]:
    removed = arguments.texts(f"{name}_rm")
    for value in removed:
        if value not in values:
            raise CommandFailed(f"there is no {name.replace('_', ' ')} {value!r} to remove")
    kept = [value for value in values if value not in removed]
    return tuple(dict.fromkeys((*kept, *arguments.texts(f"{name}_add"))))


def _labels(labels: Mapping[str, str], arguments: Arguments, name: str) -> dict[str, str]:
    """Removing a label that is not there is an error, as in docker's node update."""
    removed = arguments.texts(f"{name}_rm")
    for key in removed:
        if key not in labels:
            raise CommandFailed(f"there is no label {key!r} to remove")
    kept = {key: value for key, value in labels.items() if key not in removed}
    return kept | dict(arguments.values.get(f"{name}_add") or ())


def _env_of_words(entries: Iterable[str], surroundings: Surroundings) -> tuple[str, ...]:
    """As docker: KEY alone is the variable of whoever orders, and left out where there is none."""
    here = surroundings.environment
    written = (
        entry if "=" in entry else f"{entry}={here[entry]}" for entry in entries if "=" in entry or entry in here
    )
    return tuple(written)


def _env_of_files(names: Iterable[str], surroundings: Surroundings) -> tuple[str, ...]:
    entries: list[str] = []
    for name in names:
        try:
            text = surroundings.read_file(name) if surroundings.read_file else ""
            entries += [parse_env(f"{key}={value}") for key, value in parse_env_file(text).items()]
        except OSError as error:
            raise CommandFailed(f"--env-file {name} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise WrongUsage(f"--env-file {name}: {error}") from None
    return tuple(entries)


def _without_keys(env: Iterable[str], keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(entry for entry in env if entry.partition("=")[0] not in keys)


def _argv(text: str) -> tuple[str, ...]:
    words = tuple(shlex.split(text))
    if not words:
        raise ValueError("the command must name a program")
    return words


def _mode_word(text: str) -> str:
    if text not in ("replicated", "global"):
        raise ValueError(f"{text!r} must be replicated or global")
    return text


def _check_command(args: Sequence[str]) -> None:
    if args and not args[0]:
        raise WrongUsage("the command must name a program; its first word is empty")
    for word in args:
        try:
            check_template(word)
        except ValueError as error:
            raise WrongUsage(str(error)) from None
