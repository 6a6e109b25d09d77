"""A simulated node's own clock: monotonic, with a beginning and a rate of its own, since no two machines agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmtui.sim.cluster import SimulatedCluster

OFFSET_MAX_S = 1000.0  # between the beginnings of two clocks


class NodeClock:
    """`time` is what the node reads; `true_time` when it will read something, on the clock of the whole simulation."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._rate = 1.0
        self._offset = 0.0
        self._floor = 0.0

    def begin(self) -> None:
        """Another process, or another boot: another beginning, and another rate."""
        drift, rng = self._cluster.parameters.clock_drift, self._cluster.rng
        self._rate = 2.0 ** rng.uniform(-drift, drift) if drift else 1.0
        self._offset = rng.uniform(0, OFFSET_MAX_S)
        self._floor = 0.0

    def mend(self) -> None:
        """From now on it runs as true time does."""
        self._offset, self._rate = self.time - self._cluster.now, 1.0

    @property
    def time(self) -> float:
        time = self._offset + self._cluster.now * self._rate
        return time if time > self._floor else self._floor

    def has_come(self, deadline: float) -> bool:
        """Whether it reads so much, but for rounding: then it never reads less any more, or an alarm would ring before the
        deadline that it was set to."""
        if deadline > self.time + 1e-9:
            return False
        self._floor = deadline
        return True

    def true_time(self, time: float) -> float:
        return (time - self._offset) / self._rate

    def wait_for(self, time: float) -> float:
        """How long that is from now on, in true seconds; negative for what is past."""
        return (time - self.time) / self._rate
