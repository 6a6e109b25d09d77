"""The simulator's own eyes: wrong answers to clients are noticed by the histories alone.

Method: make the nodes' counter for clients lie in one way that some real system once did, and run seeds until it shows.
"""

from __future__ import annotations

import pytest

from swarmtui.sim.clients import Client
from swarmtui.sim.cluster import SimulatedCluster, SimulationFailure
from swarmtui.sim.desk import Desk
from swarmtui.sim.parameters import NetworkParameters, Parameters

SEEDS = 30
BUSY = Parameters(
    nodes=3,
    duration_s=6.0,
    network=NetworkParameters(delay_mean_s=0.005),
    clients=6,
    client_rate=30.0,
    client_patience_s=0.5,
    keys=2,
    with_store=True,
    crashes_rate=0.5,
    coups_rate=0.5,
    partitions_rate=0.5,
    snapshot_entries=20,
)


def first_failure() -> str:
    for seed in range(SEEDS):
        try:
            SimulatedCluster(seed, BUSY).run()
        except SimulationFailure as failure:
            return str(failure)
    return "nothing was noticed"


def test_right_answers_make_histories_that_can_be_ordered():
    cluster = SimulatedCluster(0, BUSY)
    cluster.run()
    assert len(cluster.clients.history) > 100
    assert cluster.counts["histories linearizable"] == BUSY.keys


def test_reads_of_local_state_are_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Desk, "read", lambda desk, then: then(""))
    assert "histories are linearizable" in first_failure()


def test_refusing_what_may_still_happen_is_noticed(monkeypatch: pytest.MonkeyPatch):
    """A write that nobody answered in time is unknown. Who says that it failed lies sooner or later."""
    monkeypatch.setattr(Client, "_give_up", lambda client, turn: client._refused(turn, "timeout"))
    assert "histories are linearizable" in first_failure()


def test_sending_again_after_unknown_is_noticed(monkeypatch: pytest.MonkeyPatch):
    """Without a session, a second try after silence may be applied a second time."""
    arrive = Client._arrive

    def twice(client, node, turn, asked, transaction):
        arrive(client, node, turn, asked, transaction)
        client.cluster.after(0.3, arrive, client, node, turn, asked, transaction)

    monkeypatch.setattr(Client, "_arrive", twice)
    assert "histories are linearizable" in first_failure()
