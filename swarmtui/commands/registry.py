"""The list of all commands: the one place that says what a person can order."""

from __future__ import annotations

from collections.abc import Mapping

from swarmtui.commands import (
    cluster,
    events,
    faults,
    kv,
    lock,
    members,
    nodes,
    raft,
    recovery,
    services,
    status,
    tasks,
)
from swarmtui.commands.command import Command

_up, _down, _ls, _console = cluster.COMMANDS
_drain, _activate = (command for command in nodes.COMMANDS if len(command.name) == 1)

_IN_ORDER: tuple[Command, ...] = (
    _up,
    _down,
    _ls,
    _console,
    *status.COMMANDS,
    *tasks.COMMANDS,
    *events.COMMANDS,
    *faults.COMMANDS,
    _drain,
    _activate,
    *(command for command in nodes.COMMANDS if len(command.name) > 1),
    *members.COMMANDS,
    *recovery.COMMANDS,
    *services.COMMANDS,
    *kv.COMMANDS,
    *lock.COMMANDS,
    *raft.COMMANDS,
)

REGISTRY: Mapping[tuple[str, ...], Command] = {command.name: command for command in _IN_ORDER}
"""Every command by its words, in the order in which help lists them."""

GROUPS: Mapping[str, str] = {
    "service": "Services: programs that the swarm keeps running",
    "node": "Nodes: managers and workers",
    "swarm": "The swarm as a whole",
    "kv": "The replicated key-value store",
    "raft": "The consensus underneath: log, state, leadership",
}
"""The nouns that have verbs, with one line each."""
