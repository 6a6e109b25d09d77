"""How long writes stop when the leader's machine dies, in virtual time: a hundred deaths, each at another moment.

Goal: with refused dials as hints the next leader commits within tens of milliseconds, also in the worst case; two that
hurry at once must not split the votes and wait for their election timers (0.5 to 1 s here).
"""

from __future__ import annotations

import statistics

import pytest

from swarmtui.sim.cluster import SimulatedCluster
from swarmtui.sim.parameters import DiskParameters, NetworkParameters, Parameters

DEATHS = 100


def stopped_for_s(seed: int, nodes: int) -> float:
    """Simulated seconds from the leader's death to the next commit."""
    parameters = Parameters(
        nodes=nodes,
        fault_s=100.0,
        network=NetworkParameters(delay_min_s=0.0002, delay_mean_s=0.0003),
        disk=DiskParameters(sync_min_s=0.0005, sync_mean_s=0.002),
    )
    cluster = SimulatedCluster(seed, parameters)
    cluster.begin()
    cluster.run_until(1.0 + seed * 0.001)
    leader, committed, died_at = cluster.leader, len(cluster.observer.committed), cluster.now
    assert leader is not None
    cluster.trouble.power.crash(leader)
    assert cluster.run_until(died_at + 5.0, lambda: len(cluster.observer.committed) > committed)
    return cluster.now - died_at


@pytest.mark.parametrize("nodes", [3, 5])
def test_next_leader_writes_within_tens_of_milliseconds(nodes):
    stops = [stopped_for_s(seed, nodes) for seed in range(DEATHS)]
    assert statistics.median(stops) < 0.03
    assert max(stops) < 0.1
