"""Applying a cluster file to a running cluster: its changed services, and what of it cannot be changed that way.

Every service that comes from a file carries a label with the digest of what the file said. A service is written only when
the *file* changed: what somebody scaled by hand meanwhile stays until its text changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

import attrs

from swarmtui.commands.command import Context
from swarmtui.commands.errors import exit_code_of
from swarmtui.commands.output import Failure, Line, Note
from swarmtui.commands.views import fetch
from swarmtui.objects.cluster_file import ClusterFile, NodeWish
from swarmtui.objects.identifiers import new_id
from swarmtui.objects.manifest import Manifest, NodeEntry
from swarmtui.objects.operations import Create, Transaction, Update
from swarmtui.objects.records import Node, Service
from swarmtui.objects.specs import ServiceSpec
from swarmtui.objects.states import Availability, NodeRole

FILE_LABEL = "swarmtui.file"  # the digest of the service as the file had it
DIGEST_LENGTH = 12
ANEW = "settings are fixed when a cluster is created; to make it anew: swarmtui down --volumes && swarmtui up"


@attrs.frozen
class Changes:
    """What of a file differs from the cluster. `orphans` came from the file and are in it no more."""

    create: tuple[ServiceSpec, ...] = ()
    update: tuple[tuple[Service, ServiceSpec], ...] = ()
    refused: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()


def labelled(spec: ServiceSpec) -> ServiceSpec:
    """The spec as it is written, with the label of what the file says."""
    text = json.dumps(attrs.asdict(spec), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
    return attrs.evolve(spec, labels={**spec.labels, FILE_LABEL: digest})


def changes_of(wanted: Mapping[str, ServiceSpec], services: Iterable[Service]) -> Changes:
    """What to write so that the cluster has what the file says. Pure."""
    existing = {service.name: service for service in services}
    create, update, refused = [], [], []
    for name, wish in wanted.items():
        spec = labelled(wish)
        service = existing.get(name)
        if service is None:
            create.append(spec)
        elif service.spec.labels.get(FILE_LABEL) == spec.labels[FILE_LABEL] or service.spec == spec:
            continue
        elif type(service.spec.mode) is not type(spec.mode):
            refused.append(
                f"{name}: the mode of a service cannot change; remove it first with: swarmtui service rm {name}"
            )
        else:
            update.append((service, spec))
    orphans = [name for name, service in existing.items() if FILE_LABEL in service.spec.labels and name not in wanted]
    return Changes(tuple(create), tuple(update), tuple(refused), tuple(orphans))


async def apply_services(context: Context, wanted: Mapping[str, ServiceSpec]) -> int:
    """Writes the changed services, one line each, and returns how many parts were refused."""
    tables = await fetch(context, "service", consistent=True)
    changes = changes_of(wanted, tables.services)
    refused = list(changes.refused)
    for spec in changes.create:
        service = Service(id=new_id(), spec=spec)
        refused += await _write(context, Transaction((Create(service),)), f"created {spec.name}", spec.name)
    for service, spec in changes.update:
        wanted_service = attrs.evolve(service, spec=spec, previous_spec=service.spec, update_status=None)
        transaction = Transaction((Update(wanted_service, spec_version=service.spec_version),))
        refused += await _write(context, transaction, f"updated {spec.name}", spec.name)
    for name in changes.orphans:
        context.out.show(Note(f"{name} is in the file no more and goes on; remove it with: swarmtui service rm {name}"))
    for text in refused:
        context.out.show(Failure(text))
    return len(refused)


async def _write(context: Context, transaction: Transaction, line: str, name: str) -> list[str]:
    try:
        await context.cluster.transact(transaction)
    except Exception as error:
        if exit_code_of(error) != 1:
            raise
        return [f"{name}: {error}"]
    context.out.show(Line(line))
    return []


def differing_settings(file: ClusterFile, manifest: Manifest, nodes: Sequence[Node]) -> list[str]:
    """What the file says of nodes and settings that is not so: one sentence each, with the command that does it."""
    lines = []
    fixed = (
        ("name", file.name, manifest.name),
        ("profile", file.profile, manifest.profile),
        ("raft", file.raft, manifest.raft),
        ("agent_heartbeat", file.agent_heartbeat_s, manifest.agent_heartbeat_s),
        ("node_timeout", file.node_timeout_s, manifest.node_timeout_s),
        ("restart_delay", file.restart_delay_s, manifest.restart_delay_s),
        ("restart_delay_after_death", file.restart_delay_after_death_s, manifest.restart_delay_after_death_s),
        ("task_history_limit", file.task_history_limit, manifest.task_history_limit),
        ("task_ports", file.task_ports, manifest.task_ports),
    )
    different = [key for key, wanted, is_so in fixed if wanted != is_so]
    if different:
        lines.append(
            f"the file's {', '.join(different)} differ{'s' if len(different) == 1 else ''} from the cluster's; {ANEW}"
        )
    if file.nodes_named:
        lines += _differing_nodes(file.nodes, manifest.nodes, {node.id: node for node in nodes})
    return lines


def _differing_nodes(wishes: Sequence[NodeWish], entries: Sequence[NodeEntry], stored: Mapping[str, Node]) -> list[str]:
    lines = []
    by_name = {entry.name: entry for entry in entries}
    lines += [
        f"the file has a node {wish.name} that the cluster has not: {_join_words(wish)}"
        for wish in wishes
        if wish.name not in by_name
    ]
    wished = {wish.name for wish in wishes}
    lines += [
        f"the cluster has a node {name} that the file has not: swarmtui swarm leave {_force_word(known)}{name}"
        for name, known in by_name.items()
        if name not in wished
    ]
    for wish in wishes:
        entry = by_name.get(wish.name)
        if entry is None:
            continue
        role = stored[entry.id].spec.role if entry.id in stored else entry.role
        if wish.role is not role:
            verb = "promote" if wish.role is NodeRole.MANAGER else "demote"
            lines.append(f"{wish.name} is to be a {wish.role} in the file: swarmtui node {verb} {wish.name}")
        if wish.address not in (None, entry.address):
            move = f"swarmtui node update --address {wish.address} {wish.name}"
            lines.append(
                f"{wish.name} has another address in the file: swarmtui stop {wish.name} && {move} && "
                f"swarmtui start {wish.name}"
            )
        spec = stored[entry.id].spec if entry.id in stored else None
        availability = {entry.availability, spec.availability if spec else entry.availability}
        if wish.availability not in availability:
            lines.append(
                f"{wish.name} is to be {wish.availability} in the file: "
                f"swarmtui node update --availability {wish.availability} {wish.name}"
            )
        labels = {**entry.labels, **(spec.labels if spec else {})}
        added = {key: value for key, value in wish.labels.items() if labels.get(key) != value}
        if added:
            options = " ".join(f"--label-add {key}={value}" for key, value in added.items())
            lines.append(f"{wish.name} has other labels in the file: swarmtui node update {options} {wish.name}")
    return lines


def _force_word(entry: NodeEntry) -> str:
    return "--force " if entry.role is NodeRole.MANAGER else ""


def _join_words(wish: NodeWish) -> str:
    words = ["swarmtui swarm join", f"--role {wish.role}", f"--name {wish.name}"]
    words += [f"--availability {wish.availability}"] if wish.availability is not Availability.ACTIVE else []
    words += [f"--address {wish.address}"] if wish.address is not None else []
    words += [f"--label {key}={value}" for key, value in wish.labels.items()]
    return " ".join(words)
