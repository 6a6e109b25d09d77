"""A simulated network: messages take their time, get lost, come twice, overtake one another, or meet a cut."""

from __future__ import annotations

import random

from swarmtui.sim.parameters import NetworkParameters


class SimulatedNetwork:
    """`cuts` are directed: (source, target). Nothing passes one, and nobody is told."""

    def __init__(self, parameters: NetworkParameters, rng: random.Random) -> None:
        self.parameters = parameters
        self.rng = rng
        self.cuts: set[tuple[str, str]] = set()
        self._last_arrival: dict[tuple[str, str], float] = {}

    def heal(self) -> None:
        """From now on: no cut, loss, duplication or disorder."""
        self.cuts.clear()
        self.parameters = NetworkParameters()

    def arrivals(self, source: str, target: str, now: float) -> list[float]:
        """When a message that leaves now arrives: never, once, or twice."""
        parameters, rng = self.parameters, self.rng
        path = (source, target)
        if path in self.cuts or (parameters.loss and rng.random() < parameters.loss):
            return []
        times = [self._arrival(path, now)]
        if parameters.duplication and rng.random() < parameters.duplication:
            times.append(self._arrival(path, now) + rng.expovariate(10.0))
        return times

    def _arrival(self, path: tuple[str, str], now: float) -> float:
        parameters = self.parameters
        at = now + parameters.delay_min_s + self.rng.expovariate(1.0) * parameters.delay_mean_s
        if parameters.keeps_order:
            at = max(at, self._last_arrival.get(path, 0.0))
            self._last_arrival[path] = at
        return at
