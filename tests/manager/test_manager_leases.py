"""Leases: removed when their holder was not heard for their time, never before, whoever leads."""

from __future__ import annotations

import pytest

from swarmtui.manager.silence import OVERSLEPT_S, SECOND_LOOK_S
from swarmtui.objects.operations import Create, Put, Remove, Update
from swarmtui.objects.records import KeyValue, Lease

from .minicluster import MiniCluster

HOLDER = Lease(id="l1", holder="ticker", ttl_s=5.0)


@pytest.fixture
def cluster() -> MiniCluster:
    """With one lease that holds a key."""
    cluster = MiniCluster(nodes=1)
    cluster.run(1.0)
    cluster.apply(Create(HOLDER), Put("locks/a", b"", 0, "l1"))
    cluster.run(0.0)
    return cluster


def renew(cluster: MiniCluster) -> None:
    lease = cluster.store.get(Lease, "l1")
    assert lease is not None
    cluster.apply(Update(HOLDER, version=lease.version))
    cluster.run(0.0)


def is_held(cluster: MiniCluster) -> bool:
    return cluster.store.get(KeyValue, "locks/a") is not None


def test_a_lease_that_is_not_renewed_ends_and_takes_its_keys(cluster: MiniCluster) -> None:
    cluster.run(HOLDER.ttl_s - 0.1)
    assert is_held(cluster)
    cluster.run(0.2 + SECOND_LOOK_S)
    assert not is_held(cluster)
    assert any("lease of ticker ended: not renewed for 5." in text for text in cluster.said)


def test_a_lease_that_is_renewed_lasts(cluster: MiniCluster) -> None:
    for _ in range(10):
        cluster.run(HOLDER.ttl_s - 1)
        renew(cluster)
    assert is_held(cluster)


def test_a_renewal_that_comes_before_the_end_is_decided_wins(cluster: MiniCluster) -> None:
    cluster.run(HOLDER.ttl_s - 0.01)
    batches = []
    for wait_s in (0.02, SECOND_LOOK_S + 0.01):
        cluster.now += wait_s
        batches += cluster.manager.look(cluster.moment)
    seen = cluster.store.index
    cluster.apply(Update(HOLDER, version=seen))
    cluster.in_flight.extend(batches)
    cluster.run(1.0)
    assert [operation for batch in batches for operation in batch.transaction.operations] == [
        Remove(Lease.TABLE, "l1", version=seen)
    ]
    assert is_held(cluster)


def test_a_new_leader_gives_the_whole_time_again(cluster: MiniCluster) -> None:
    for _ in range(3):
        cluster.run(HOLDER.ttl_s - 1)
        cluster.lead()
    assert is_held(cluster)
    cluster.run(HOLDER.ttl_s + 1)
    assert not is_held(cluster)


def test_a_leader_that_slept_gives_the_whole_time_again(cluster: MiniCluster) -> None:
    cluster.run(1.0)
    cluster.now += HOLDER.ttl_s - 1 + OVERSLEPT_S / 2
    cluster.manager.gap(cluster.now)
    cluster.run(HOLDER.ttl_s - 1)
    assert is_held(cluster)


def test_a_leader_that_looks_late_gives_the_whole_time_again(cluster: MiniCluster) -> None:
    cluster.now += HOLDER.ttl_s + OVERSLEPT_S + 0.1
    cluster.run(1.0)
    assert is_held(cluster)


def test_while_the_cluster_is_shut_down_no_lease_ends(cluster: MiniCluster) -> None:
    cluster.edit_cluster(shutting_down=True)
    cluster.run(3 * HOLDER.ttl_s)
    assert is_held(cluster)


def test_a_lease_that_was_given_up_is_forgotten(cluster: MiniCluster) -> None:
    cluster.apply(Remove(Lease.TABLE, "l1"))
    cluster.run(2 * HOLDER.ttl_s)
    assert not any("lease" in text for text in cluster.said)
