"""What is done to the paths between simulated nodes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, permutations
from typing import TYPE_CHECKING

from swarmtui.raft.inputs import Reachable, Unreachable
from swarmtui.sim.node import SimulatedNode

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster

NOTICED_SHARE = 0.3  # of cuts are noticed by the transport, which says Unreachable
REDIAL_S = 0.01  # mean, until a broken connection stands again

Paths = set[tuple[str, str]]


class LinkTrouble:
    """Partitions of several shapes, one-way cuts, clogs that flush, connections that break."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.rng = cluster.rng

    def _ids(self) -> list[str]:
        ids = list(self.cluster.nodes)
        self.rng.shuffle(ids)
        return ids

    def _for_a_while(self) -> float:
        return self.rng.expovariate(1.0) * self.cluster.parameters.fault_s

    # ---- cuts ----

    def partition(self) -> None:
        """Halves of any size, a ring in which everybody reaches a majority and no two the same, or each alone."""
        ids = self._ids()
        shape = self.rng.choice(["halves", "halves", "ring", "all alone"])
        if shape == "halves":
            some = set(ids[: self.rng.randint(1, len(ids))])
            self.cut({(a, b) for a, b in permutations(ids, 2) if (a in some) != (b in some)})
        elif shape == "ring":
            reach = len(ids) // 2 // 2
            far = {
                pair
                for (at, a), (other_at, b) in combinations(enumerate(ids), 2)
                if min(other_at - at, len(ids) - other_at + at) > reach
                for pair in ((a, b), (b, a))
            }
            self.cut(far)
        else:
            self.cut(set(permutations(ids, 2)))

    def one_way(self) -> None:
        """Somebody hears nothing of some others, or is not heard by them."""
        one, *others = self._ids()
        outward = self.rng.random() < 0.5
        chosen = [other for other in others if self.rng.random() < 0.7]
        self.cut({(one, other) if outward else (other, one) for other in chosen})

    def cut(self, paths: Paths) -> None:
        """For a while; healed together."""
        if not paths:
            return
        cluster = self.cluster
        cluster.counts["cuts"] += 1
        cluster.note("", "cut " + " ".join(f"{a}>{b}" for a, b in sorted(paths)), None)
        cluster.network.cuts |= paths
        if self.rng.random() < NOTICED_SHARE:
            for source, target in sorted(paths):
                cluster.nodes[source].feed(Unreachable(target))
        cluster.after(self._for_a_while(), self._uncut, paths)

    def _uncut(self, paths: Paths) -> None:
        self.cluster.network.cuts -= paths
        if self.rng.random() < 0.5:
            self._tell_reachable(sorted(paths))

    def _tell_reachable(self, paths: Iterable[tuple[str, str]]) -> None:
        for source, target in paths:
            node = self.cluster.nodes.get(source)
            if node is not None and (source, target) not in self.cluster.network.cuts:
                node.feed(Reachable(target))

    # ---- clogs and breaks ----

    def clog(self) -> None:
        """Nothing arrives on some paths for a while, then everything at once."""
        network = self.cluster.network
        until = min(self.cluster.now + self._for_a_while(), self.cluster.parameters.duration_s)
        one, *others = self._ids()
        chosen = [other for other in others if self.rng.random() < 0.5]
        self.cluster.counts["clogs"] += 1
        self.cluster.note("", f"clog {one} and {' '.join(chosen)} until {until:.6f}", None)
        for other in chosen:
            for path in ((one, other), (other, one)):
                network.clogs[path] = max(network.clogs.get(path, 0.0), until)

    def reset(self) -> None:
        """One connection breaks, with whatever is on its way; both ends notice, and dial again."""
        if len(self.cluster.nodes) < 2:
            return
        one, other, *_ = self._ids()
        self.cluster.counts["resets"] += 1
        self.cluster.note("", f"reset {one} {other}", None)
        self.cluster.network.reset(one, other)
        self.cluster.nodes[one].feed(Unreachable(other))
        self.cluster.nodes[other].feed(Unreachable(one))
        redialled = self.rng.expovariate(1 / REDIAL_S)
        self.cluster.after(redialled, self._tell_reachable, [(one, other), (other, one)])

    def connect(self, one: SimulatedNode, other: SimulatedNode) -> None:
        """Both run: a connection stands in each direction that is not cut."""
        for here, there in ((one, other), (other, one)):
            if here.core is not None and there.core is not None:
                self._tell_reachable([(here.id, there.id)])
