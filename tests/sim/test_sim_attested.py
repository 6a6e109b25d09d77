"""Reads that ask a quorum themselves, under whatever breaks: none is stale, and a rule that is left out shows.

Method: runs of few seeds made for it, with leaders overthrown all the time, beside the fresh seeds of test_sim_seeds.
"""

from __future__ import annotations

from collections import Counter

import attrs
import pytest

from swarmtui.sim.cluster import SimulatedCluster
from swarmtui.sim.parameters import NetworkParameters, Parameters

SEEDS = range(25)
STORMY = Parameters(
    nodes=3,
    duration_s=5.0,
    network=NetworkParameters(delay_mean_s=0.005),
    clients=6,
    client_rate=100.0,
    client_patience_s=0.5,
    keys=2,
    attested=0.9,
    with_store=True,
    coups_rate=1.0,
    pauses_rate=1.0,
    partitions_rate=1.0,
    one_way_rate=0.5,
    fault_s=0.5,
)
KINDS = {
    "three managers": STORMY,
    "five that crash": attrs.evolve(STORMY, nodes=5, crashes_rate=1.5, kills_rate=0.5),
    "members that come and go": attrs.evolve(STORMY, changes_rate=6.0, changes_together=0.5, pauses_rate=0.3),
    "managers that apply late": attrs.evolve(STORMY, apply_late_s=0.1, batching=0.5, snapshot_entries=10),
}


@pytest.mark.parametrize("kind", KINDS)
def test_attested_reads_are_linearizable(kind):
    counts: Counter[str] = Counter()
    for seed in SEEDS:
        cluster = SimulatedCluster(seed, KINDS[kind])
        cluster.run()
        counts.update(cluster.counts)
    assert counts["attested reads"] > 150
    assert counts["attested reads not served"] > 100
