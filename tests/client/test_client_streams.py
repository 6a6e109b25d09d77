"""Watches and events: no node's death ends them, nothing is told twice, nothing that was held is lost."""

import time

import trio

from swarmtui.objects.records import KeyValue
from tests.client.conftest import connected


async def texts(events, count: int) -> list[str]:
    found = []
    with trio.fail_after(10):
        async for event in events:
            found.append(f"{event.node}: {event.text}")
            if len(found) == count:
                break
    return found


async def test_held_events_of_all_nodes_are_merged_by_time(world, cluster):
    await world.start_host()
    now = time.time()
    world.nodes["n2"].tell("raft", "second", now - 2)
    world.nodes["n1"].tell("raft", "first", now - 3)
    world.host_events.tell("host", "third", now - 1)
    found = [event async for event in cluster.events(follow=False)]
    assert [event.text for event in found] == ["first", "second", "third"]
    assert [event.node for event in found] == ["n1", "n2", "host"]
    since = [event.text async for event in cluster.events(since=now - 2.5, follow=False)]
    assert since == ["second", "third"]


async def test_following_goes_on_after_a_death_and_tells_nothing_twice(world, cluster):
    n1, n2 = world.nodes["n1"], world.nodes["n2"]
    n2.tell("raft", "held", time.time())
    events = cluster.events(since=time.time() - 60)
    assert await texts(events, 1) == ["n2: held"]
    events = cluster.events(since=time.time() - 60)
    received: list[str] = []
    enough = trio.Event()

    async def read() -> None:
        async for event in events:
            received.append(event.text)
            if event.text == "last":
                enough.set()
                return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        with trio.fail_after(10):
            while "held" not in received or not n1.calls["Observe"]:
                await trio.testing.wait_all_tasks_blocked(0.01)
            n2.tell("raft", "live")
            while "live" not in received:
                await trio.testing.wait_all_tasks_blocked(0.01)
            await n2.die()
            n1.tell("election", "n2 is gone")
            n2.tell("raft", "said while nobody listened")
            await n2.start()
            while "said while nobody listened" not in received:
                await trio.testing.wait_all_tasks_blocked(0.01)
            n2.tell("raft", "last")
            await enough.wait()
    assert received == ["held", "live", "n2 is gone", "said while nobody listened", "last"]


async def test_a_node_that_was_restarted_counts_from_one_again(world, cluster):
    n3 = world.nodes["n3"]
    for number in range(5):
        n3.tell("raft", f"before {number}")
    received: list[str] = []

    async def read() -> None:
        async for event in cluster.events(since=time.time() - 60):
            received.append(event.text)  # noqa: PERF401 - what was received by now is looked at

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        with trio.fail_after(10):
            while len(received) < 5:
                await trio.testing.wait_all_tasks_blocked(0.01)
            await n3.die()
            n3.events.clear()
            n3.tell("raft", "after")
            await n3.start()
            while len(received) < 6:
                await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert received == [*(f"before {number}" for number in range(5)), "after"]


async def test_a_watch_tells_changes_from_now_on_and_survives_its_manager(world):
    await world.start()
    async with connected(world) as cluster:
        for key in ("a/first", "a/old", "a/same", "a/still"):
            await cluster.kv.put(key, "1")
        told: list[tuple[str, bytes | None]] = []

        async def watch() -> None:
            async for change in cluster.kv.watch("a/"):
                told.append((change.key, change.record.value if change.record else None))  # noqa: PERF401 - as above

        async def until(count: int) -> None:
            with trio.fail_after(10):
                while len(told) < count:
                    await trio.testing.wait_all_tasks_blocked(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            with trio.fail_after(10):
                while not sum(node.calls["WatchRecords"] for node in world.nodes.values()):
                    await trio.testing.wait_all_tasks_blocked(0.01)
            await cluster.kv.put("b/other", "x")
            await cluster.kv.put("a/new", "2")
            await until(1)
            watched = next(node for node in world.nodes.values() if node.calls["WatchRecords"])
            await watched.die()
            world.nodes["n1"].role, world.nodes["n2"].role = "follower", "leader"
            await cluster.kv.delete("a/old")
            await cluster.kv.put("a/new", "3")
            await until(3)
            nursery.cancel_scope.cancel()
        assert told[0] == ("a/new", b"2")
        assert sorted(told[1:], key=str) == [("a/new", b"3"), ("a/old", None)]
        assert isinstance(await cluster.kv.get("a/new"), KeyValue)


async def test_leaving_a_stream_ends_it_at_its_source(world, cluster):
    async for change in cluster.watch_records("node"):
        assert (change.reset, change.more) == (True, True)
        break
    assert len(change.records) == 3


async def test_events_of_a_cluster_without_any_are_none_and_it_ends(world, cluster):
    with trio.fail_after(10):
        assert [event async for event in cluster.events(follow=False)] == []


async def test_events_that_are_followed_never_end(world, cluster):
    with trio.move_on_after(0.6) as waited:
        assert [event async for event in cluster.events()] == []
    assert waited.cancelled_caught


async def test_events_until_a_moment_that_is_past_are_those_held_up_to_it_and_it_ends(world, cluster):
    now = time.time()
    for age, text in ((30, "early"), (20, "in time"), (10, "late")):
        world.nodes["n2"].tell("raft", text, now - age)
    with trio.fail_after(10):
        told = [event.text async for event in cluster.events(since=now - 25, until=now - 15)]
    assert told == ["in time"]


async def test_events_until_a_moment_to_come_are_followed_and_end_then(world, cluster, nursery, monkeypatch):
    """Also if the last of them comes over its connection a little later; what happened after it is not told."""
    monkeypatch.setattr("swarmtui.client.events.LATE_S", 1.0)  # on a busy machine
    n1 = world.nodes["n1"]
    until = time.time() + 1.0
    n1.tell("raft", "held", until - 5)
    received: list[str] = []

    async def tell() -> None:
        with trio.fail_after(10):
            while "held" not in received or not n1.calls["Observe"]:
                await trio.testing.wait_all_tasks_blocked(0.01)
            n1.tell("raft", "live", until - 0.1)
            while "live" not in received:
                await trio.testing.wait_all_tasks_blocked(0.01)
            n1.tell("raft", "too late", until + 0.001)
            while time.time() < until:
                await trio.testing.wait_all_tasks_blocked(0.01)
            n1.tell("raft", "just before", until - 0.001)

    nursery.start_soon(tell)
    with trio.fail_after(10):
        async for event in cluster.events(since=until - 60, until=until):
            received.append(event.text)  # noqa: PERF401 - what was received by now is looked at
    assert received == ["held", "live", "just before"]
    assert time.time() >= until


async def test_a_paused_node_costs_the_events_until_a_moment_that_passes_meanwhile_nothing(world, cluster, monkeypatch):
    """It is waited for before anything is shown; what the others told in that time is asked for all the same."""
    telling = type(world.nodes["n2"])._observe

    async def paused(node, call):
        if node.entry.name == "n2":
            await trio.sleep_forever()
        async for answer in telling(node, call):
            yield answer

    monkeypatch.setattr(type(world.nodes["n2"]), "_observe", paused)
    until = time.time() + 0.4
    world.nodes["n1"].tell("raft", "held", until - 2)
    received: list[str] = []

    async def read() -> None:
        async for event in cluster.events(since=until - 60, until=until):
            received.append(event.text)  # noqa: PERF401 - as above

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            while not world.nodes["n1"].calls["Observe"]:
                await trio.testing.wait_all_tasks_blocked(0.01)
            world.nodes["n1"].tell("raft", "meanwhile", until - 0.001)
    assert received == ["held", "meanwhile"]


async def test_who_is_slow_to_tell_what_it_holds_is_heard_to_the_end(world, cluster, monkeypatch):
    """By its own word, not by a time of silence: on a busy machine its events were left out."""
    telling = type(world.nodes["n2"])._observe

    async def slowly(node, call):
        async for answer in telling(node, call):
            await trio.sleep(0.35)
            yield answer

    monkeypatch.setattr(type(world.nodes["n2"]), "_observe", slowly)
    world.nodes["n2"].tell("raft", "first")
    world.nodes["n2"].tell("raft", "second")
    assert [event.text async for event in cluster.events(follow=False)] == ["first", "second"]
