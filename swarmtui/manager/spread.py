"""Where the tasks of one group go: the spread tree and the ranking of nodes (swarmkit manager/scheduler/decision_tree.go). Pure and alone.

Each placement preference is a level of the tree, each value of its label a branch (a missing label is an empty value and a
branch of its own), and nodes are its leaves. A task goes down the branch that holds the fewest tasks of the service, so
that branches fill like connected vessels; a branch that can take no more is closed and the rest goes elsewhere. Within a
branch the best node is taken: fewer recent failures (if either has many), fewer tasks of the service, fewer tasks at all.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import attrs

N = TypeVar("N")
Rank = tuple[int, ...]


@attrs.define(eq=False)
class _Leaf(Generic[N]):
    """The nodes under one combination of labels, best first. A node's rank only grows while tasks are placed, so a rank
    that is out of date is put right when it comes to the top."""

    rank: Callable[[N], Rank]
    heap: list[tuple[Rank, int, N]]
    total: int

    def best(self, fits: Callable[[N], bool]) -> Rank | None:
        while self.heap:
            rank, order, node = self.heap[0]
            if not fits(node):
                heapq.heappop(self.heap)
                continue
            now = self.rank(node)
            if now == rank:
                return now
            heapq.heapreplace(self.heap, (now, order, node))
        return None

    def take(self, fits: Callable[[N], bool]) -> N | None:
        if self.best(fits) is None:
            return None
        self.total += 1
        return self.heap[0][2]


@attrs.define(eq=False)
class _Branch(Generic[N]):
    children: dict[str, _Branch[N] | _Leaf[N]]
    total: int

    def best(self, fits: Callable[[N], bool]) -> Rank | None:
        """The rank of what `take` would take, None when full; closes branches that are full."""
        child = self._choose(fits)
        return None if child is None else child.best(fits)

    def _choose(self, fits: Callable[[N], bool]) -> _Branch[N] | _Leaf[N] | None:
        found: list[tuple[int, Rank, str]] = []
        for value, child in list(self.children.items()):
            rank = child.best(fits)
            if rank is None:
                del self.children[value]
            else:
                found.append((child.total, rank, value))
        return self.children[min(found)[2]] if found else None

    def take(self, fits: Callable[[N], bool]) -> N | None:
        child = self._choose(fits)
        node = None if child is None else child.take(fits)
        self.total += node is not None
        return node


def place(
    count: int,
    nodes: Sequence[N],
    *,
    fits: Callable[[N], bool],
    rank: Callable[[N], Rank],
    load: Callable[[N], int],
    levels: Sequence[Callable[[N], str]],
    put: Callable[[N], None],
) -> int:
    """Places up to `count` tasks that are all alike and returns how many found a node.

    `put(node)` places one task, after which `fits` and `rank` must answer accordingly. `load` is how many tasks of the
    service a node holds now; branches are balanced by it, counting also the nodes that do not fit. `levels` give a node's
    value at each preference.
    """
    root = _grow(list(enumerate(nodes)), levels, rank, load)
    for placed in range(count):
        node = root.take(fits)
        if node is None:
            return placed
        put(node)
    return count


def _grow(
    nodes: Iterable[tuple[int, N]],
    levels: Sequence[Callable[[N], str]],
    rank: Callable[[N], Rank],
    load: Callable[[N], int],
) -> _Branch[N] | _Leaf[N]:
    members = list(nodes)
    total = sum(load(node) for _, node in members)
    if not levels:
        heap = [(rank(node), order, node) for order, node in members]
        heapq.heapify(heap)
        return _Leaf(rank, heap, total)
    by_value: dict[str, list[tuple[int, N]]] = {}
    for order, node in members:
        by_value.setdefault(levels[0](node), []).append((order, node))
    return _Branch({value: _grow(found, levels[1:], rank, load) for value, found in by_value.items()}, total)
