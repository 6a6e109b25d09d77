"""The lock for applications: one holder, in the order of waiting, each with a higher version, and none that does not know it."""

import pytest
import trio
import trio.testing

from swarmtui.client import Cluster, LockHeld, LockLost, Refused
from swarmtui.client.locks import GRACE_S as DEFAULT_GRACE_S
from swarmtui.client.locks import RENEWALS, usual_ttl_s
from swarmtui.objects.codec import encode
from swarmtui.objects.operations import LEASE_TTL_MAX_S, Remove, Transaction
from swarmtui.objects.records import KeyValue, Lease
from tests.client.conftest import connected

TTL_S = 1.0
GRACE_S = 0.2


async def until(condition) -> None:
    with trio.fail_after(10):
        while not condition():
            await trio.testing.wait_all_tasks_blocked(0.005)


def keys(world) -> list[str]:
    return [record.id for record in world.store.keys("locks/")]


def end_lease(world) -> None:
    """What the leader does to a holder that it does not hear."""
    (lease,) = {record.lease for record in world.store.keys("locks/deploy") if record.id == "locks/deploy"}
    world.apply(encode(Transaction((Remove(Lease.TABLE, lease),))))


async def test_the_lock_is_a_key_that_vanishes_with_its_lease(world, cluster):
    async with cluster.kv.lock("deploy", holder="me") as fence:
        held = world.store.get(KeyValue, "locks/deploy")
        assert (held.value, held.version) == (b"me", fence.version)
        assert world.store.get(Lease, held.lease).holder == "me"
    assert keys(world) == []
    assert world.store.count(Lease) == 0


async def test_who_does_not_wait_is_told_who_holds_it(world, cluster):
    async with cluster.kv.lock("deploy", holder="me"):
        with pytest.raises(LockHeld, match="lock deploy is held by me") as caught:
            async with cluster.kv.lock("deploy", timeout_s=0):
                pytest.fail("two holders")
        assert caught.value.exit_code == 1
        with pytest.raises(LockHeld):
            async with cluster.kv.lock("deploy", timeout_s=0.05):
                pytest.fail("two holders")
        assert keys(world) == ["locks/deploy"]
    assert world.store.count(Lease) == 0


async def test_waiters_have_it_in_the_order_they_came_and_each_a_higher_version(world, cluster):
    order: list[int] = []
    versions: list[int] = []

    async def contend(number: int) -> None:
        async with cluster.kv.lock("deploy") as fence:
            assert [key for key in keys(world) if "/" not in key.removeprefix("locks/")] == ["locks/deploy"]
            order.append(number)
            versions.append(fence.version)
            await trio.testing.wait_all_tasks_blocked(0.01)

    async with trio.open_nursery() as nursery, cluster.kv.lock("deploy"):
        for number in range(4):
            nursery.start_soon(contend, number)
            await until(lambda: len(keys(world)) == number + 2)  # noqa: B023 - awaited here
    assert order == [0, 1, 2, 3]
    assert versions == sorted(set(versions))
    assert keys(world) == []


async def test_many_that_come_at_once_hold_it_one_by_one(world, cluster):
    holding: list[int] = []
    versions: set[int] = set()

    async def contend(number: int) -> None:
        async with cluster.kv.lock("deploy") as fence:
            holding.append(number)
            assert holding == [number]
            versions.add(fence.version)
            await trio.testing.wait_all_tasks_blocked()
            holding.remove(number)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(contend, number)
    assert len(versions) == 12
    assert world.store.count(Lease) == 0


async def test_a_lease_is_renewed_while_the_body_runs(world, cluster):
    async with cluster.kv.lock("deploy", ttl_s=TTL_S, grace_s=GRACE_S) as fence:
        (lease,) = world.store.all(Lease)
        await until(lambda: world.store.get(Lease, lease.id).version > lease.version)
        assert world.store.get(KeyValue, "locks/deploy").version == fence.version


async def test_a_lease_is_short_and_outlasts_two_elections(world, cluster):
    """Who is killed while it holds a lock is waited for so long."""
    async with cluster.kv.lock("deploy"):
        (lease,) = world.store.all(Lease)
        assert lease.ttl_s == 6.0
    assert usual_ttl_s(1e6) <= LEASE_TTL_MAX_S
    for election_timeout_s in (0.1, 0.5, 3.0, 10.0):
        ttl_s = usual_ttl_s(election_timeout_s)
        left_s = ttl_s - ttl_s / RENEWALS - DEFAULT_GRACE_S
        assert left_s >= 2 * 2 * election_timeout_s - 1e-6


async def test_a_holder_whose_lease_was_ended_is_cancelled_and_told(world, cluster):
    cancelled = trio.Event()

    async def hold() -> None:
        async with cluster.kv.lock("deploy", ttl_s=TTL_S, grace_s=GRACE_S):
            end_lease(world)
            try:
                await trio.sleep(10)
            except trio.Cancelled:
                cancelled.set()
                raise

    with pytest.raises(LockLost, match="lock deploy was lost: its lease was ended"):
        await hold()
    assert cancelled.is_set()


async def test_a_holder_that_is_cut_off_ends_before_its_lease_can(world):
    await world.start()
    ttl_s, grace_s = 3.0, 1.0  # the grace is what a slow machine may be late by

    async def hold(cluster: Cluster) -> None:
        async with cluster.kv.lock("deploy", ttl_s=ttl_s, grace_s=grace_s):
            began = trio.current_time()
            for node in world.nodes.values():
                node.fall_silent()
            try:
                await trio.sleep(10)
            finally:
                assert trio.current_time() - began < ttl_s

    async with connected(world) as cluster:
        with pytest.raises(LockLost, match=r"could not be renewed for 2 s"):
            await hold(cluster)
    assert keys(world) == ["locks/deploy"], "the release did not arrive: the leader ends the lease"


async def test_a_waiter_goes_on_when_the_holder_is_gone(world, cluster):
    taken = trio.Event()

    async def hold() -> None:
        with pytest.raises(LockLost):
            await hold_for_ever()

    async def hold_for_ever() -> None:
        async with cluster.kv.lock("deploy", ttl_s=TTL_S, grace_s=GRACE_S):
            await trio.sleep_forever()

    async def wait() -> None:
        async with cluster.kv.lock("deploy"):
            taken.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold)
        await until(lambda: len(keys(world)) == 1)
        nursery.start_soon(wait)
        await until(lambda: len(keys(world)) == 2)
        end_lease(world)
        with trio.fail_after(10):
            await taken.wait()


async def test_an_error_of_the_body_releases_the_lock_and_is_raised_as_it_is(world, cluster):
    with pytest.raises(ZeroDivisionError):
        async with cluster.kv.lock("deploy"):
            raise ZeroDivisionError
    assert keys(world) == []


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 129])
async def test_a_lock_has_a_plain_name(cluster, name: str):
    with pytest.raises(Refused, match="a lock's name"):
        async with cluster.kv.lock(name):
            pytest.fail("held")
