"""One task watches all sockets: whoever hears is called, and what ends that reaches the task that waits for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import trio

from swarmtui.wire.arrivals import arrivals

PATIENCE_S = 5.0


class Pair:
    """Two ends of a socket: what the far one sends, the near one gets."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.got: list[bytes] = []
        self.changed = trio.Event()

    def take(self, last: bytes = b"end") -> bool:
        self.got.append(self.near.recv(100))
        self.changed.set()
        self.changed = trio.Event()
        return self.got[-1] == last

    async def wait_got(self, *wanted: bytes) -> None:
        with trio.fail_after(PATIENCE_S):
            while self.got != list(wanted):
                await self.changed.wait()

    def close(self) -> None:
        arrivals().closing(self.near)
        self.near.close()


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [Pair() for _ in range(3)]
    yield made
    for pair in made:
        pair.near.close()
        pair.far.close()


async def test_whoever_hears_is_called_for_each_arrival_until_that_is_over(pairs):
    first = pairs[0]
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(arrivals().hear, first.near, first.take)
            first.far.send(b"one")
            await first.wait_got(b"one")
            first.far.send(b"two")
            await first.wait_got(b"one", b"two")
            first.far.send(b"end")
    first.far.send(b"unheard")
    await trio.testing.wait_all_tasks_blocked()
    assert first.got == [b"one", b"two", b"end"]


async def test_what_the_called_one_raises_ends_its_own_task_and_no_other(pairs):
    bad, good, _ = pairs

    def fails() -> bool:
        raise ValueError("of this one")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(arrivals().hear, good.near, good.take)
        bad.far.send(b"!")
        with pytest.raises(ValueError, match="of this one"), trio.fail_after(PATIENCE_S):
            await arrivals().hear(bad.near, fails)
        good.far.send(b"heard")
        await good.wait_got(b"heard")
        nursery.cancel_scope.cancel()


async def test_a_socket_that_is_closed_here_says_so_to_whoever_hears_on_it(pairs):
    first = pairs[0]
    async with trio.open_nursery() as nursery:

        async def close() -> None:
            await trio.testing.wait_all_tasks_blocked()
            first.close()

        nursery.start_soon(close)
        with pytest.raises(trio.ClosedResourceError), trio.fail_after(PATIENCE_S):
            await arrivals().hear(first.near, first.take)


async def test_the_next_socket_of_the_same_number_is_heard_and_not_mistaken(pairs):
    first, second, _ = pairs
    with trio.move_on_after(0):
        await arrivals().hear(first.near, first.take)
    number = first.near.fileno()
    first.close()
    moved = second.near.dup()  # the lowest free number
    second.near.close()
    second.near = moved
    assert moved.fileno() == number
    async with trio.open_nursery() as nursery:
        nursery.start_soon(arrivals().hear, second.near, second.take)
        second.far.send(b"heard")
        await second.wait_got(b"heard")
        nursery.cancel_scope.cancel()


async def test_one_that_was_cancelled_is_called_no_more_and_may_hear_again(pairs):
    first = pairs[0]
    with trio.move_on_after(0) as scope:
        await arrivals().hear(first.near, first.take)
    assert scope.cancelled_caught
    first.far.send(b"later")
    await trio.testing.wait_all_tasks_blocked()
    assert first.got == []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(arrivals().hear, first.near, first.take)
        await first.wait_got(b"later")
        nursery.cancel_scope.cancel()


async def test_one_that_is_ended_by_another_of_the_same_moment_is_not_called(pairs):
    """As a peer's old connection that its new one replaces, when both have something."""
    scopes = {0: trio.CancelScope(), 1: trio.CancelScope()}
    called: list[int] = []

    def ends_the_other(mine: int) -> bool:
        called.append(mine)
        scopes[1 - mine].cancel()
        return True

    async def hear(mine: int) -> None:
        with scopes[mine]:
            await arrivals().hear(pairs[mine].near, lambda: ends_the_other(mine))

    for pair in pairs:
        pair.far.send(b"!")
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear, 0)
            nursery.start_soon(hear, 1)
    assert len(called) == 1


@pytest.mark.parametrize("raises", [True, False])
async def test_a_fault_is_not_lost_when_the_called_one_is_cancelled_by_its_own_doing(pairs, raises):
    first = pairs[0]
    first.far.send(b"!")
    scope = trio.CancelScope()

    def cancels() -> bool:
        scope.cancel()
        if raises:
            raise ValueError("and this")
        return False

    async def hear() -> None:
        with scope:
            await arrivals().hear(first.near, cancels)

    with trio.fail_after(PATIENCE_S):
        if raises:
            with pytest.raises(ValueError, match="and this"):
                await hear()
        else:
            await hear()
            assert scope.cancelled_caught


async def test_a_flood_over_many_connections_lets_everybody_else_run_in_between(pairs, monkeypatch):
    monkeypatch.setattr("swarmtui.wire.arrivals.SLICE_S", -1.0)  # every call takes too long
    seen: list[str] = []

    def called() -> bool:
        seen.append("call")
        return True

    async def elsewhere() -> None:
        while seen.count("call") < len(pairs):
            seen.append("turn")
            await trio.lowlevel.checkpoint()

    for pair in pairs:
        pair.far.send(b"!")
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for pair in pairs:
                nursery.start_soon(arrivals().hear, pair.near, called)
            nursery.start_soon(elsewhere)
    assert ["call"] * 3 not in [seen[at : at + 3] for at in range(len(seen))]
