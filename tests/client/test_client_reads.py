"""Reads: fresh where a quorum vouches, the most advanced stale state where not, refused where that was asked for."""

import pytest
import trio
import trio.testing

from swarmtui.client import NoHost, NoQuorum, NotReached, Refused, Unknown, lookups
from swarmtui.client.errors import NoLeader
from swarmtui.wire.key_calls import GetKeys
from swarmtui.wire.node_calls import (
    Consistency,
    GetKey,
    GetStatus,
    LogRange,
    NodeReport,
    TakeSnapshot,
    TaskOutput,
    WatchRecords,
)
from tests.client.conftest import connected


async def test_a_key_is_read_as_it_was_written(cluster):
    version = await cluster.kv.put("color", "green")
    found = await cluster.kv.get("color")
    assert (found.value, found.version) == (b"green", version)
    assert await cluster.kv.get("shape") is None


async def read_a_hundred(cluster):
    """Of which the seventh is there."""
    found = {}

    async def read(number: int) -> None:
        found[number] = await cluster.kv.get(f"k{number}")

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(read, number)
    assert found.pop(7).value == b"seven"
    assert set(found.values()) == {None}


async def test_keys_that_are_read_in_one_moment_travel_in_one_call(world, cluster):
    await cluster.kv.put("k7", "seven")
    await read_a_hundred(cluster)
    assert world.nodes["n1"].calls["GetKeys"] == 2  # the first leaves as soon as it is worth while
    assert not any(node.calls["GetKey"] for node in world.nodes.values())


@pytest.mark.parametrize("room", [1, 7, 99])
async def test_keys_that_one_answer_has_no_room_for_are_asked_for_again(world, cluster, room):
    """All of them went the long way, a call each, when their values were too many bytes for one answer."""
    await cluster.kv.put("k7", "seven")
    world.nodes["n1"].rows_max = room
    await read_a_hundred(cluster)
    assert not any(node.calls["GetKey"] for node in world.nodes.values())


async def test_more_tasks_read_with_larger_calls(world, cluster, monkeypatch):
    """Each costs as much as the reading of a dozen keys; but one that held them all would be waited for by all."""
    monkeypatch.setattr(lookups, "KEYS_VOUCHED_MAX", 0)  # the manager confirms each of them, and notes it
    monkeypatch.setattr(lookups, "KEYS_EARLY", 2)
    monkeypatch.setattr(lookups, "KEYS_SOON", 4)
    monkeypatch.setattr(lookups, "KEYS_TOGETHER_MAX", 8)
    await cluster.kv.put("k7", "seven")
    async with trio.open_nursery() as nursery:
        for number in range(21):
            nursery.start_soon(cluster.kv.get, f"k{number}")
    assert sorted(len(call.keys) for call in world.nodes["n1"].confirmed) == [2, 4, 7, 8]


async def test_a_key_is_read_from_the_manager_that_is_named_or_else_from_any(world, cluster):
    await cluster.kv.put("color", "green")
    assert (await cluster.kv.get("color", manager="n3")).value == b"green"
    assert world.nodes["n3"].calls["GetKeys"] == 1
    world.nodes["n3"].stale = True
    assert (await cluster.kv.get("color", manager="n3")).value == b"green"
    with pytest.raises(Refused):
        await cluster.kv.get("color", manager="n9")


async def test_a_manager_that_takes_a_question_and_is_silent_is_given_up_and_another_answers(
    world, cluster, monkeypatch
):
    await cluster.kv.put("color", "green")
    monkeypatch.setattr("swarmtui.client.lookups.PATIENCE_S", 0.05)
    world.nodes["n3"].deaf_to = (GetKeys,)
    with trio.fail_after(5):
        assert (await cluster.kv.get("color", manager="n3")).value == b"green"  # by dialling it
        assert (await cluster.kv.get("color", manager="n3")).value == b"green"  # over the connection that stands
    assert world.nodes["n3"].calls["GetKeys"] == 2


async def test_a_connection_that_ends_under_a_question_costs_no_patience(world, cluster):
    await cluster.kv.put("color", "green")
    await cluster.kv.get("color", manager="n3")
    world.nodes["n3"].deaf_to = (GetKeys,)
    found = []

    async def read() -> None:
        found.append(await cluster.kv.get("color", manager="n3"))

    with trio.fail_after(lookups.PATIENCE_S / 2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            while world.nodes["n3"].calls["GetKeys"] < 2:
                await trio.sleep(0.001)
            await world.nodes["n3"].die()
    assert found[0].value == b"green"


async def test_a_read_that_is_given_up_leaves_the_others_of_its_moment_alone(world, cluster):
    await cluster.kv.put("color", "green")
    found = []

    async def read_and_give_up() -> None:
        with trio.move_on_after(0):
            found.append(await cluster.kv.get("color"))

    async def read() -> None:
        found.append(await cluster.kv.get("color"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_and_give_up)
        nursery.start_soon(read)
    assert [record.value for record in found] == [b"green"]


async def test_a_key_that_nobody_could_ask_for_is_refused_by_name(cluster):
    await cluster.kv.put("color", "green")
    assert await cluster.kv.get("\x00") is None
    with trio.fail_after(5), pytest.raises(Refused):
        await cluster.kv.get("\ud800")


async def test_keys_are_listed_by_prefix(cluster):
    for key in ("b/1", "a/2", "a/1"):
        await cluster.kv.put(key, key)
    assert [record.id for record in await cluster.kv.list("a/")] == ["a/1", "a/2"]
    await cluster.kv.delete("a/1")
    assert [record.id for record in await cluster.kv.list()] == ["a/2", "b/1"]
    with pytest.raises(Refused, match=r"^no such key: a/1$"):
        await cluster.kv.delete("a/1")


async def test_without_a_quorum_a_key_is_refused_and_a_view_is_marked_stale(world):
    await world.start(leader="")
    for node in world.nodes.values():
        node.stale, node.heard = True, ("n1", "n2")
    world.nodes["n4"].index = 77
    async with connected(world) as cluster:
        with pytest.raises(NoQuorum, match="2 of 5"):
            await cluster.kv.get("color")
        assert await cluster.kv.get("color", consistency=Consistency.STALE) is None
        records = await cluster.records("node")
        assert (records.stale, records.index, len(records.records)) == (True, 77, 6)


async def test_enough_managers_but_no_leader_is_another_word(world):
    await world.start(leader="")
    for node in world.nodes.values():
        node.stale = True
    async with connected(world) as cluster:
        with pytest.raises(NoLeader, match="no leader yet") as caught:
            await cluster.kv.get("color")
        assert caught.value.exit_code == 4


async def test_one_fresh_answer_is_enough(world):
    """Both sides of a partition answer; the side with the quorum is believed."""
    await world.start(leader="n5")
    for name in ("n1", "n2", "n3", "n4"):
        world.nodes[name].stale = True
    async with connected(world) as cluster:
        assert not (await cluster.records("node")).stale


async def test_a_single_node_is_asked_by_name_or_id(world, cluster):
    for name in ("n2", world.nodes["n2"].entry.id):
        report = await cluster.ask(name, GetStatus())
        assert isinstance(report, NodeReport)
        assert report.name == "n2"


async def test_errors_of_a_single_node_are_by_blame(world, cluster):
    with pytest.raises(Refused, match="there is no node n9") as refused:
        await cluster.ask("n9", GetStatus())
    assert refused.value.exit_code == 1
    with pytest.raises(Refused, match="was not made for LogRange"):
        await cluster.ask("n2", LogRange(1, 2))
    await cluster.ask("n2", GetStatus())
    world.nodes["n2"].fall_silent()
    with pytest.raises(NotReached, match="n2 does not answer: no answer in"):
        await cluster.ask("n2", GetStatus(), 0.05)
    with pytest.raises(Unknown, match="n2 was asked") as unknown:
        await cluster.ask("n2", TakeSnapshot(), 0.05)  # it may do it yet
    assert unknown.value.exit_code == 3
    await world.nodes["n3"].die()
    with pytest.raises(NotReached, match="n3 does not answer: it does not run; see swarmtui status") as gone:
        await cluster.ask("n3", GetStatus())
    assert gone.value.refused
    assert gone.value.exit_code == 4


async def test_a_time_that_is_over_before_the_question_leaves_is_no_fault_of_ours(cluster):
    """A machine so busy that connecting took all of it."""
    await cluster.ask("n1", GetStatus())
    with pytest.raises(NotReached, match="n1 does not answer: no answer in 0 s"):
        await cluster.ask("n1", GetStatus(), -0.1)


async def test_a_stream_that_is_refused_or_lost_says_so(world, cluster):
    with pytest.raises(Refused, match="there is no task t on n2"):
        await anext(cluster.stream("n2", TaskOutput("t")))
    changes = cluster.stream("n2", WatchRecords(("node",)))
    assert (await anext(changes)).more
    await anext(changes)
    await world.nodes["n2"].die()
    with pytest.raises(NotReached, match="n2 does not answer"):
        await anext(changes)


async def test_a_lost_connection_is_dialled_again(world, cluster):
    await cluster.ask("n2", GetStatus())
    await world.nodes["n2"].die()
    with pytest.raises(NotReached):
        await cluster.ask("n2", GetStatus())
    await world.nodes["n2"].start()
    assert isinstance(await cluster.ask("n2", GetStatus()), NodeReport)


async def test_many_tasks_share_one_connection(world, cluster):
    import trio

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(cluster.ask, "n2", GetStatus())
    assert len(world.nodes["n2"].connections) == 1


async def test_nothing_runs(world):
    async with connected(world) as cluster:
        with pytest.raises(NoHost, match="swarmtui up"):
            await cluster.records("node")
        with pytest.raises(NoHost):
            await cluster.read(GetKey("a"))
