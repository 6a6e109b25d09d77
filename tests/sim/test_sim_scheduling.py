"""Scheduling in the simulator: the manager's loops on simulated leaders, agents under them, everything else going wrong."""

from __future__ import annotations

import attrs
import pytest

from swarmtui.manager.reconciler import Decision, Moment
from swarmtui.manager.replicated import ReplicatedOrchestrator
from swarmtui.manager.roles import RoleManager
from swarmtui.objects.records import Node
from swarmtui.objects.states import NodeRole
from swarmtui.raft.options import RaftOptions
from swarmtui.sim.cluster import SimulatedCluster, SimulationFailure
from swarmtui.sim.parameters import NetworkParameters, Parameters

CALM = Parameters(nodes=3, duration_s=12.0, services=2, with_store=True)
WILD = attrs.evolve(
    CALM,
    nodes=5,
    network=NetworkParameters(delay_mean_s=0.005, loss=0.02),
    crashes_rate=0.5,
    kills_rate=0.3,
    pauses_rate=0.2,
    partitions_rate=0.3,
    coups_rate=0.2,
    transfers_rate=0.2,
)
OVERLOADED = attrs.evolve(
    CALM,
    duration_s=4.0,
    services=3,
    options=RaftOptions(uncommitted_bytes_max=300),
    proposals_rate=60.0,
    network=NetworkParameters(delay_mean_s=0.02),
)


@pytest.mark.parametrize("seed", range(3))
def test_services_come_to_run_through_everything(seed):
    cluster = SimulatedCluster(seed, WILD)
    cluster.run()
    assert cluster.counts["leaderships"] > 1
    assert cluster.counts["tasks started"] > 2


def test_in_a_calm_cluster_one_leadership_schedules():
    cluster = SimulatedCluster(1, CALM)
    cluster.run()
    assert cluster.counts["leaderships"] == 1
    assert cluster.counts["tasks started"] > 2


@pytest.mark.parametrize("seed", range(5))
def test_what_an_overloaded_leader_refused_is_looked_at_again(seed):
    """Nothing else reminds the manager of it: its loops hear only of what is applied."""
    cluster = SimulatedCluster(seed, OVERLOADED)
    cluster.run()
    assert cluster.counts["refused overload"] > 10
    assert cluster.counts["leaderships"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_managers_come_and_go_through_everything(seed):
    cluster = SimulatedCluster(seed, attrs.evolve(WILD, roles_rate=1.5))
    cluster.run()
    assert cluster.counts["seats changed"] > 2
    assert cluster.counts["promoted again"] > 0


def test_a_member_that_is_forgotten_before_it_left_is_noticed(monkeypatch: pytest.MonkeyPatch):
    """The record says worker at once, and the host forgets a log that still counts."""

    def too_early(roles: RoleManager, node: Node, moment: Moment) -> Decision | None:
        if node.role is NodeRole.WORKER:
            return None
        return roles._record(node, attrs.evolve(node, role=NodeRole.WORKER), "at once")

    monkeypatch.setattr(RoleManager, "_demote", too_early)
    with pytest.raises(SimulationFailure):
        SimulatedCluster(0, attrs.evolve(WILD, roles_rate=1.5)).run()


def test_a_manager_that_does_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ReplicatedOrchestrator, "step", lambda orchestrator, moment: [])
    with pytest.raises(SimulationFailure, match="runs at its count"):
        SimulatedCluster(1, CALM).run()
