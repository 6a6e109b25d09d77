"""The end of a majority in the simulator: a survivor begins a new epoch, new members join, and who was put out is told.

Method: small clusters that lose everything in the middle of a load; the power fails while the epoch is written.
"""

from __future__ import annotations

import attrs
import pytest

from swarmtui.sim.cluster import SimulatedCluster, SimulationFailure
from swarmtui.sim.parameters import Parameters
from swarmtui.storage import recovery

LOST = Parameters(nodes=5, duration_s=2.0, clients=2, with_store=True, segment_bytes=4096, loses_majority=True)


def test_a_survivor_begins_a_new_epoch_and_everybody_else_is_told():
    ghosts = 0
    for seed in range(8):
        cluster = SimulatedCluster(seed, LOST)
        cluster.run()
        assert cluster.counts["new epochs"] == 1
        ghosts += cluster.counts["ghosts"]
        assert cluster.leader is not None
        assert cluster.leader.core is not None
        assert cluster.leader.core.log.last > recovery.INDEXES_SKIPPED
    assert ghosts > 4


def test_members_that_are_not_put_out_are_noticed(monkeypatch: pytest.MonkeyPatch):
    epoch_of = recovery.epoch_of

    def forgiving(holding: recovery.Holding, member: recovery.Member) -> tuple[int, int, recovery.Configuration]:
        index, term, configuration = epoch_of(holding, member)
        return index, term, attrs.evolve(configuration, removed=())

    monkeypatch.setattr(recovery, "epoch_of", forgiving)
    with pytest.raises(SimulationFailure):
        for_each_seed(8)


def for_each_seed(count: int) -> None:
    for seed in range(count):
        SimulatedCluster(seed, LOST).run()
