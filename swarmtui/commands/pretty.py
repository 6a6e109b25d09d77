"""`inspect --pretty`: what a person wants to know of a service or a node, in docker's words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from swarmtui.commands.words import mode_word, one_line, port_words
from swarmtui.objects.engine import engine_time
from swarmtui.objects.quantities import format_duration_ns
from swarmtui.objects.records import Node, Service
from swarmtui.objects.specs import ReplicatedMode, Resources, UpdateConfig


def pretty_service(service: Service) -> str:
    spec, template = service.spec, service.spec.task_template
    container, restart, placement = template.container_spec, template.restart_policy, template.placement
    lines = [("ID", service.id), ("Name", service.name), *_labels(spec.labels), ("Service Mode", mode_word(spec.mode))]
    if isinstance(spec.mode, ReplicatedMode):
        lines.append((" Replicas", str(spec.mode.replicas)))
    if service.update_status is not None:
        lines += [("UpdateStatus", ""), (" State", service.update_status.state)]
        lines += [(" Message", service.update_status.message)] if service.update_status.message else []
    if placement.constraints or placement.preferences or placement.max_replicas:
        lines.append(("Placement", ""))
        lines += [(" Constraints", ", ".join(placement.constraints))] if placement.constraints else []
        lines += (
            [(" Preferences", ", ".join(f"spread={key}" for key in placement.preferences))]
            if placement.preferences
            else []
        )
        lines += [(" Max Replicas Per Node", str(placement.max_replicas))] if placement.max_replicas else []
    lines += [*_update("UpdateConfig", spec.update_config), *_update("RollbackConfig", spec.rollback_config)]
    lines += [("ContainerSpec", ""), (" Image", container.image), (" Args", shlex.join(container.args))]
    lines += [(" Env", " ".join(container.env))] if container.env else []
    lines += [(" Dir", container.dir)] if container.dir else []
    lines += [(" StopSignal", container.stop_signal)]
    lines += [(" StopGracePeriod", format_duration_ns(container.stop_grace_period_ns))]
    delay = "the profile's" if restart.delay_ns is None else format_duration_ns(restart.delay_ns)
    lines += [("RestartPolicy", ""), (" Condition", restart.condition.value), (" Delay", delay)]
    lines += [(" MaxAttempts", str(restart.max_attempts))] if restart.max_attempts else []
    lines += [("Resources", "")]
    lines += _resources(" Reservations", template.resources.reservations)
    lines += _resources(" Limits", template.resources.limits)
    lines += [("Ports", port_words(spec.endpoint_spec))] if spec.endpoint_spec.ports else []
    return _aligned(lines)


def pretty_node(node: Node, manager_status: str) -> str:
    description = node.description
    lines = [
        ("ID", node.id),
        *_labels(node.spec.labels),
        ("Hostname", node.name),
        ("Joined at", engine_time(node.created_at)),
        ("Status", ""),
        (" State", node.status.state.value.capitalize()),
        (" Availability", node.spec.availability.value.capitalize()),
        (" Address", node.status.address),
        *([(" Message", node.status.message)] if node.status.message else []),
    ]
    lines += [("Manager Status", ""), (" Reachability", manager_status)] if manager_status else []
    lines += [("Platform", ""), (" Operating System", description.os), (" Architecture", description.architecture)]
    lines += _resources("Resources", description.resources)
    lines += [("Engine Version", description.engine_version)]
    return _aligned(lines)


def _labels(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    return [("Labels", ""), *((f" {key}", value) for key, value in sorted(labels.items()))] if labels else []


def _update(title: str, config: UpdateConfig) -> list[tuple[str, str]]:
    return [
        (title, ""),
        (" Parallelism", str(config.parallelism)),
        *([(" Delay", format_duration_ns(config.delay_ns))] if config.delay_ns else []),
        (" On failure", config.failure_action.value),
        (" Monitoring Period", format_duration_ns(config.monitor_ns)),
        (" Max failure ratio", f"{config.max_failure_ratio:g}"),
        (" Update order", config.order.value),
    ]


def _resources(title: str, resources: Resources) -> list[tuple[str, str]]:
    words = []
    if resources.nano_cpus:
        words.append(f"{resources.nano_cpus / 1e9:g} CPUs")
    if resources.memory_bytes:
        words.append(f"{resources.memory_bytes / 1024**2:.4g} MiB")
    return [(title, ", ".join(words))] if words else []


def _aligned(lines: Iterable[tuple[str, str]]) -> str:
    shown = [(f"{title}:", one_line(text)) for title, text in lines]
    width = max(len(title) for title, _ in shown) + 1
    return "\n".join(f"{title:<{width}}{text}".rstrip() for title, text in shown)
