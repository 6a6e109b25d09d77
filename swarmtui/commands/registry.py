"""The list of all commands: the one place that says what a person can order.

A command's module is imported when the command is asked for: an order then costs what it needs itself, and not the reading
of a dozen modules for the sake of one. Names alone, for completion and for the nearest word, cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from swarmtui.commands.command import Command

MODULES: tuple[tuple[str, str], ...] = (
    ("cluster", "up, down, ls, console"),
    ("status", "status"),
    ("tasks", "ps, logs"),
    ("events", "events"),
    ("faults", "kill, stop, start, restart, pause, resume, partition, cut, link, heal, undo"),
    ("nodes", "drain, activate, node ls, node inspect, node ps, node update"),
    ("members", "node promote, node demote, node rm, swarm join, swarm leave"),
    ("recovery", "swarm init"),
    (
        "services",
        "service create, service ls, service ps, service inspect, service logs, service update, service scale, service rm",
    ),
    ("kv", "kv get, kv put, kv cas, kv delete, kv ls, kv watch"),
    ("lock", "lock"),
    ("raft", "raft log, raft state, raft transfer, raft snapshot, raft snapshot save"),
)
"""The modules with the commands of each, in the order in which help lists them."""


class _Registry(Mapping[tuple[str, ...], Command]):
    """Every command by its words."""

    def __init__(self) -> None:
        self._homes = {tuple(words.split()): module for module, text in MODULES for words in text.split(", ")}
        self._read: dict[tuple[str, ...], Command] = {}

    def __getitem__(self, name: tuple[str, ...]) -> Command:
        home = self._homes[name]
        if name not in self._read:
            module = import_module(f"swarmtui.commands.{home}")
            self._read.update((command.name, command) for command in module.COMMANDS)
        return self._read[name]

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)

    def __contains__(self, name: object) -> bool:
        return name in self._homes


REGISTRY: Mapping[tuple[str, ...], Command] = _Registry()
"""Every command by its words, in the order in which help lists them."""

GROUPS: Mapping[str, str] = {
    "service": "Services: programs that the swarm keeps running",
    "node": "Nodes: managers and workers",
    "swarm": "The swarm as a whole",
    "kv": "The replicated key-value store",
    "raft": "The consensus underneath: log, state, leadership",
}
"""The nouns that have verbs, with one line each."""
